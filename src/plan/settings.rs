//! What every stage has, whatever its kind: inputs, width, queue, timeout, retry, and where they apply batches and
//! isolation. `docmill stages` prints the same list that is checked here.

use std::time::Duration;

use docmill_api::units::Size;
use docmill_api::{FieldSpec, FieldType, StageSpec, Tier};
use serde_json::{Map, Value, json};

use super::diagnostic::Diagnostic;
use super::fields::{self, Checker, Scope};
use super::{Batch, Isolation, Machine, Retry, Role, StagePlan, Width, codes, width};

/// The capacity of an edge unless set: enough to ride out uneven documents, little enough that a queue of records of
/// a few MiB stays far below `run.memory`.
const QUEUE: i64 = 50;
/// A child's memory limit unless set, so that the memory of a pipeline with child processes has a bound.
const CHILD_MEMORY: u64 = 1 << 30;
/// A limit below it leaves no room for a program to start in.
pub(super) const LEAST_MEMORY: u64 = 16 << 20;
/// A part-filled batch holds its documents back, so a wait that people would notice is worth a warning.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// The keys of a stage's table that are the engine's, whether or not they apply to its kind.
pub(super) const KEYS: &[&str] =
    &["kind", "inputs", "accept", "width", "queue", "timeout", "retry", "batch", "isolation", "memory"];

/// The role that a kind has by what it takes and gives.
#[must_use]
pub fn role(spec: &StageSpec) -> Role {
    match (spec.takes.is_empty(), spec.gives.is_empty()) {
        (true, _) => Role::Source,
        (false, true) => Role::Sink,
        (false, false) => Role::Stage,
    }
}

/// A key that every stage of such a kind has, for the documentation.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct EngineField {
    /// The key.
    pub name: &'static str,
    /// What it may hold, in words.
    pub ty: String,
    /// What it holds unless set, in words.
    pub default: String,
    /// What it does.
    pub doc: &'static str,
}

/// The engine's keys that apply to a kind.
#[must_use]
pub fn engine_fields(spec: &StageSpec) -> Vec<EngineField> {
    let field = |name, ty: &str, default: String, doc| EngineField { name, ty: ty.to_owned(), default, doc };
    let mut all = vec![field("kind", "a text", "must be set".into(), "what the stage does")];
    if role(spec) != Role::Source {
        let queue = format!("a whole number from 1 to {}", super::MAX_QUEUE);
        all.push(field("inputs", "a list of stage names", "must be set".into(), "the stages that it reads, in turn"));
        let accept = "media types that it takes, `*` at the end of a pattern; others go to its siblings";
        let usual = if spec.accepts.is_empty() { "[]: all".to_owned() } else { json!(spec.accepts).to_string() };
        all.push(field("accept", "a list of texts", usual, accept));
        if role(spec) == Role::Stage {
            let width = spec.width.map_or_else(|| "as many as CPUs".to_owned(), |width| width.to_string());
            let ty = "a whole number from 1 to 256, \"auto\", or { min, max }";
            all.push(field("width", ty, width, "records or batches worked on at once; changes while it runs"));
        }
        all.push(field("queue", &queue, QUEUE.to_string(), "capacity of each edge into it, in records"));
    }
    let timeout = docmill_api::units::Span(spec.timeout).to_string();
    all.push(field("timeout", "a time", format!("\"{timeout}\""), "the longest that one record or batch may take"));
    let retry = format!("{{ attempts = {}, min = \"200ms\", max = \"5s\", total = \"10m\" }}", spec.attempts);
    all.push(field("retry", "a table", retry, "what follows an error that may pass"));
    if let Some(batch) = spec.batch {
        let wait = docmill_api::units::Span(batch.wait);
        let default = format!("{{ items = {}, tokens = {}, wait = \"{wait}\" }}", batch.items, batch.tokens);
        all.push(field("batch", "a table", default, "a batch is handed over when one of the three is reached"));
    }
    if spec.tier == Tier::Cpu {
        let isolation = "`process` works in child processes, for input that is not trusted";
        all.push(field("isolation", "one of \"thread\", \"process\"", "\"thread\"".into(), isolation));
        let memory = format!("\"{}\"", Size(CHILD_MEMORY));
        all.push(field("memory", "a size", memory, "a child's limit, with `isolation = \"process\"`"));
    }
    all
}

/// The engine's settings of one stage, checked.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) accept: Vec<String>,
    pub(super) width: Width,
    pub(super) queue: usize,
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) batch: Option<Batch>,
    pub(super) isolation: Isolation,
    pub(super) child_memory: Option<u64>,
}

