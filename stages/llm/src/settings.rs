//! The settings of a service: the fields that a table in `[providers]` has, and a stage that names a service directly.

use std::collections::BTreeMap;
use std::time::Duration;

use docmill_api::units::Span;
use docmill_api::{FieldSpec, FieldType, Issue, StageError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The kind of service that there is.
pub const KIND: &str = "openai";

/// Where OpenAI is.
const OPENAI: &str = "https://api.openai.com/v1";
/// The variable that holds its key, unless another is named.
const OPENAI_KEY: &str = "OPENAI_API_KEY";
/// The variable of the organisation there.
const LARGEST: i64 = i64::MAX;

/// What a limit counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A call.
    #[default]
    Request,
    /// Each text of a call: some services count so.
    Item,
}

/// What the service is asked at most.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute; 0 for what it turns out to take.
    pub requests_per_minute: u64,
    /// Tokens a minute; 0 for any number.
    pub tokens_per_minute: u64,
    /// Calls at once; 0 for what it turns out to take.
    pub concurrency: usize,
    /// What counts as a request.
    pub unit: Unit,
}

/// Prices per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of prompts, and of texts that are embedded.
    pub input: f64,
    /// Of answers.
    pub output: f64,
}

/// A service, as its table says it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Settings {
    /// Where it is, with the version: what stands before `/chat/completions`. Empty for OpenAI.
    pub base_url: String,
    /// Which model.
    pub model: String,
    /// The variable that holds the key.
    pub api_key_env: String,
    /// Set for deployments in the style of Azure: it goes into every address, and the key into `api-key`.
    pub api_version: String,
    /// The organisation that calls are billed to.
    pub organization: String,
    /// Further headers; a value that begins with `$` names the variable that holds it.
    pub headers: BTreeMap<String, String>,
    /// The proxy that all calls go through.
    pub proxy: String,
    /// How long connecting may take.
    pub connect_timeout: Span,
    /// How long one call may take in all.
    pub call_timeout: Span,
    /// How many tokens a prompt and its answer may have together.
    pub context: usize,
    /// The length of its vectors, for one that embeds.
    pub dimensions: usize,
    /// Whether it is told the length: for models that shorten their vectors.
    pub send_dimensions: bool,
    /// How varied its answers are; below 0 for the model's own choice.
    pub temperature: f64,
    /// What it is asked at most.
    pub limits: Limits,
    /// What it costs.
    pub prices: Prices,
}

fn count(name: &'static str, default: u64, doc: &'static str) -> FieldSpec {
    FieldSpec::new(name, FieldType::Integer { min: 0, max: LARGEST }, json!(default), doc)
}

fn text(name: &'static str, doc: &'static str) -> FieldSpec {
    FieldSpec::new(name, FieldType::Text, json!(""), doc)
}

/// The fields of every service.
#[must_use]
pub fn fields() -> Vec<FieldSpec> {
    let mut all = connection();
    all.extend(model());
    all
}

/// The fields for a stage that talks, and makes no vectors.
#[must_use]
pub fn chat_fields() -> Vec<FieldSpec> {
    fields().into_iter().filter(|field| !matches!(field.name, "dimensions" | "send_dimensions")).collect()
}

/// The fields for a stage that embeds, and does not talk.
#[must_use]
pub fn embedding_fields() -> Vec<FieldSpec> {
    fields().into_iter().filter(|field| !matches!(field.name, "temperature")).collect()
}

