//! From the merged configuration to a plan: reads every stage, checks the graph, then puts the plan together. All
//! complaints are collected on the way; a plan comes out only where there was no error.

use docmill_api::{Digest, Embedding, FieldSpec, Registry};
use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::draft::{self, Draft};
use super::fields::{self, Checker};
use super::graph::{self, Graph};
use super::providers::{self, Providers};
use super::raw::RawPipeline;
use super::{
    AskPlan, Plan, ProviderPlan, Role, RunSettings, ServePlan, StagePlan, UiPlan, cluster, codes, fingerprint,
    run_table, serve, settings, ui,
};

/// What a plan has to know of the machine: it is told, so that it does not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The CPUs that this process may use.
    pub cpus: usize,
}

/// The tables that there are.
const TABLES: &[&str] = &["run", "stages", "providers", "serve", "ask", "ui", "queue", "blobs"];

impl Plan {
    /// Checks a configuration and makes a plan of it, with the warnings.
    ///
    /// # Errors
    /// Every complaint, errors and warnings, in the order of their places.
    pub fn from_raw(
        raw: &RawPipeline,
        registry: &Registry,
        machine: Machine,
    ) -> Result<(Self, Vec<Diagnostic>), Diagnostics> {
        let mut cx = Checker::new(raw);
        cx.found.extend(raw.complaints.iter().cloned());
        top_level(&mut cx);
        let run = run_table::read(&mut cx, machine);
        let providers = providers::read(&mut cx, registry);
        let ask = providers::read_ask(&mut cx, &providers, registry);
        let serve = serve::read(&mut cx);
        let ui = ui::read(&mut cx);
        let cluster = cluster::read(&mut cx);
        let drafts = read_stages(&mut cx, (registry, &providers), machine);
        let graph = graph::check(&mut cx, &drafts, registry);
        let embeddings = embeddings(&mut cx, &drafts, &graph);
        let stages = assemble(&drafts, &graph, &embeddings);
        let failed = cx.found.iter().any(|one| one.severity == Severity::Error);
        let found = Diagnostics::new(cx.found);
        match stages {
            Some(stages) if !failed => {
                let services = (providers.plans(), ask, serve, ui);
                Ok((Self { cluster, ..plan(raw, run, stages, services) }, found.into_vec()))
            }
            _ => Err(found),
        }
    }
}

fn plan(
    raw: &RawPipeline,
    run: RunSettings,
    stages: Vec<StagePlan>,
    (providers, ask, serve, ui): (Vec<ProviderPlan>, Option<AskPlan>, ServePlan, UiPlan),
) -> Plan {
    let sinks = stages.iter().filter(|stage| stage.role == Role::Sink).map(|stage| stage.fingerprint).collect();
    let name =
        std::path::Path::new(&raw.file).file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let (base, fingerprint) = (raw.base.clone(), fingerprint::pipeline(sinks));
    Plan { name, base, run, stages, providers, ask, serve, ui, cluster: None, fingerprint }
}

/// Refuses tables that are not known, or not yet.
fn top_level(cx: &mut Checker<'_>) {
    let Value::Object(tables) = &cx.raw.values else { return };
    for (name, value) in tables.iter().filter(|(name, _)| !TABLES.contains(&name.as_str())) {
        let place = cx.raw.key(std::slice::from_ref(name));
        let stages = cx.raw.values.get("stages").and_then(Value::as_object);
        let is_stage = value.get("kind").is_some() || stages.is_some_and(|stages| stages.contains_key(name));
        let help = match fields::nearest(name, TABLES) {
            _ if is_stage => format!("a stage stands under `stages`: `[stages.{name}]`"),
            Some(other) => format!("did you mean `{other}`?"),
            None => "the tables are `[run]`, `[stages.NAME]`, `[providers.NAME]`, `[serve]`, `[ask]`, `[ui]`, `[queue]` and `[blobs]`".into(),
        };
        let what = if value.is_object() { "table" } else { "key" };
        cx.error(codes::UNKNOWN_TABLE, place, format!("unknown {what} `{name}`"), Some(help));
    }
}

fn read_stages(cx: &mut Checker<'_>, known: (&Registry, &Providers), machine: Machine) -> Vec<Draft> {
    let path = ["stages".to_owned()];
    let empty = Map::new();
    let stages = match cx.raw.get(&path) {
        Some(Value::Object(stages)) => stages,
        None => &empty,
        Some(other) => {
            let message = format!("`stages` must be a table, found {}", fields::found(other));
            cx.error(
                codes::WRONG_TYPE,
                cx.raw.key(&path),
                message,
                Some("write `[stages.NAME]` for each stage".into()),
            );
            return Vec::new();
        }
    };
    if stages.is_empty() {
        let help = "add `[stages.NAME]` with a `kind` for the source, the sink and what lies between".to_owned();
        cx.error(codes::NO_STAGES, cx.raw.key(&path), "the pipeline has no stages", Some(help));
    }
    stages.iter().map(|(id, table)| draft::read(cx, id, table, known, machine)).collect()
}

