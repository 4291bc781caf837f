//! What can be seen of a run: a snapshot whenever one is wanted, and one that a thread of its own publishes four times a
//! second. It reads counters; the pipeline never waits for it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::RunEnd;
use super::build::Topology;
use super::node::NodeRuntime;
use super::shared::Shared;
use crate::monitor::{
    HostSampler, HostSnapshot, RunState, Snapshot, StageCounters, StageSnapshot, Tally, VERSION, Window,
};
use crate::plan::{Isolation, Role, StagePlan};

/// How often a snapshot is published: what a person can follow.
const EVERY: Duration = Duration::from_millis(250);

/// How often a queue's length is sampled for its mean: 20 a second tell a full queue from an empty one within a second.
const QUEUES_EVERY: Duration = Duration::from_millis(50);

/// What can be seen of a run, from anywhere and at any time.
#[derive(Clone)]
pub struct View {
    run: String,
    pipeline: String,
    started: chrono::DateTime<chrono::Utc>,
    began: Instant,
    shared: Arc<Shared>,
    stages: Arc<[Seen]>,
    latest: watch::Receiver<Arc<Snapshot>>,
    sampling: Arc<Mutex<(HostSampler, Window)>>,
}

/// A stage as a snapshot sees it: what does not change, and where the rest is read.
struct Seen {
    fixed: StageSnapshot,
    counters: Arc<StageCounters>,
    node: Option<Arc<NodeRuntime>>,
}

impl View {
    pub(super) fn begin(topology: &Topology) -> (Self, Publisher) {
        let Topology { plan, shared, .. } = topology;
        let (publish, latest) = watch::channel(Arc::default());
        let view = Self {
            run: shared.run.clone(),
            pipeline: plan.name.clone(),
            started: shared.started,
            began: shared.counters.events.began(),
            shared: Arc::clone(shared),
            stages: seen(topology),
            latest,
            sampling: Arc::default(),
        };
        let first = view.sampled();
        publish.send_replace(Arc::new(first));
        (view, Publisher(publish))
    }

    /// The run as it is now, without what is said of the last seconds and of the machine.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counters = &self.shared.counters;
        // First: what is read after it is the last, where it says that the run is over.
        let ended = self.shared.ended.get().copied();
        let (memory_used, memory_peak) = self.shared.budget.used();
        let tally = counters.tally(|tally| Tally {
            documents: tally.documents,
            chunks: tally.chunks,
            tokens: tally.tokens,
            rows: tally.rows,
            latest: tally.latest.clone(),
            ..Tally::default()
        });
        let (document_ms, slowest) = counters.latencies.told();
        Snapshot {
            document_ms,
            slowest,
            version: VERSION,
            run: self.run.clone(),
            pipeline: self.pipeline.clone(),
            started: self.started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            seconds: ended.map_or_else(|| self.began.elapsed().as_secs_f64(), |(_, seconds)| seconds),
            state: ended.map_or_else(|| self.state(), |(state, _)| state),
            listed: self.shared.listing.load(Relaxed) == 0,
            indexing: counters.indexing.load(Relaxed),
            paused: *self.shared.paused.borrow(),
            documents: tally.documents,
            bytes: counters.bytes.load(Relaxed),
            chunks: tally.chunks,
            tokens: tally.tokens,
            rows: tally.rows,
            memory_used,
            memory_peak,
            memory_budget: self.shared.budget.capacity(),
            stages: self.stages.iter().map(Seen::snapshot).collect(),
            edges: self
                .stages
                .iter()
                .filter_map(|seen| seen.node.as_ref())
                .flat_map(|node| node.inlet.snapshots())
                .collect(),
            services: self.shared.services.reports(),
            fleet: self.shared.fleet.as_ref().map(|workers| workers.0.workers()).unwrap_or_default(),
            host: HostSnapshot { ui_cpu_seconds: self.ui_cpu_seconds(), ..HostSnapshot::default() },
            failures: tally.latest.into(),
            events: counters.events.last(),
            ..Snapshot::default()
        }
    }

    /// The snapshots that are published four times a second; the last one says how the run ended.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.latest.clone()
    }

    /// Notes what the dashboard used of the CPU so far: it is part of what it shows.
    pub fn note_ui_cpu(&self, used: Duration) {
        self.shared.counters.ui_cpu.store(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What became of the documents.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.counters.tally(|tally| tally.clone())
    }

    /// How long the documents took that have come to an end so far, in microseconds.
    #[must_use]
    pub fn document_times(&self) -> Histogram<u64> {
        self.shared.counters.latencies.times()
    }

    /// The longest poll of any task by CPU time, where polls are watched.
    #[must_use]
    pub fn longest_poll(&self) -> Duration {
        Duration::from_nanos(self.shared.counters.longest_poll.load(Relaxed))
    }

    fn ui_cpu_seconds(&self) -> f64 {
        Duration::from_nanos(self.shared.counters.ui_cpu.load(Relaxed)).as_secs_f64()
    }

    fn state(&self) -> RunState {
        let shared = &self.shared;
        match () {
            () if shared.closing.is_cancelled() => RunState::Draining,
            () if shared.counters.indexing.load(Relaxed) => RunState::Indexing,
            () if *shared.paused.borrow() => RunState::Paused,
            () => RunState::Running,
        }
    }

    /// The run as it is now, with all that is said of it.
    fn sampled(&self) -> Snapshot {
        let mut sampling = self.sampling.lock().unwrap_or_else(PoisonError::into_inner);
        let (host, window) = &mut *sampling;
        let mut snapshot = self.snapshot();
        snapshot.host = host.sample(snapshot.seconds);
        snapshot.host.ui_cpu_seconds = self.ui_cpu_seconds();
        window.fill_in(&mut snapshot);
        snapshot
    }
}

