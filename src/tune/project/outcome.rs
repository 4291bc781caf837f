//! What a projection says: figures, for people and for programs alike. How it is printed is elsewhere.

use serde::Serialize;

use crate::tune::{Bottleneck, Change};

/// What a bigger machine would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Projection {
    /// The version of this format: 1.
    pub version: u32,
    /// The recorded run.
    pub run: String,
    /// Its pipeline's name.
    pub pipeline: String,
    /// What the model gives for the recorded machine, against what the run did.
    pub check: Check,
    /// What was asked about.
    pub target: Target,
    /// Documents a second of all machines together.
    pub documents_per_second: Interval,
    /// Hours for the documents that were asked about.
    pub hours: Option<Interval>,
    /// CPUs in use, of one machine.
    pub cpus_used: f64,
    /// Memory, of one machine.
    pub memory: Footprint,
    /// Every stage, in the order of the pipeline.
    pub stages: Vec<ProjectedStage>,
    /// The widths that differ from the run's, of one machine.
    pub widths: Vec<Change>,
    /// What bounds throughput.
    pub limit: Bottleneck,
    /// What would come next.
    pub next: Option<WithoutLimit>,
    /// How it scales: one row for each number of machines; empty for one.
    pub machines: Vec<Scaled>,
    /// What is taken for granted, a sentence each.
    pub assumptions: Vec<String>,
    /// What makes the projection doubtful, a sentence each.
    pub warnings: Vec<String>,
}

/// The model tried on the machine that the run was recorded on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Check {
    /// CPUs of that machine.
    pub cores: f64,
    /// Its memory in bytes; 0 where the recording does not tell.
    pub memory: u64,
    /// Documents that were looked at.
    pub documents: u64,
    /// In so many seconds of the run.
    pub seconds: f64,
    /// Whether that is a stretch in which the run went steadily; else it is all of it, with its beginning and its end.
    pub steady: bool,
    /// Documents a second that the run did.
    pub run: f64,
    /// Documents a second that the model gives.
    pub model: f64,
    /// By which share the model gives more: 0.026 for 2.6 %.
    pub difference: f64,
    /// CPUs in use in the run.
    pub run_cpus: f64,
    /// CPUs in use in the model.
    pub model_cpus: f64,
    /// What bounds throughput in the model.
    pub limit: Bottleneck,
}

/// The machine that is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Target {
    /// CPUs of each machine.
    pub cores: f64,
    /// Memory of each machine in bytes; 0 where neither the recording nor the question tells.
    pub memory: u64,
    /// How many machines.
    pub machines: usize,
    /// How many documents.
    pub documents: Option<u64>,
}

/// A figure, and where it lies nine times of ten if the assumptions hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    /// The figure.
    pub mean: f64,
    /// At least this.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

/// Memory of one machine, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Footprint {
    /// Of documents in flight.
    pub in_flight: f64,
    /// The most that may be in flight: `[run] memory`.
    pub budget: u64,
    /// Of the process, with what is in flight.
    pub process: f64,
    /// Of its children.
    pub children: f64,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProjectedStage {
    /// Its id.
    pub stage: String,
    /// The width that the run had.
    pub from: usize,
    /// The width there, of one machine.
    pub to: usize,
    /// The share of its workers' time that it was at work, in the run.
    pub busy_run: f64,
    /// The same in the model of the recorded machine.
    pub busy_model: f64,
    /// The same on the machine that is asked about.
    pub busy: f64,
}

/// What would be with eight times as much of what bounds throughput.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WithoutLimit {
    /// Documents a second then.
    pub documents_per_second: f64,
    /// What bounds throughput then.
    pub limit: Bottleneck,
}

/// So many machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scaled {
    /// How many.
    pub machines: usize,
    /// Documents a second of all together.
    pub documents_per_second: Interval,
    /// How many times as fast as one machine.
    pub times: f64,
    /// What bounds throughput.
    pub limit: Bottleneck,
}

impl Interval {
    /// A figure with a relative error on either side.
    pub(super) fn around(mean: f64, spread: f64) -> Self {
        Self { mean, low: mean * (1.0 - spread).max(0.0), high: mean * (1.0 + spread) }
    }

    /// How long `work` takes at this rate: the most at its least.
    pub(super) fn time_for(self, work: f64) -> Self {
        let at = |rate: f64| if rate > 0.0 { work / rate } else { f64::MAX };
        Self { mean: at(self.mean), low: at(self.high), high: at(self.low) }
    }
}