fn connection() -> Vec<FieldSpec> {
    let time = |name, default: &str, doc| FieldSpec::new(name, FieldType::Duration, json!(default), doc);
    let limits = vec![
        count("requests_per_minute", 0, "Requests a minute; 0 for what it turns out to take."),
        count("tokens_per_minute", 0, "Tokens a minute; 0 for any number."),
        count("concurrency", 0, "Calls at once; 0 for what it turns out to take."),
        FieldSpec::new(
            "unit",
            FieldType::Choice(&["request", "item"]),
            json!("request"),
            "What counts as a request: a call, or each text in it.",
        ),
    ];
    let price = FieldType::Number { min: 0.0, max: f64::MAX };
    let prices = vec![
        FieldSpec::new(
            "input",
            price.clone(),
            json!(0.0),
            "Of a million tokens of prompts, and of texts that are embedded.",
        ),
        FieldSpec::new("output", price, json!(0.0), "Of a million tokens of answers."),
    ];
    vec![
        text(
            "base_url",
            "Where the service is, up to what stands before `/chat/completions`; OpenAI where it is empty.",
        ),
        text("api_key_env", "The variable that holds the key; empty for none, and for OpenAI `OPENAI_API_KEY`."),
        text(
            "api_version",
            "For deployments in the style of Azure: it goes into every address, and the key into the header `api-key`.",
        ),
        text("organization", "The organisation that calls are billed to."),
        FieldSpec::new(
            "headers",
            FieldType::Map(Box::new(FieldType::Text)),
            json!({}),
            "Further headers of every call; a value `$NAME` is that of the variable NAME.",
        ),
        text("proxy", "The proxy that all calls go through: `http://host:port`."),
        time("connect_timeout", "10s", "How long connecting may take."),
        time("call_timeout", "5m", "How long one call may take in all; the stage's `timeout` holds as well."),
        FieldSpec::new(
            "limits",
            FieldType::Table(limits),
            json!({}),
            "What the service is asked at most, by all who share it: those with the same `base_url` and key.",
        ),
        FieldSpec::new("prices", FieldType::Table(prices), json!({}), "What a million tokens cost, for the report."),
    ]
}

fn model() -> Vec<FieldSpec> {
    vec![
        text("model", "The model's name, as the service knows it.").output(),
        count(
            "context",
            8192,
            "How many tokens the model takes: a prompt and its answer together, or a text that it embeds.",
        ),
        count("dimensions", 0, "The length of the model's vectors; must be set where it embeds.").output(),
        FieldSpec::new(
            "send_dimensions",
            FieldType::Bool,
            json!(false),
            "Whether the model is told how long its vectors are to be: for those that shorten them.",
        )
        .output(),
        FieldSpec::new(
            "temperature",
            FieldType::Number { min: -1.0, max: 2.0 },
            json!(0.0),
            "How varied the answers are; below 0 it is not sent, for models that take none.",
        )
        .output(),
    ]
}

/// What stands in for fields that a stage does not have.
fn whole(settings: &Value) -> Value {
    let mut all = docmill_api::defaults(&fields());
    for name in ["limits", "prices"] {
        let nested = fields().into_iter().find(|field| field.name == name);
        if let Some(FieldType::Table(nested)) = nested.map(|field| field.ty) {
            all[name] = docmill_api::defaults(&nested);
        }
    }
    let Value::Object(given) = settings else { return all };
    for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match (all.get_mut(key), value) {
            (Some(Value::Object(table)), Value::Object(given)) if key != "headers" => table.extend(given.clone()),
            (Some(known), value) => *known = value.clone(),
            // The stage's own.
            (None, _) => {}
        }
    }
    all
}

/// The fields of a stage's table that are its service's: what the stage itself has no field for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Table(Map<String, Value>);

impl Table {
    /// The service's settings.
    ///
    /// # Errors
    /// See [`Settings::read`].
    pub fn settings(&self) -> Result<Settings, StageError> {
        Settings::read(&Value::Object(self.0.clone()))
    }

    /// Complains of keys that are none of these fields.
    #[must_use]
    pub fn unknown(&self, fields: &[FieldSpec]) -> Vec<Issue> {
        let is_known = |key: &&String| fields.iter().any(|field| field.name == key.as_str());
        let unknown = self.0.keys().filter(|key| !is_known(key));
        unknown.map(|key| Issue::new(key, "unknown key")).collect()
    }
}

impl Settings {
    /// Reads them off a table that may hold other fields too.
    ///
    /// # Errors
    /// Fatal: a field has the wrong type, which a plan does not let through.
    pub fn read(table: &Value) -> Result<Self, StageError> {
        serde_json::from_value(whole(table))
            .map_err(|error| StageError::fatal(format!("a service's settings: {error}")))
    }