/// What publishes snapshots.
pub(super) struct Publisher(watch::Sender<Arc<Snapshot>>);

/// A publisher at work. It ends when this is dropped.
pub(super) struct Publishing {
    _stop: mpsc::Sender<()>,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Publisher {
    /// Publishes until it is told that the run has ended, and once more then.
    pub(super) fn spawn(self, view: View) -> Publishing {
        let (stop, stopped) = mpsc::channel();
        let (ending, ended) = tokio::sync::oneshot::channel();
        let publish = move || {
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                self.0.send_replace(Arc::new(view.sampled()));
            }
            self.0.send_replace(Arc::new(view.sampled()));
            let _ = ending.send(());
        };
        // Where no thread can be had the run goes on unseen: the first snapshot stands.
        if let Err(error) = thread::Builder::new().name("sampler".into()).spawn(publish) {
            tracing::warn!(%error, "no thread for snapshots: nothing of this run is shown while it runs");
        }
        Publishing { _stop: stop, ended }
    }
}

impl Publishing {
    /// Has the last snapshot published.
    pub(super) async fn finish(self) {
        let Self { _stop: stop, ended } = self;
        drop(stop);
        // It is gone only where there was no thread.
        let _ = ended.await;
    }
}

/// Samples how full queues are, for as long as it is polled.
pub(super) async fn sample_queues(nodes: Vec<Arc<NodeRuntime>>) {
    let mut tick = tokio::time::interval(QUEUES_EVERY);
    // A process that was stopped for an hour has not sampled for one.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        for node in &nodes {
            node.inlet.sample();
        }
    }
}

fn seen(topology: &Topology) -> Arc<[Seen]> {
    let of = |stage: &StagePlan| {
        let node = topology.nodes.iter().find(|node| *node.id == *stage.id);
        let intake = topology.intakes.iter().find(|(intake, _)| *intake.id == *stage.id);
        let counters = node.map(|node| &node.counters).or(intake.map(|(intake, _)| &intake.counters))?;
        Some(Seen { fixed: fixed(stage), counters: Arc::clone(counters), node: node.cloned() })
    };
    topology.plan.stages.iter().filter_map(of).collect()
}

/// What of a stage does not change.
fn fixed(stage: &StagePlan) -> StageSnapshot {
    let service = if stage.tier == docmill_api::Tier::Service {
        stage.provider.clone().unwrap_or_else(|| stage.id.clone())
    } else {
        String::new()
    };
    let role = match stage.role {
        Role::Source => "source",
        Role::Stage => "stage",
        Role::Sink => "sink",
    };
    StageSnapshot {
        id: stage.id.clone(),
        kind: stage.kind.clone(),
        tier: stage.tier.as_str().to_owned(),
        role: role.to_owned(),
        service,
        width: stage.width.start,
        workers_alive: 1,
        min: stage.width.min,
        max: stage.width.max,
        auto: stage.width.auto,
        isolated: stage.isolation == Isolation::Process,
        settings: settings(stage),
        ..StageSnapshot::default()
    }
}

fn settings(stage: &StagePlan) -> BTreeMap<String, String> {
    use docmill_api::units::{Size, Span};
    let mut settings = BTreeMap::from([("timeout".to_owned(), Span(stage.timeout).to_string())]);
    if stage.role != Role::Source {
        settings.insert("queue".into(), stage.queue.to_string());
        let (attempts, total) = (stage.retry.attempts, Span(stage.retry.total));
        settings.insert("retry".into(), format!("{attempts} attempts within {total}"));
    }
    if let Some(batch) = &stage.batch {
        let (items, tokens, wait) = (batch.items, batch.tokens, Span(batch.wait));
        settings.insert("batch".into(), format!("{items} items, {tokens} tokens, {wait}"));
    }
    if stage.isolation == Isolation::Process {
        let memory = stage.child_memory.map_or("no limit".to_owned(), |memory| Size(memory).to_string());
        settings.insert("isolation".into(), format!("process, {memory} a child"));
    }
    if let Some(provider) = &stage.provider {
        settings.insert("provider".into(), provider.clone());
    }
    settings
}

impl Seen {
    fn snapshot(&self) -> StageSnapshot {
        let fixed = self.fixed.clone();
        self.counters.snapshot(match &self.node {
            None => fixed,
            Some(node) => StageSnapshot {
                // Before its workers are started, the width that they will be started with.
                width: if node.gate.width() == 0 { fixed.width } else { node.gate.width() },
                workers_alive: node.gate.alive(),
                auto: node.auto.load(Relaxed),
                queue: node.inlet.queue(),
                ..fixed
            },
        })
    }
}

impl Shared {
    /// Notes how the run ended, for the last snapshot.
    pub(super) fn note_end(&self, end: &RunEnd) {
        let (state, text) = match end {
            RunEnd::Completed => (RunState::Completed, "every document has come to an end".to_owned()),
            RunEnd::Drained => (RunState::Drained, "what was in hand is finished".to_owned()),
            RunEnd::Stopped => (RunState::Stopped, "stopped: documents in hand are unfinished".to_owned()),
            RunEnd::Fatal { stage, error } => (RunState::Failed, format!("cannot go on: stage `{stage}`: {error}")),
        };
        let (kind, by) = (crate::monitor::EventKind::Run, "run".to_owned());
        self.counters.events.add(crate::monitor::Event { kind, by, text, ..crate::monitor::Event::default() });
        // After it: a snapshot that says that the run is over has all that is to be said of it.
        let _ = self.ended.set((state, self.counters.events.began().elapsed().as_secs_f64()));
    }
}