/// Reads the engine's keys of a stage's table; every complaint goes to `cx`, and a default stands in.
pub(super) fn read(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    given: &Map<String, Value>,
    spec: &StageSpec,
    machine: Machine,
) -> Settings {
    refuse_what_does_not_apply(cx, scope, given, spec);
    let own: Map<String, Value> = given
        .iter()
        .filter(|(key, _)| KEYS.contains(&key.as_str()) && !matches!(key.as_str(), "kind" | "inputs" | "width"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let checked = fields::table(cx, scope, &engine_specs(spec), KEYS, &own);
    let isolated = checked.get("isolation").and_then(Value::as_str) == Some("process");
    let settings = Settings {
        accept: texts(checked.get("accept")),
        width: width::read(cx, scope, given.get("width"), spec, machine),
        queue: fields::integer(checked.get("queue")).unwrap_or(QUEUE as usize),
        timeout: fields::duration(checked.get("timeout")).unwrap_or(spec.timeout),
        retry: retry(checked.get("retry"), spec),
        batch: spec.batch.map(|_| batch(checked.get("batch"))),
        isolation: if isolated { Isolation::Process } else { Isolation::Thread },
        child_memory: isolated.then(|| fields::size(checked.get("memory")).unwrap_or(CHILD_MEMORY)),
    };
    check(cx, scope, given, &settings);
    settings
}

/// The engine's keys as field specs, checked like a stage's own; all but `kind`, `inputs` and `width`, which are of no
/// one type. What those at the top do is said by [`engine_fields`].
#[must_use]
pub fn engine_specs(spec: &StageSpec) -> Vec<FieldSpec> {
    let count =
        |name, max, default: i64, doc| FieldSpec::new(name, FieldType::Integer { min: 1, max }, default.into(), doc);
    let time = |name, default: &str, doc| FieldSpec::new(name, FieldType::Duration, default.into(), doc);
    let retry = vec![
        count("attempts", 1000, i64::from(spec.attempts), "Attempts in all, the first included."),
        time("min", "200ms", "The delay before the second attempt; it doubles from there, with jitter."),
        time("max", "5s", "The longest delay."),
        time("total", "10m", "The most time that the attempts and delays of one record may take together."),
    ];
    let timeout = docmill_api::units::Span(spec.timeout).to_string();
    let mut all = vec![
        FieldSpec::new("accept", FieldType::List(Box::new(FieldType::Text)), json!(spec.accepts), ""),
        count("queue", super::MAX_QUEUE, QUEUE, ""),
        time("timeout", &timeout, ""),
        FieldSpec::new("retry", FieldType::Table(retry), json!({}), ""),
    ];
    if let Some(batch) = spec.batch {
        let wait = docmill_api::units::Span(batch.wait).to_string();
        let tokens = i64::try_from(batch.tokens).unwrap_or(i64::MAX);
        let items = i64::try_from(batch.items).unwrap_or(i64::MAX);
        let parts = vec![
            count("items", 100_000, items, "Items: chunks, or records where a record holds none."),
            count("tokens", i64::MAX, tokens, "Tokens."),
            time("wait", &wait, "The age of its oldest item."),
        ];
        all.push(FieldSpec::new("batch", FieldType::Table(parts), json!({}), ""));
    }
    if spec.tier == Tier::Cpu {
        all.push(FieldSpec::new("isolation", FieldType::Choice(&["thread", "process"]), "thread".into(), ""));
        all.push(FieldSpec::new("memory", FieldType::Size, CHILD_MEMORY.into(), ""));
    }
    all
}

/// Refuses keys that this kind does not have, and warns of those that would change nothing.
fn refuse_what_does_not_apply(cx: &mut Checker<'_>, scope: &Scope<'_>, given: &Map<String, Value>, spec: &StageSpec) {
    let mut refuse = |key: &str, why: String| {
        if given.contains_key(key) {
            let message = format!("{} has no `{key}`: {why}", scope.what);
            cx.error(codes::NOT_APPLICABLE, cx.raw.key(&scope.child(key)), message, Some(format!("take `{key}` out")));
        }
    };
    if spec.batch.is_none() {
        refuse("batch", "its kind takes one record at a time".into());
    }
    if spec.tier != Tier::Cpu {
        let tier = spec.tier.as_str();
        refuse("isolation", format!("only stages of the cpu tier have, and its kind is of the {tier} tier"));
        refuse("memory", format!("only stages of the cpu tier have, and its kind is of the {tier} tier"));
    } else if given.get("isolation").and_then(Value::as_str) != Some("process") && given.contains_key("memory") {
        // A warning: whoever turns isolation off for one run cannot take a key out of the file from there.
        let message = format!("`memory` in {} limits child processes, and it has none", scope.what);
        let warning = Diagnostic::warning(codes::NO_EFFECT, cx.raw.key(&scope.child("memory")), message);
        cx.push(warning.help("add `isolation = \"process\"`, or take `memory` out"));
    }
    let (idle, why): (&[&str], &str) = match role(spec) {
        Role::Source => (&["width", "queue", "accept"], "a source lists one document after another and reads no stage"),
        Role::Sink => (&["width"], "one committer writes to a sink"),
        Role::Stage => (&[], ""),
    };
    for key in idle.iter().filter(|key| given.contains_key(**key)) {
        let message = format!("`{key}` in {} has no effect: {why}", scope.what);
        let warning = Diagnostic::warning(codes::NO_EFFECT, cx.raw.key(&scope.child(key)), message);
        cx.push(warning.help(format!("take `{key}` out")));
    }
}

/// What the types cannot say: times above nought, bounds in order, memory that a child can start in.
fn check(cx: &mut Checker<'_>, scope: &Scope<'_>, given: &Map<String, Value>, settings: &Settings) {
    let mut refuse = |path: &[&str], message: String, help: &str| {
        let path: Vec<String> = scope.path.iter().cloned().chain(path.iter().map(|key| (*key).to_owned())).collect();
        cx.error(codes::OUT_OF_RANGE, cx.raw.value(&path), message, Some(help.to_owned()));
    };
    let what = scope.what;
    if settings.timeout.is_zero() {
        refuse(&["timeout"], format!("`timeout` in {what} must be above nought"), "every wait has an end: \"30s\"");
    }
    if settings.retry.min > settings.retry.max {
        let message = format!("`retry.min` in {what} is longer than `retry.max`");
        let at = if has(given, "retry", "min") { "min" } else { "max" };
        refuse(&["retry", at], message, "the delay grows from `min` to `max`: make `min` the shorter one");
    }
    if settings.retry.total.is_zero() {
        refuse(&["retry", "total"], format!("`retry.total` in {what} must be above nought"), "write \"10m\"");
    }
    if settings.child_memory.is_some_and(|memory| memory < LEAST_MEMORY) {
        let message = format!("`memory` in {what} must be at least {}", Size(LEAST_MEMORY));
        refuse(&["memory"], message, "a child needs room to start in: \"1GiB\" is usual");
    }
    for (index, pattern) in settings.accept.iter().enumerate() {
        if !is_media_pattern(pattern) {
            let path = fields::child(&scope.child("accept"), &index.to_string());
            let message = format!("`{pattern}` in `accept` of {what} is no media type");
            let help = "write a type and a subtype, `*` at the end only: \"image/*\"".to_owned();
            cx.error(codes::WRONG_TYPE, cx.raw.value(&path), message, Some(help));
        }
    }
    if settings.batch.is_some_and(|batch| batch.wait >= LONG_WAIT) {
        let place = cx.raw.value(&fields::child(&scope.child("batch"), "wait"));
        let message = format!("`batch.wait` in {what} holds the last documents back for long");
        let help = "a full batch is handed over at once; \"20ms\" is usual";
        cx.push(Diagnostic::warning(codes::LONG_WAIT, place, message).help(help));
    }
}

fn has(given: &Map<String, Value>, table: &str, key: &str) -> bool {
    given.get(table).and_then(Value::as_object).is_some_and(|table| table.contains_key(key))
}

fn is_media_pattern(pattern: &str) -> bool {
    let body = pattern.strip_suffix('*').unwrap_or(pattern);
    let symbols = body.chars().all(|symbol| symbol.is_ascii_graphic() && symbol != '*');
    pattern == "*"
        || (symbols && body.split_once('/').is_some_and(|(kind, _)| !kind.is_empty()) && !pattern.ends_with('/'))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn retry(value: Option<&Value>, spec: &StageSpec) -> Retry {
    let part = |key: &str| value.and_then(|table| table.get(key));
    Retry {
        attempts: fields::integer(part("attempts")).unwrap_or(spec.attempts),
        min: fields::duration(part("min")).unwrap_or(Duration::from_millis(200)),
        max: fields::duration(part("max")).unwrap_or(Duration::from_secs(5)),
        total: fields::duration(part("total")).unwrap_or(Duration::from_secs(600)),
    }
}

fn batch(value: Option<&Value>) -> Batch {
    let part = |key: &str| value.and_then(|table| table.get(key));
    Batch {
        items: fields::integer(part("items")).unwrap_or(1),
        tokens: fields::integer(part("tokens")).unwrap_or(u64::MAX),
        wait: fields::duration(part("wait")).unwrap_or_default(),
    }
}

/// The engine's settings of a planned stage as `pipeline.toml` would say them, for `docmill config`.
#[must_use]
pub(super) fn written(stage: &StagePlan) -> Map<String, Value> {
    let time = |time: Duration| Value::from(docmill_api::units::Span(time).to_string());
    let mut all = Map::new();
    if stage.role != Role::Source {
        all.insert("accept".into(), json!(stage.accept));
        if stage.role == Role::Stage {
            let width = if stage.width.auto { json!("auto") } else { json!(stage.width.start) };
            all.insert("width".into(), width);
        }
        all.insert("queue".into(), json!(stage.queue));
    }
    all.insert("timeout".into(), time(stage.timeout));
    let Retry { attempts, min, max, total } = stage.retry;
    let retry = json!({ "attempts": attempts, "min": time(min), "max": time(max), "total": time(total) });
    all.insert("retry".into(), retry);
    if let Some(Batch { items, tokens, wait }) = stage.batch {
        all.insert("batch".into(), json!({ "items": items, "tokens": tokens, "wait": time(wait) }));
    }
    if stage.tier == Tier::Cpu {
        all.insert("isolation".into(), json!(stage.isolation));
        if let Some(memory) = stage.child_memory {
            all.insert("memory".into(), memory.into());
        }
    }
    all
}
