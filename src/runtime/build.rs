//! From a plan to a topology: every stage built, every edge opened, nothing spawned.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use docmill_api::{BuildContext, Node, Registry, Source, StageError};

use super::again::Again;
use super::budget::Budget;
use super::edge::{Inlet, Outlet};
use super::gate::Gate;
use super::given::{Fed, Given};
use super::gone::Noted;
use super::intake::Intake;
use super::memory::Memory;
use super::node::{Job, NodeRuntime, SinkHandle};
use super::settle::Store;
use super::shared::Shared;
use super::tier::cpu::CpuPool;
use super::tier::process::Role;
use super::{Outside, RuntimeOptions};
use crate::monitor::StageCounters;
use crate::plan::{Isolation, Plan, StagePlan};

/// Stages and edges, ready to run.
pub struct Topology {
    pub(crate) plan: Plan,
    pub(crate) shared: Arc<Shared>,
    pub(crate) intakes: Vec<(Intake, Box<dyn Source>)>,
    pub(crate) nodes: Vec<Arc<NodeRuntime>>,
    pub(crate) stores: Vec<Store>,
}

/// A stage that could not be built, and why.
#[derive(Debug, thiserror::Error)]
#[error("stage `{stage}`: {error}")]
pub struct BuildError {
    /// Its id.
    pub stage: String,
    /// What it said.
    pub error: StageError,
}

impl Topology {
    /// Builds every stage of a plan.
    ///
    /// # Errors
    /// The first stage that cannot be built: a store that is not ours, a missing file, no permission.
    pub async fn build(plan: Plan, registry: &Registry, options: &RuntimeOptions) -> Result<Self, BuildError> {
        let pool = CpuPool::new(plan.run.cpu_threads).map_err(|error| BuildError {
            stage: "run".into(),
            error: StageError::fatal(format!("cannot start the CPU pool: {error}")),
        })?;
        let budget = Budget::new(plan.run.memory);
        let shared = Arc::new(Shared::new(plan.run.durability, budget, pool, options));
        let mut edges = Edges::open(&plan);
        let mut topology = Self { plan, shared, intakes: Vec::new(), nodes: Vec::new(), stores: Vec::new() };
        let sequence = Arc::new(AtomicU64::new(0));
        // Sinks first: a store that is not ours is refused before anything else is opened.
        for index in (0..topology.plan.stages.len()).rev() {
            let stage = topology.plan.stages[index].clone();
            let node = match &options.given {
                Some(given) if stage.role == crate::plan::Role::Source => {
                    let sources: Vec<&str> = topology.plan.sources().map(|source| source.id.as_str()).collect();
                    Node::Source(Box::new(Given::for_source(&stage.id, &sources, given)))
                }
                None if stage.role == crate::plan::Role::Source && options.feed.is_some() => {
                    let first = topology.plan.sources().next().is_some_and(|source| source.id == stage.id);
                    match options.feed.clone().filter(|_| first) {
                        Some(feed) => Node::Source(Box::new(Fed(feed))),
                        None => Node::Source(Box::new(Given::for_source(&stage.id, &[], &[]))),
                    }
                }
                _ => match options.sink.clone().filter(|_| stage.role == crate::plan::Role::Sink) {
                    Some(Outside(sink)) => Node::Sink(sink),
                    None => build_node(&topology.plan, &stage, registry, options).await?,
                },
            };
            let ends = edges.take(index);
            topology.place(stage, node, ends, options, &sequence);
        }
        for store in &topology.stores {
            let barrier = store.barrier(&topology.shared).await;
            barrier.map_err(|error| BuildError { stage: store.id.to_string(), error })?;
        }
        let stores: Vec<Option<String>> = topology.stores.iter().map(|store| store.handle.sink.identity()).collect();
        if let Some(ledger) = &options.ledger {
            let (fingerprint, run) = (topology.plan.fingerprint, topology.shared.run.clone());
            let memory = Memory::new(Arc::clone(ledger), &stores, fingerprint, run);
            let memory = memory.keeping_results(options.witness.is_some());
            let noted = memory.note_run(&topology.plan.name, None).await;
            noted.map_err(|error| BuildError { stage: "run".into(), error })?;
            let _ = topology.shared.memory.set(memory);
        }
        topology.intakes.reverse();
        topology.nodes.reverse();
        Ok(topology)
    }

