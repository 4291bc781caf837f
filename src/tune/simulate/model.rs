//! What is simulated: plain figures, which can be written down or taken from a recorded run. Times are in seconds.

use std::collections::BTreeMap;

use super::times::Times;

/// A pipeline and the machine under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// CPUs, or what is allowed of them: `1.5` is one and a half.
    pub cpus: f64,
    /// Permits of the CPU pool.
    pub cpu_threads: usize,
    /// The memory budget in bytes; 0 for none.
    pub memory: u64,
    /// The most documents in flight.
    pub in_flight: usize,
    /// How many documents the sources have; shared among them in turn. `u64::MAX` for a run that does not end.
    pub documents: u64,
    /// Bytes of a document, from admission to its end.
    pub bytes: u64,
    /// In topological order: a stage comes after those that it reads.
    pub stages: Vec<StageModel>,
    /// Model services, by name.
    pub services: BTreeMap<String, ServiceModel>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: String::new(),
            cpus: 1.0,
            cpu_threads: 1,
            memory: 0,
            in_flight: 1000,
            documents: u64::MAX,
            bytes: 0,
            stages: Vec::new(),
            services: BTreeMap::new(),
        }
    }
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageModel {
    /// Its id.
    pub id: String,
    /// The stages that it reads; a source reads none.
    pub inputs: Vec<String>,
    /// `io`, `cpu` or `service`.
    pub tier: String,
    /// The model service that it asks; empty for none.
    pub service: String,
    /// Whether its workers are child processes: they take no permit of the CPU pool.
    pub isolated: bool,
    /// The width at the start.
    pub width: usize,
    /// The least width.
    pub min: usize,
    /// The largest width.
    pub max: usize,
    /// Whether the planner may change it.
    pub auto: bool,
    /// What its queue holds, in records.
    pub queue: usize,
    /// How long a call takes.
    pub call: Times,
    /// What each record beyond the first adds to it.
    pub item: f64,
    /// CPU seconds in a second of a call.
    pub cpu: f64,
    /// Where it takes batches.
    pub batch: Option<BatchModel>,
    /// Records that it makes of one, on average: whole ones, and one more as often as the fraction says.
    pub yields: f64,
    /// The share of what the stages before it make that it accepts.
    pub accepts: f64,
}

impl Default for StageModel {
    fn default() -> Self {
        Self {
            id: String::new(),
            inputs: Vec::new(),
            tier: "io".into(),
            service: String::new(),
            isolated: false,
            width: 1,
            min: 1,
            max: 256,
            auto: true,
            queue: 50,
            call: Times::default(),
            item: 0.0,
            cpu: 0.0,
            batch: None,
            yields: 1.0,
            accepts: 1.0,
        }
    }
}

/// How a batch is gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchModel {
    /// Records in it at most.
    pub items: usize,
    /// How long the first waits for others.
    pub wait: f64,
}

/// A model service, and what is known of it on this side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceModel {
    /// Calls that it answers at once; it refuses what is beyond. 0 for any number. Nobody tells the client.
    pub capacity: usize,
    /// How soon it refuses.
    pub refuses_after: f64,
    /// How long a call waits after a refusal.
    pub retry_after: f64,
    /// Calls at once that the client is told to keep to; 0 for what it finds out.
    pub concurrency: usize,
    /// Calls a minute that the client is told to keep to; 0 for any number.
    pub per_minute: f64,
}

/// Why a model cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is nothing to simulate.
    #[error("the model has no stage that reads another")]
    Empty,
    /// A stage reads what does not come before it.
    #[error("`{stage}` reads `{input}`, which does not come before it")]
    Input {
        /// The stage.
        stage: String,
        /// What it reads.
        input: String,
    },
    /// A stage asks a service that the model does not have.
    #[error("`{stage}` asks the service `{service}`, which the model does not have")]
    Service {
        /// The stage.
        stage: String,
        /// The service.
        service: String,
    },
    /// A figure makes no sense.
    #[error("`{of}` has no {what}")]
    Missing {
        /// Of which stage; the model's name for the machine.
        of: String,
        /// What is missing.
        what: &'static str,
    },
}

impl Model {
    /// Whether it can be simulated.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), ModelError> {
        let missing = |of: &str, what| Err(ModelError::Missing { of: of.to_owned(), what });
        if self.stages.iter().all(|stage| stage.inputs.is_empty()) {
            return Err(ModelError::Empty);
        }
        if self.cpus <= 0.0 || self.cpu_threads == 0 {
            return missing(&self.name, "CPUs");
        }
        if self.in_flight == 0 {
            return missing(&self.name, "place in flight");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let known = |input: &String| self.stages[..index].iter().any(|before| before.id == *input);
            if let Some(input) = stage.inputs.iter().find(|input| !known(input)) {
                return Err(ModelError::Input { stage: stage.id.clone(), input: input.clone() });
            }
            if !stage.service.is_empty() && !self.services.contains_key(&stage.service) {
                return Err(ModelError::Service { stage: stage.id.clone(), service: stage.service.clone() });
            }
            if stage.width == 0 || stage.min == 0 {
                return missing(&stage.id, "workers");
            }
            if stage.queue == 0 || stage.batch.is_some_and(|batch| batch.items == 0) {
                return missing(&stage.id, "room");
            }
        }
        Ok(())
    }
}
