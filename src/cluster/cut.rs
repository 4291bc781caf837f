//! Cuts a plan in two: what the coordinator does, and what is left for the workers, whose plan is the whole one with other
//! ends.

use std::time::Duration;

use docmill_api::{PayloadKind, Registry, Tier};
use serde_json::json;

use super::away::{AWAY, Away};
use crate::plan::{Isolation, Plan, Retry, Role, StagePlan, Width};

/// Why a pipeline cannot be shared by several machines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`[queue]` needs a pipeline with one store, and stages between its sources and that: this one has {0}")]
pub struct Unfit(String);

/// Makes the kind of a cut plan known.
pub fn stages(registry: &mut Registry) {
    registry.add::<Away>();
}

/// How long rows wait for others on a worker: it has few documents in hand, and each waits for its rows to be handed over.
const ROWS_WAIT: Duration = Duration::from_millis(5);

/// A worker's plan: the whole pipeline, whose ends are not its own.
#[must_use]
pub fn worker(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for batch in plan.stages.iter_mut().filter(|stage| stage.role == Role::Sink).filter_map(|sink| sink.batch.as_mut())
    {
        batch.wait = batch.wait.min(ROWS_WAIT);
    }
    plan
}

/// The coordinator's plan: its sources, one stage for all that others do, and the store.
///
/// # Errors
/// The pipeline has several stores, or nothing for others to do.
pub fn coordinator(plan: &Plan) -> Result<Plan, Unfit> {
    let Some(cluster) = &plan.cluster else { return Err(Unfit("no `[queue]`".into())) };
    let of = |role: Role| plan.stages.iter().filter(move |stage| stage.role == role);
    let (sinks, between) = (of(Role::Sink).count(), of(Role::Stage).count());
    let Some(sink) = of(Role::Sink).next().filter(|_| sinks == 1) else { return Err(Unfit(format!("{sinks} stores"))) };
    if plan.stages.iter().any(|stage| stage.id == AWAY) {
        return Err(Unfit(format!("one that is called `{AWAY}`, as the stage that stands for all of them is")));
    }
    if between == 0 {
        return Err(Unfit("none between".into()));
    }
    let mut stages: Vec<StagePlan> = of(Role::Source).cloned().collect();
    let away = StagePlan {
        id: AWAY.to_owned(),
        kind: AWAY.to_owned(),
        tier: Tier::Io,
        role: Role::Stage,
        takes: vec![PayloadKind::Reference],
        gives: vec![PayloadKind::Vectors],
        inputs: (0..stages.len()).collect(),
        accept: Vec::new(),
        width: Width { start: cluster.in_flight, min: 1, max: cluster.in_flight, auto: false },
        queue: sink.queue,
        timeout: cluster.timeout,
        retry: Retry { total: cluster.timeout, ..sink.retry },
        batch: None,
        isolation: Isolation::Thread,
        child_memory: None,
        config: json!({ "cluster": cluster, "pipeline": plan.fingerprint }),
        provider: None,
        fingerprint: sink.fingerprint,
        depth: 1,
        embedding: sink.embedding.clone(),
    };
    let store = StagePlan { inputs: vec![stages.len()], depth: 2, accept: Vec::new(), ..sink.clone() };
    stages.extend([away, store]);
    Ok(Plan { stages, ..plan.clone() })
}