    fn place(
        &mut self,
        plan: StagePlan,
        node: Node,
        (inlet, outlet): (Inlet, Outlet),
        options: &RuntimeOptions,
        sequence: &Arc<AtomicU64>,
    ) {
        let id: Arc<str> = plan.id.as_str().into();
        let counters = inlet.counters();
        let shared = Arc::clone(&self.shared);
        let job = match node {
            Node::Source(source) => {
                let intake = Intake {
                    id,
                    plan,
                    outlet,
                    counters,
                    shared,
                    fingerprint: self.plan.fingerprint,
                    places: Arc::clone(&options.places),
                    pace: options.pace.clone(),
                    origin: Arc::default(),
                    sequence: Arc::clone(sequence),
                    listed: Noted::default(),
                };
                self.intakes.push((intake, source));
                return;
            }
            Node::Io(stage) | Node::Service(stage) => Job::Async(stage),
            Node::Cpu(stage) if plan.isolation == Isolation::Process => {
                let role = Role {
                    program: options.worker.clone(),
                    kind: plan.kind.clone(),
                    config: plan.config.clone(),
                    memory: plan.child_memory,
                };
                Job::Process(stage, role)
            }
            Node::Cpu(stage) => Job::Pool(stage),
            Node::Sink(sink) => {
                let handle = Arc::new(SinkHandle { sink, turn: tokio::sync::Mutex::new(()) });
                self.stores.push(Store {
                    id: Arc::clone(&id),
                    handle: Arc::clone(&handle),
                    timeout: plan.timeout,
                    retry: plan.retry,
                });
                Job::Sink(handle)
            }
        };
        let gate = Gate::new(plan.width.min, plan.width.max);
        let again = Again::new(plan.queue);
        let (gave_up, auto) = (OnceLock::new(), AtomicBool::new(plan.width.auto));
        let node = NodeRuntime { id, plan, job, inlet, outlet, gate, auto, again, gave_up, counters, shared };
        self.nodes.push(Arc::new(node));
    }
}

// Not a method: a future that held the sources over an await could not move between threads.
async fn build_node(
    plan: &Plan,
    stage: &StagePlan,
    registry: &Registry,
    options: &RuntimeOptions,
) -> Result<Node, BuildError> {
    let failed = |error| BuildError { stage: stage.id.clone(), error };
    let factory = registry
        .get(&stage.kind)
        .ok_or_else(|| failed(StageError::fatal(format!("no stage of kind `{}` is built in", stage.kind))))?;
    let cx = BuildContext {
        stage: stage.id.clone(),
        base: plan.base.clone(),
        fingerprint: plan.fingerprint,
        embedding: stage.embedding.clone(),
        inputs: options.inputs.clone(),
        provider: stage.provider.clone(),
        services: options.services.clone(),
        uploads: Some(plan.run.state.join("uploads")),
        state: Some(plan.run.state.clone()),
    };
    factory.build(stage.config.clone(), &cx).await.map_err(failed)
}

/// The two ends of every stage.
struct Edges(HashMap<usize, (Inlet, Outlet)>);

impl Edges {
    fn open(plan: &Plan) -> Self {
        let counters = |stage: &StagePlan| Arc::new(StageCounters::for_workers(stage.width.max));
        let mut inlets: Vec<Inlet> = plan.stages.iter().map(|stage| Inlet::new(counters(stage))).collect();
        let mut outlets: Vec<Outlet> = plan.stages.iter().map(|_| Outlet::default()).collect();
        for (consumer, stage) in plan.stages.iter().enumerate() {
            for producer in &stage.inputs {
                outlets[*producer].add(&plan.stages[*producer].id, &mut inlets[consumer], stage);
            }
        }
        Self(inlets.into_iter().zip(outlets).enumerate().collect())
    }

    fn take(&mut self, index: usize) -> (Inlet, Outlet) {
        self.0.remove(&index).expect("every stage has its two ends, taken once")
    }
}