/// Puts the stages together in topological order; `None` where one of them could not be read.
fn assemble(drafts: &[Draft], graph: &Graph, embeddings: &[Option<Embedding>]) -> Option<Vec<StagePlan>> {
    if graph.order.is_empty() {
        return None;
    }
    let place_of = |draft: usize| graph.order.iter().position(|other| *other == draft);
    let mut stages: Vec<StagePlan> = Vec::with_capacity(drafts.len());
    for &position in &graph.order {
        let draft = &drafts[position];
        let kind = draft.kind.as_ref()?;
        let config = kind.config.clone()?;
        let inputs: Vec<usize> = graph.inputs[position].iter().filter_map(|input| place_of(*input)).collect();
        let settings = kind.settings.clone();
        let print = fingerprint::stage(fingerprint::Parts {
            kind: &kind.name,
            revision: kind.factory.revision(),
            fields: &kind.spec.fields,
            config: &config,
            resolved: &kind.factory.resolved(&config),
            accept: &settings.accept,
            inputs: inputs.iter().map(|input| stages[*input].fingerprint).collect::<Vec<Digest>>(),
        });
        stages.push(StagePlan {
            id: draft.id.clone(),
            kind: kind.name.clone(),
            tier: kind.spec.tier,
            role: settings::role(&kind.spec),
            takes: kind.ports.takes.clone(),
            gives: kind.ports.gives.clone(),
            depth: inputs.iter().map(|input| stages[*input].depth + 1).max().unwrap_or(0),
            inputs,
            accept: settings.accept,
            width: settings.width,
            queue: settings.queue,
            timeout: settings.timeout,
            retry: settings.retry,
            batch: settings.batch,
            isolation: settings.isolation,
            child_memory: settings.child_memory,
            config,
            provider: kind.provider.clone(),
            fingerprint: print,
            embedding: embeddings[position].clone(),
        });
    }
    Some(stages)
}

/// The embedding that each stage makes or that reaches it, by the drafts' positions. Two of them where one store is
/// fed are refused: distances between vectors of two models mean nothing.
fn embeddings(cx: &mut Checker<'_>, drafts: &[Draft], graph: &Graph) -> Vec<Option<Embedding>> {
    let mut found: Vec<Option<Embedding>> = vec![None; drafts.len()];
    for &position in &graph.order {
        let draft = &drafts[position];
        let own = draft.kind.as_ref().and_then(|kind| kind.factory.embedding(kind.config.as_ref()?));
        if own.is_some() {
            found[position] = own;
            continue;
        }
        let mut reaching = graph.inputs[position].iter().filter_map(|&input| Some((input, found[input].clone()?)));
        let Some((first_by, first)) = reaching.next() else { continue };
        if let Some((other_by, other)) = reaching.find(|(_, other)| *other != first) {
            let by = |embedding: &Embedding, draft: usize| {
                format!("`{}` ({} dimensions) by `{}`", embedding.model, embedding.dimensions, drafts[draft].id)
            };
            let (one, two) = (by(&first, first_by), by(&other, other_by));
            let message = format!("vectors of two models reach stage `{}`: {one}, {two}", draft.id);
            let help = "give each model a store of its own, or use one model".to_owned();
            let path = fields::child(&draft.path, "inputs");
            cx.error(codes::TWO_EMBEDDINGS, cx.raw.value(&path), message, Some(help));
        }
        found[position] = Some(first);
    }
    found
}

/// A plan as `pipeline.toml` would say it, defaults included: what `docmill config` prints. What was set stands as
/// it was written.
#[must_use]
pub fn resolved(raw: &RawPipeline, plan: &Plan, registry: &Registry) -> Value {
    let mut stages = Map::new();
    for stage in &plan.stages {
        let path = ["stages".to_owned(), stage.id.clone()];
        let given = raw.get(&path);
        let mut table = Map::new();
        table.insert("kind".into(), stage.kind.clone().into());
        if stage.role != Role::Source {
            let inputs = given.and_then(|table| table.get("inputs")).cloned().unwrap_or_default();
            table.insert("inputs".into(), inputs);
        }
        for (key, value) in settings::written(stage) {
            let set = given.and_then(|table| table.get(&key));
            table.insert(key, overlay(value, set));
        }
        table.extend(draft::written(&own_fields(stage, given, registry), given));
        stages.insert(stage.id.clone(), Value::Object(table));
    }
    let run = raw.values.get("run").cloned().unwrap_or_default();
    let mut all = Map::from_iter([("run".to_owned(), run)]);
    for name in ["providers", "ask", "ui", "queue", "blobs"] {
        if let Some(table) = raw.values.get(name) {
            all.insert(name.to_owned(), table.clone());
        }
    }
    all.insert("stages".to_owned(), Value::Object(stages));
    Value::Object(all)
}

/// A stage's own fields, without those that its provider's table says: their defaults would win over it.
fn own_fields(stage: &StagePlan, given: Option<&Value>, registry: &Registry) -> Vec<FieldSpec> {
    let Some(factory) = registry.get(&stage.kind) else { return Vec::new() };
    let Value::Object(config) = &stage.config else { return factory.spec().fields };
    let mut fields = factory.spec_for(config).fields;
    if stage.provider.is_some() {
        let kind = config.get("provider").and_then(Value::as_str).unwrap_or_default();
        let theirs = registry.service(kind).map(|service| service.fields()).unwrap_or_default();
        let is_set = |name: &str| given.is_some_and(|given| given.get(name).is_some());
        fields.retain(|field| is_set(field.name) || !theirs.iter().any(|their| their.name == field.name));
    }
    fields
}

/// What was set, over the rest of the same table.
fn overlay(value: Value, set: Option<&Value>) -> Value {
    match (value, set) {
        (Value::Object(mut table), Some(Value::Object(set))) => {
            table.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
            Value::Object(table)
        }
        (value, None) => value,
        (_, Some(set)) => set.clone(),
    }
}