    /// Finds what the types cannot say, without I/O.
    #[must_use]
    pub fn complaints(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.model.trim().is_empty() {
            issues
                .push(Issue::new("model", "no model is named").hint("write the model's name, as the service knows it"));
        }
        for (field, address) in [("base_url", self.base_url()), ("proxy", self.proxy.as_str())] {
            if field == "proxy" && address.is_empty() {
                continue;
            }
            let parsed = reqwest_13::Url::parse(address);
            match parsed {
                Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                    let issue = Issue::new(field, format!("`{address}` is no address of a web server"));
                    issues.push(issue.hint("write it as \"http://127.0.0.1:8000/v1\""));
                }
                Ok(url) if url.password().is_some() || !url.username().is_empty() => {
                    let issue = Issue::new(field, "a password does not belong into a file");
                    issues.push(issue.hint("name a variable with `api_key_env`, or in `headers` as \"$NAME\""));
                }
                Ok(_) => {}
                Err(error) => issues.push(Issue::new(field, format!("`{address}` is no address: {error}"))),
            }
        }
        for (name, value) in &self.headers {
            if name.parse::<http::HeaderName>().is_err() {
                issues.push(Issue::new("headers", format!("`{name}` is no name of a header")));
            } else if is_secret(name) && !value.starts_with('$') {
                let issue =
                    Issue::new("headers", format!("`{name}` holds a secret, which does not belong into a file"));
                issues.push(issue.hint("name the variable that holds it: \"$NAME\""));
            }
        }
        issues
    }

    /// Where the service is, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        if self.base_url.is_empty() { OPENAI } else { self.base_url.trim_end_matches('/') }
    }

    /// The variable that holds the key, if it has one.
    #[must_use]
    pub fn key_variable(&self) -> Option<&str> {
        match self.api_key_env.as_str() {
            "" if self.base_url() == OPENAI => Some(OPENAI_KEY),
            "" => None,
            named => Some(named),
        }
    }

    /// How long connecting and a whole call may take.
    #[must_use]
    pub fn timeouts(&self) -> (Duration, Duration) {
        (self.connect_timeout.0, self.call_timeout.0)
    }
}

/// Headers that everybody keeps secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "api-key", "apikey", "token", "secret", "cookie"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_table_leaves_out_has_its_default() {
        let settings = Settings::read(&json!({
            "model": "m", "limits": { "concurrency": 3 }, "tokens": 7, "headers": { "X-A": "1" }, "prompt": "own"
        }));
        let settings = settings.unwrap();
        assert_eq!((settings.limits.concurrency, settings.limits.requests_per_minute), (3, 0));
        assert_eq!((settings.base_url(), settings.key_variable()), (OPENAI, Some(OPENAI_KEY)));
        assert_eq!(settings.complaints(), []);
        let local = Settings::read(&json!({ "model": "m", "base_url": "http://127.0.0.1:8000/v1/" })).unwrap();
        assert_eq!((local.base_url(), local.key_variable()), ("http://127.0.0.1:8000/v1", None));
    }

    #[test]
    fn what_cannot_be_is_complained_about_and_secrets_are_not_written_down() {
        let complaint = |table: Value| {
            let issues = Settings::read(&table).unwrap().complaints();
            assert_eq!(issues.len(), 1, "{table}: {issues:?}");
            issues[0].message.clone()
        };
        assert!(complaint(json!({})).contains("no model"));
        assert!(complaint(json!({ "model": "m", "base_url": "127.0.0.1:8000" })).contains("is no address"));
        assert!(complaint(json!({ "model": "m", "base_url": "ftp://h/v1" })).contains("no address of a web server"));
        assert!(complaint(json!({ "model": "m", "base_url": "http://u:secret@h/v1" })).contains("password"));
        assert!(complaint(json!({ "model": "m", "headers": { "X-Api-Key": "abc" } })).contains("secret"));
        assert!(complaint(json!({ "model": "m", "headers": { "a b": "$X" } })).contains("no name of a header"));
    }
}
