//! One service, ready to be asked: async-openai's client over our transport, with limits before each call, a class
//! after each failure, and everything counted.

use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use docmill_api::{Clock, Digest, Services, StageError};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::error::{CallError, Class};
use crate::http::{Transport, client, failed};
use crate::limit::{self, Cost, Limits, Outcome, Permit};
use crate::settings::{Settings, Unit};
use crate::usage::Usage;

/// A model service: one table of settings, its key read, its limits shared with all who use the same one.
pub struct Llm {
    pub(crate) settings: Settings,
    pub(crate) client: Client<Address>,
    name: String,
    /// Where its settings stand, for complaints: `[providers.work]` or `[stages.summarize]`.
    table: String,
    limits: Arc<Limits>,
    usage: Arc<Usage>,
}

/// Whose settings a service has.
#[derive(Clone, Debug)]
pub struct Named {
    /// What the report calls it.
    pub name: String,
    /// Where its settings stand.
    pub table: String,
}

impl Named {
    /// The service of a stage, by the table that its settings come from.
    #[must_use]
    pub fn of_stage(cx: &docmill_api::BuildContext) -> Self {
        match &cx.provider {
            Some(provider) => Self { name: provider.clone(), table: format!("[providers.{provider}]") },
            None => Self { name: cx.stage.clone(), table: format!("[stages.{}]", cx.stage) },
        }
    }
}

