//! What the pipeline's stages need: the libraries that they found, child processes, and the variables that they name.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use docmill_api::frames::{self, Message, PROTOCOL};
use docmill_api::{Registry, Tier, defaults};
use serde_json::Value;

use super::Finding;
use crate::plan::{Isolation, Plan};
use crate::runtime::WorkerProgram;

/// How long a child may take to start: a second on a machine that is busy, and far from what one would wait.
const START: Duration = Duration::from_secs(10);

/// What the machine makes of settings that leave it the choice, such as which PDF readers `"auto"` means here. Without a
/// pipeline, of every kind at its defaults.
pub(super) fn resolved(plan: Option<&Plan>, registry: &Registry) -> Vec<Finding> {
    let stages: Vec<(String, String, Value)> = match plan {
        Some(plan) => {
            plan.stages.iter().map(|stage| (stage.id.clone(), stage.kind.clone(), stage.config.clone())).collect()
        }
        None => registry.kinds().map(|kind| (kind.to_owned(), kind.to_owned(), usual(registry, kind))).collect(),
    };
    let mut all = Vec::new();
    for (id, kind, config) in stages {
        let Some(factory) = registry.get(&kind) else { continue };
        for (field, meaning) in factory.resolved(&config) {
            let set = config.get(&field).and_then(Value::as_str).unwrap_or_default();
            // What is as it was written needs no telling.
            if set != meaning {
                all.push(meant(&id, &field, set, &meaning));
            }
        }
    }
    all
}

/// The best PDF reader is a library that is found or not: the one choice that can be mended.
fn meant(id: &str, field: &str, set: &str, meaning: &str) -> Finding {
    let finding = Finding::ok(format!("resolved.{id}.{field}"), format!("`{field} = \"{set}\"` means {meaning} here"))
        .value("stage", id)
        .value("field", field)
        .value("meaning", meaning);
    if field == "pdf" && !meaning.contains("pdfium") {
        return finding
            .mend("pdfium is not found; PDF is read without it. To have it: DOCMILL_PDFIUM=/path/to/libpdfium.so");
    }
    finding
}

fn usual(registry: &Registry, kind: &str) -> Value {
    registry.get(kind).map_or(Value::Null, |factory| defaults(&factory.spec().fields))
}

/// Whether a child process can be started and be a stage: with the first stage that is to run in one; without a
/// pipeline, with the first kind that could.
pub(super) fn isolation(plan: Option<&Plan>, registry: &Registry, worker: &WorkerProgram) -> Vec<Finding> {
    let role = match plan {
        Some(plan) => {
            let isolated = plan.stages.iter().find(|stage| stage.isolation == Isolation::Process);
            isolated.map(|stage| (stage.kind.clone(), stage.config.clone(), stage.child_memory))
        }
        None => {
            let mut kinds = registry.kinds().filter(|kind| {
                let spec = registry.get(kind).map(|factory| factory.spec());
                spec.is_some_and(|spec| {
                    spec.tier == Tier::Cpu && spec.fields.iter().all(|field| field.default.is_some())
                })
            });
            kinds.next().map(|kind| (kind.to_owned(), usual(registry, kind), None))
        }
    };
    let Some((kind, config, memory)) = role else { return Vec::new() };
    let began = Instant::now();
    let hello = Message::Hello { protocol: PROTOCOL, kind: kind.clone(), config, memory };
    let finding = match greet(worker, &hello, START) {
        Ok(confined) => shut_in(&kind, &confined),
        Err(error) => {
            let message = format!("no child process can be a stage of kind `{kind}`: {error}");
            let mend = "see what stops this program from starting itself (limits, seccomp, a deleted file); \
                        isolation = \"thread\" does without";
            Finding::error("isolation", message).mend(mend)
        }
    };
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    vec![finding.value("kind", kind).value("milliseconds", milliseconds)]
}

/// Starts a child, greets it and ends it. As the runtime does, but for one conversation without an event loop.
fn greet(worker: &WorkerProgram, hello: &Message, patience: Duration) -> io::Result<Vec<String>> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(&worker.program);
    command
        .args(&worker.arguments)
        .envs(worker.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    // The command holds the child's end of the socket: while it lives, a dead child would not close it.
    drop(command);
    let said = converse(&ours, hello, patience);
    // Whatever it said, its end is now; a child that is gone already is no error.
    let _ = child.kill();
    child.wait()?;
    said
}

