//! Model services: what a pipeline's stages and a program's commands share of one, and how a kind of service becomes
//! known.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FieldSpec, Issue, StageError};

/// What a service did so far, as a snapshot and a run's report show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Calls that were sent.
    pub calls: u64,
    /// Those that failed, by class (`rate_limited`, `overloaded`, `timeout` …).
    pub errors: BTreeMap<String, u64>,
    /// Tokens of prompts and answers, as the service counts them.
    pub tokens: u64,
    /// What they cost, by the prices that are configured.
    pub cost: f64,
    /// How often it was left alone because it did not answer.
    pub breaker_opened: u64,
    /// `ok`, `probing` or `open`: whether it is left alone now.
    pub breaker: String,
    /// Calls under way.
    pub in_flight: u64,
    /// How many calls it is sent at once at most; 0 for any number.
    pub concurrency: u64,
    /// How many requests a minute it is sent at most; 0 for any number.
    pub requests_per_minute: f64,
}

/// Something of a service that is open once in a process: its limits, its counters.
pub trait Service: Any + Send + Sync {
    /// What it did, under the name that the user knows it by; `None` for a part that has no name.
    fn report(&self) -> Option<(String, ServiceReport)> {
        None
    }

    /// What it found out of the other side and the next process should begin with.
    fn learned(&self) -> Option<Value> {
        None
    }

    /// So many processes, this one counted, share from now on what the other side allows.
    fn share_among(&self, _processes: usize) {}
}

/// The services that are open in this process, so that all who use one share its limits.
///
/// One of a run, or of a command; never of the process, so that two runs in one process know nothing of each other.
#[derive(Clone, Default)]
pub struct Services(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    services: BTreeMap<String, Arc<dyn Service>>,
    learned: BTreeMap<String, Value>,
    /// Among how many processes limits are shared, where it was said.
    among: Option<usize>,
}

impl Services {
    /// With what an earlier process learned.
    #[must_use]
    pub fn with_learned(learned: BTreeMap<String, Value>) -> Self {
        Self(Arc::new(Mutex::new(Open { learned, ..Open::default() })))
    }

    /// The service under this key, opened by the first who asks. It holds no secret: what was learned is kept under it.
    ///
    /// # Errors
    /// `open` failed; or something of another type is open under the key.
    pub fn share<S: Service>(
        &self,
        key: &str,
        open: impl FnOnce(Option<&Value>) -> Result<S, StageError>,
    ) -> Result<Arc<S>, StageError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.services.get(key) {
            let found: Arc<dyn Any + Send + Sync> = Arc::clone(found) as _;
            return found.downcast().map_err(|_| StageError::fatal(format!("`{key}` is open as something else")));
        }
        let service = Arc::new(open(all.learned.get(key))?);
        if let Some(among) = all.among {
            service.share_among(among);
        }
        all.services.insert(key.to_owned(), Arc::clone(&service) as _);
        Ok(service)
    }

    /// So many processes, this one counted, share from now on what services allow: also those that are opened later.
    pub fn share_among(&self, processes: usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.among = Some(processes.max(1));
        for service in all.services.values() {
            service.share_among(processes.max(1));
        }
    }

    /// What each did so far, by name.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<String, ServiceReport> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.services.values().filter_map(|service| service.report()).collect()
    }

    /// What was learned, earlier and now.
    #[must_use]
    pub fn learned(&self) -> BTreeMap<String, Value> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut learned = all.learned.clone();
        learned.extend(all.services.iter().filter_map(|(key, service)| Some((key.clone(), service.learned()?))));
        learned
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(all.services.keys()).finish()
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Whoever set the task.
    System,
    /// Whoever asks, and the material.
    User,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// In their order.
    pub messages: Vec<Message>,
    /// How many tokens the answer may have.
    pub max_tokens: usize,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Tokens of the prompt, as the service counts them; 0 where it does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer, likewise.
    pub answer_tokens: u64,
    /// Whether it was cut off by `max_tokens`.
    pub cut: bool,
}

/// A model that talks, for commands.
///
/// An error is classed as a stage's is: `Transient` and `Overload` are worth another call, all else is not.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Which model it is.
    fn model(&self) -> &str;

    /// How many tokens a prompt and its answer may have together.
    fn context(&self) -> usize;

    /// How many tokens a text has for the model, or somewhat more: never fewer.
    fn count(&self, text: &str) -> usize;

    /// Asks. The answer is given to `heard` piece by piece as it comes, and whole in the end. Where a call fails after
    /// pieces came, the pieces of the next one begin anew.
    ///
    /// # Errors
    /// The service cannot be reached, or refuses.
    async fn ask(
        &self,
        conversation: &Conversation,
        heard: &mut (dyn for<'a> FnMut(&'a str) + Send),
    ) -> Result<Answer, StageError>;
}

/// Makes one kind of model service: what `kind = "…"` of a table in `[providers]` says.
#[async_trait]
pub trait ServiceFactory: Send + Sync + 'static {
    /// Its kind.
    fn kind(&self) -> &'static str;

    /// One sentence: what it is.
    fn summary(&self) -> &'static str;

    /// The fields of its table. A stage that can use it has fields of the same names, which hold for it alone.
    fn fields(&self) -> Vec<FieldSpec>;

    /// Finds what the types cannot say, without I/O.
    fn validate(&self, settings: &Value) -> Vec<Issue>;

    /// Opens the service to talk with, under a name that the user knows.
    ///
    /// # Errors
    /// A key is missing, or the settings are wrong.
    async fn chat(&self, name: &str, settings: Value, services: &Services) -> Result<Arc<dyn Chat>, StageError>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Limits(u64);
    impl Service for Limits {
        fn learned(&self) -> Option<Value> {
            Some(json!(self.0 + 1))
        }
    }
    struct Other;
    impl Service for Other {}

    #[test]
    fn one_key_is_one_service_that_begins_with_what_was_learned() {
        let services = Services::with_learned(BTreeMap::from([("a".to_owned(), json!(7)), ("b".to_owned(), json!(1))]));
        let open = |learned: Option<&Value>| Ok(Limits(learned.and_then(Value::as_u64).unwrap_or_default()));
        let first = services.share("a", open).expect("opened");
        let second = services.share("a", |_| Err(StageError::fatal("not opened twice"))).expect("shared");
        assert!(Arc::ptr_eq(&first, &second) && first.0 == 7);
        assert!(services.share("a", |_| Ok(Other)).is_err());
        assert_eq!(services.learned(), BTreeMap::from([("a".to_owned(), json!(8)), ("b".to_owned(), json!(1))]));
    }
}