impl Llm {
    /// Opens it. Nothing is asked yet.
    ///
    /// # Errors
    /// Fatal: a setting is wrong, or a variable that holds a key is not set.
    pub fn open(named: Named, settings: Settings, services: &Services) -> Result<Self, StageError> {
        if let Some(issue) = settings.complaints().into_iter().next() {
            return Err(StageError::fatal(format!("`{}` in {}: {}", issue.path.join("."), named.table, issue.message)));
        }
        let address = Address::new(&settings, &named.table)?;
        let declared = limit::Settings {
            requests_per_minute: some(settings.limits.requests_per_minute),
            tokens_per_minute: some(settings.limits.tokens_per_minute),
            concurrency: Some(settings.limits.concurrency).filter(|limit| *limit > 0),
        };
        let shared = services.share(&address.identity(), |learned| Ok(Shared(Limits::new(declared, learned))))?;
        // Another table of the same service may have declared less.
        shared.0.tighten(declared);
        let limits = Arc::clone(&shared.0);
        let usage = services
            .share(&format!("usage of {}", named.name), |_| Ok(Usage::new(named.name.clone(), Arc::clone(&limits))))?;
        let http = client(&settings)?;
        let transport = Transport { client: http.clone(), limits: Arc::clone(&limits) };
        let client = Client::build(http, address).with_http_service(transport);
        Ok(Self { settings, client, name: named.name, table: named.table, limits, usage })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the engine is to do about a failure.
    #[must_use]
    pub fn for_stage(&self, error: CallError) -> StageError {
        error.for_stage(&self.name, &self.table)
    }

    /// A failure that no further call mends, because a setting is wrong.
    #[must_use]
    pub fn wrong_setting(&self, field: &str, error: &CallError) -> StageError {
        StageError::fatal(format!("`{}` {error}; mend `{field}` in {}", self.name, self.table))
    }

    /// Waits for its turn, off the clock of the stage that asks.
    pub(crate) async fn turn(&self, clock: &Clock, items: usize, tokens: usize) -> Result<Call<'_>, CallError> {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let cost = Cost {
            requests: if self.settings.limits.unit == Unit::Item { items as f64 } else { 1.0 },
            tokens: tokens as f64,
        };
        match clock.held(self.limits.permit(cost)).await {
            Ok(permit) => {
                self.usage.sent();
                Ok(Call { llm: self, permit: Some(permit) })
            }
            Err(open) => {
                let message = "has not answered for a while and is left alone for a moment";
                Err(CallError { retry_after: Some(open.after), ..CallError::new(Class::Overloaded, message) })
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a limit is none")]
fn some(limit: u64) -> Option<f64> {
    (limit > 0).then_some(limit as f64)
}

/// The limits as something that is open once.
struct Shared(Arc<Limits>);

impl docmill_api::Service for Shared {
    fn learned(&self) -> Option<serde_json::Value> {
        self.0.learned()
    }

    fn share_among(&self, processes: usize) {
        self.0.share_among(processes);
    }
}

/// A call that has its turn. Where it is dropped without an end, it took too long: the engine drops what does.
pub(crate) struct Call<'a> {
    llm: &'a Llm,
    permit: Option<Permit>,
}

impl Call<'_> {
    /// Waits for the answer, as long as a call may take.
    pub(crate) async fn answer<T>(
        mut self,
        asked: impl Future<Output = Result<T, OpenAIError>>,
        read: impl FnOnce(T) -> Result<(T, Used), CallError>,
    ) -> Result<T, CallError> {
        let limit = self.llm.settings.timeouts().1;
        let answered = match tokio::time::timeout(limit, asked).await {
            Ok(Ok(answer)) => read(answer),
            Ok(Err(error)) => Err(class_of(error)),
            Err(_) => Err(late(limit)),
        };
        match answered {
            Ok((answer, used)) => {
                self.llm.usage.used(used.input, used.output, self.llm.settings.prices);
                #[expect(clippy::cast_precision_loss, reason = "some thousands")]
                let tokens = Some((used.input + used.output) as f64).filter(|tokens| *tokens > 0.0);
                self.end(Outcome::Answered { tokens });
                Ok(answer)
            }
            Err(error) => {
                self.llm.usage.failed(error.class);
                self.end(error.class.outcome(error.retry_after));
                Err(error)
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            permit.ended(outcome);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.permit.is_some() {
            self.llm.usage.failed(Class::Timeout);
            self.end(Outcome::TimedOut);
        }
    }
}

/// The tokens of a call, as the service counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

fn late(limit: Duration) -> CallError {
    CallError::new(
        Class::Timeout,
        format!("did not answer within {} (`call_timeout`)", docmill_api::units::Span(limit)),
    )
}

/// What async-openai's client makes of a failure, which is mostly ours, passed through.
pub(crate) fn class_of(error: OpenAIError) -> CallError {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<CallError>() {
            Ok(ours) => *ours,
            Err(other) => CallError::new(Class::Connection, format!("cannot be asked: {other}")),
        },
        OpenAIError::Reqwest(error) => failed(&error),
        OpenAIError::JSONDeserialize(error, _) => {
            CallError::new(Class::Garbage, format!("answered something that cannot be read: {error}"))
        }
        OpenAIError::StreamError(error) => CallError::new(Class::Connection, format!("broke off its answer: {error}")),
        other => CallError::new(Class::BadRequest, format!("cannot be asked: {other}")),
    }
}

/// Where requests go and what they carry. Its `Debug` shows no header.
pub(crate) struct Address {
    base: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    key: SecretString,
}

impl Address {
    fn new(settings: &Settings, table: &str) -> Result<Self, StageError> {
        let variable = |field: &str, name: &str| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
                StageError::fatal(format!("the variable `{name}` is not set, which `{field}` in {table} names"))
            })
        };
        let key = settings.key_variable().map(|name| variable("api_key_env", name)).transpose()?;
        let secret = |field: &str, text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| StageError::fatal(format!("`{field}` in {table} holds what no header may hold")))?;
            value.set_sensitive(true);
            Ok::<_, StageError>(value)
        };
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            match settings.api_version.as_str() {
                "" => headers.insert(AUTHORIZATION, secret("api_key_env", &format!("Bearer {key}"))?),
                _ => headers.insert("api-key", secret("api_key_env", key)?),
            };
        }
        if !settings.organization.is_empty() {
            headers.insert("openai-organization", secret("organization", &settings.organization)?);
        }
        for (name, value) in &settings.headers {
            let value = match value.strip_prefix('$') {
                Some(name) => variable("headers", name)?,
                None => value.clone(),
            };
            let name: HeaderName = name
                .parse()
                .map_err(|_| StageError::fatal(format!("`headers` in {table}: `{name}` is no name of a header")))?;
            headers.insert(name, secret("headers", &value)?);
        }
        let query = match settings.api_version.as_str() {
            "" => Vec::new(),
            version => vec![("api-version".to_owned(), version.to_owned())],
        };
        Ok(Self { base: settings.base_url().to_owned(), query, headers, key: key.unwrap_or_default().into() })
    }

    /// What tells one service from another: its address, and of its key no more than tells it from other keys.
    fn identity(&self) -> String {
        use secrecy::ExposeSecret;
        let key = Digest::of(&[b"docmill: whose limits", self.key.expose_secret().as_bytes()]).to_string();
        format!("limits of {} {}", self.base, &key[..8])
    }
}

impl Config for Address {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
    fn query(&self) -> Vec<(&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
    fn api_base(&self) -> &str {
        &self.base
    }
    fn api_key(&self) -> &SecretString {
        &self.key
    }
}