/// What a child shuts itself in with. Without Landlock and seccomp it is bounded in memory and time, and that is all.
fn shut_in(kind: &str, confined: &[String]) -> Finding {
    let missing: Vec<&str> =
        ["landlock", "seccomp"].into_iter().filter(|name| !confined.iter().any(|held| held == name)).collect();
    let finding = if missing.is_empty() {
        let message = format!(
            "a child process is a stage of kind `{kind}`, without files, network or other processes ({})",
            confined.join(", ")
        );
        Finding::ok("isolation", message)
    } else {
        let message = format!(
            "a child process is a stage of kind `{kind}`, bounded in memory and time; a document that takes it over may \
             do what you may: the system has no {}",
            missing.join(" and no ")
        );
        Finding::warning("isolation", message).mend("run it on Linux 5.13 or later, or in a container of its own")
    };
    finding.value("confined", confined)
}

fn converse(mut socket: &UnixStream, hello: &Message, patience: Duration) -> io::Result<Vec<String>> {
    socket.set_write_timeout(Some(patience))?;
    frames::write(&mut socket, hello, &[])?;
    match frames::read(&mut Patient { socket, until: Instant::now() + patience })? {
        Some((Message::Ready { protocol: PROTOCOL, confined }, _)) => Ok(confined),
        Some((Message::Failed { error }, _)) => Err(io::Error::other(error.to_string())),
        Some(_) => Err(io::Error::other("it does not speak as a stage does")),
        None => Err(io::Error::other("it ended without an answer")),
    }
}

/// A socket that is read until a moment, however many reads that takes.
struct Patient<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A timeout of nought would mean none.
        self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut socket = self.socket;
        socket.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::other("it did not answer in time"),
            _ => error,
        })
    }
}

/// The variables that the pipeline names, by fields such as `api_key_env`: there or not, never what they hold.
pub(super) fn variables(plan: &Plan) -> Vec<Finding> {
    let mut named = Vec::new();
    for stage in &plan.stages {
        names(&stage.config, &format!("stages.{}", stage.id), &mut named);
    }
    let mut all = Vec::new();
    for (field, name) in named {
        let there = std::env::var_os(&name).is_some_and(|value| !value.is_empty());
        let id = format!("variable.{name}");
        let finding = if there {
            Finding::ok(id, format!("`{name}` is set ({field})"))
        } else {
            Finding::error(id, format!("`{name}` is not set, and {field} names it")).mend(format!("export {name}=…"))
        };
        all.push(finding.value("variable", name).value("field", field).value("set", there));
    }
    all
}

fn names(config: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match config {
        Value::Object(table) => {
            for (key, value) in table {
                let path = format!("{path}.{key}");
                match value.as_str() {
                    Some(name) if key.ends_with("_env") && !name.is_empty() => found.push((path, name.to_owned())),
                    _ => names(value, &path, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, path, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_name_variables_are_found_wherever_they_are() {
        let config = json!({
            "api_key_env": "KEY", "token_env": "", "environment": "none", "auth": { "user_env": "USER_NAME" },
            "several": [{ "a_env": "A" }],
        });
        let mut found = Vec::new();
        names(&config, "stages.embed", &mut found);
        let found: Vec<String> = found.into_iter().map(|(field, name)| format!("{field} {name}")).collect();
        let wanted =
            ["stages.embed.api_key_env KEY", "stages.embed.auth.user_env USER_NAME", "stages.embed.several.a_env A"];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_program_that_is_no_stage_is_told() {
        let hello = Message::Hello { protocol: PROTOCOL, kind: "parse".into(), config: Value::Null, memory: None };
        let worker = |program: &str| WorkerProgram { program: program.into(), arguments: vec![], variables: vec![] };
        assert!(greet(&worker("/no/such/program"), &hello, START).is_err());
        let ended = greet(&worker("true"), &hello, START).expect_err("it says nothing").to_string();
        assert!(!ended.is_empty());
        // It reads, and never answers.
        let silent = greet(&worker("cat"), &hello, Duration::from_millis(10)).expect_err("it says nothing");
        assert_eq!(silent.to_string(), "it did not answer in time");
    }
}
