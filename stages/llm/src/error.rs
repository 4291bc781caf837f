//! What became of a call that failed: its class, and what the engine is to do.
//!
//! | class | told by | what the engine does |
//! |---|---|---|
//! | rate limited | 429 | later, no attempt used up |
//! | overloaded | 503, 529; nobody listens; the breaker is open | later, no attempt used up |
//! | timeout, connection, server, garbage | no answer in time, a broken one, 5xx, no JSON of the right shape | another attempt |
//! | bad request, too long, refused | 400, 413, 422; the context's end; a content filter | the document fails |
//! | wrong key, no such model, wrong address | 401, 403; 404 | the run stops: a setting is wrong |
//! | out of quota | 402; 429 that says so | the run winds down, resumably |

use std::fmt;
use std::time::Duration;

use docmill_api::StageError;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::limit::Outcome;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asked too often.
    RateLimited,
    /// It says that it has too much to do.
    Overloaded,
    /// Nobody listens at its address.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Connection,
    /// It failed.
    Server,
    /// It answered something that is no answer.
    Garbage,
    /// It gave a vector of another length than the model is said to have.
    WrongLength,
    /// It does not take what it was asked.
    BadRequest,
    /// What it was asked is longer than its model takes.
    TooLong,
    /// It does not want to answer this.
    Refused,
    /// It does not know the key.
    WrongKey,
    /// It does not know the model.
    NoSuchModel,
    /// There is no such service at the address.
    WrongAddress,
    /// What was paid for is used up.
    OutOfQuota,
}

impl Class {
    /// As the report names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Garbage => "garbage",
            Self::WrongLength => "wrong_length",
            Self::BadRequest => "bad_request",
            Self::TooLong => "too_long",
            Self::Refused => "refused",
            Self::WrongKey => "wrong_key",
            Self::NoSuchModel => "no_such_model",
            Self::WrongAddress => "wrong_address",
            Self::OutOfQuota => "out_of_quota",
        }
    }

    /// What it says of the service's load.
    pub(crate) fn outcome(self, after: Option<Duration>) -> Outcome {
        match self {
            Self::RateLimited => Outcome::RateLimited { after },
            Self::Overloaded => Outcome::Overloaded { after },
            Self::Unreachable | Self::Connection => Outcome::Unreachable,
            Self::Timeout => Outcome::TimedOut,
            Self::Server => Outcome::Failed,
            Self::Garbage
            | Self::WrongLength
            | Self::BadRequest
            | Self::TooLong
            | Self::Refused
            | Self::WrongKey
            | Self::NoSuchModel
            | Self::WrongAddress
            | Self::OutOfQuota => Outcome::Refused,
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct CallError {
    /// Why.
    pub class: Class,
    /// In words, without what was asked and without a key.
    pub message: String,
    /// How long the service asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl CallError {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None }
    }

    /// What the engine is to do. `service` is how the user knows it; `settings` where its fields stand.
    #[must_use]
    pub fn for_stage(self, service: &str, settings: &str) -> StageError {
        let message = format!("`{service}` {}", self.message);
        let error = match self.class {
            Class::RateLimited | Class::Overloaded | Class::Unreachable => StageError::overload(message),
            Class::Timeout | Class::Connection | Class::Server | Class::Garbage | Class::WrongLength => {
                StageError::transient(message)
            }
            Class::BadRequest | Class::TooLong | Class::Refused => StageError::rejected(message),
            Class::WrongKey => StageError::fatal(format!("{message}; mend `api_key_env` in {settings}")),
            Class::NoSuchModel => StageError::fatal(format!("{message}; mend `model` in {settings}")),
            Class::WrongAddress => StageError::fatal(format!("{message}; mend `base_url` in {settings}")),
            Class::OutOfQuota => StageError::exhausted(message),
        };
        match self.retry_after {
            Some(delay) => error.after(delay),
            None => error,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

/// An error as services of this shape say it; what is missing is empty. Some say the error itself as a text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Said,
    message: Option<String>,
    detail: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Object {
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        r#type: Option<String>,
        #[serde(default)]
        code: Option<serde_json::Value>,
    },
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Default for Said {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

/// What an answer that is no success says, in words and in a code.
fn said(body: &[u8]) -> (String, String) {
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return (String::from_utf8_lossy(body).trim().to_owned(), String::new());
    };
    let (message, code) = match body.error {
        Said::Object { message, r#type, code } => {
            let code = code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
            let code = [code, r#type].into_iter().flatten().collect::<Vec<_>>().join(" ");
            (message, code)
        }
        Said::Text(text) => (Some(text), String::new()),
        Said::Other(_) => (None, String::new()),
    };
    let detail = body.detail.map(|detail| detail.as_str().map_or_else(|| detail.to_string(), str::to_owned));
    (message.or(body.message).or(detail).unwrap_or_default(), code)
}

/// How much of what a service says is told: enough for its sentence. It may repeat what it was asked.
const TOLD: usize = 300;

/// Classes an answer that is no success.
pub(crate) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    let (message, code) = said(body);
    let class = class_of(status, &code.to_lowercase(), &message.to_lowercase());
    let message: String = message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD).collect();
    let what = match class {
        Class::RateLimited => "is asked too often",
        Class::Overloaded => "has too much to do",
        Class::Server
        | Class::Connection
        | Class::Timeout
        | Class::Unreachable
        | Class::Garbage
        | Class::WrongLength => "failed",
        Class::BadRequest => "does not take the request",
        Class::TooLong => "says that it is too long",
        Class::Refused => "refuses to answer",
        Class::WrongKey => "does not take the key",
        Class::NoSuchModel => "does not know the model",
        Class::WrongAddress => "has nothing at this address",
        Class::OutOfQuota => "says that the quota is used up",
    };
    let colon = if message.is_empty() { "" } else { ": " };
    let told = format!("{what} ({}){colon}{message}", status.as_u16());
    CallError { retry_after: retry_after(headers), ..CallError::new(class, told) }
}

fn class_of(status: StatusCode, code: &str, message: &str) -> Class {
    let either = |part: &str| code.contains(part) || message.contains(part);
    let too_long = [
        "context_length",
        "maximum context",
        "context length",
        "context size",
        "exceed_context",
        "too long",
        "too many tokens",
        "input is too large",
        "maximum input",
    ];
    match status.as_u16() {
        402 => Class::OutOfQuota,
        429 if ["insufficient_quota", "exceeded your current quota", "billing"].iter().any(|part| either(part)) => {
            Class::OutOfQuota
        }
        429 => Class::RateLimited,
        401 => Class::WrongKey,
        403 if ["content", "policy", "safety", "moderation"].iter().any(|part| either(part)) => Class::Refused,
        403 => Class::WrongKey,
        404 | 400 if either("model_not_found") || (message.contains("model") && message.contains("not found")) => {
            Class::NoSuchModel
        }
        404 if message.contains("model") && (message.contains("exist") || message.contains("unknown")) => {
            Class::NoSuchModel
        }
        300..=399 | 404 | 405 => Class::WrongAddress,
        413 => Class::TooLong,
        400 | 422 if too_long.iter().any(|part| either(part)) => Class::TooLong,
        400 if ["content_filter", "content_policy", "content management policy"].iter().any(|part| either(part)) => {
            Class::Refused
        }
        // Asked to wait and come back: 408 a request that came too slowly, 409 and 425 a conflict with another.
        408 => Class::Timeout,
        503 | 529 => Class::Overloaded,
        500 if too_long.iter().take(6).any(|part| either(part)) => Class::TooLong,
        409 | 425 | 500..=599 => Class::Server,
        _ => Class::BadRequest,
    }
}

/// How long a service asks to be left alone: seconds, milliseconds, or a moment.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let moment = httpdate::parse_http_date(value).ok()?;
    Some(moment.duration_since(std::time::SystemTime::now()).unwrap_or_default())
}

/// When requests or tokens are to be had again, where an answer says that none remain: `x-ratelimit-remaining-requests`
/// and its like. Times are written as `6m0s`, `1.5s`, `20ms`.
pub(crate) fn nothing_remains(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: String| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let of = |what: &str| {
        let remaining = text(format!("x-ratelimit-remaining-{what}"))?;
        let is_none = remaining.parse::<f64>().is_ok_and(|remaining| remaining <= 0.0);
        is_none.then(|| text(format!("x-ratelimit-reset-{what}")).and_then(span)).flatten()
    };
    [of("requests"), of("tokens")].into_iter().flatten().max()
}

fn span(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        seconds += number
            * match &rest[digits..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" | "" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use docmill_api::ErrorClass;

    use super::*;

    fn class(status: u16, body: &str) -> Class {
        classify(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()).class
    }

    /// Sentences as OpenAI, Azure, vLLM, llama.cpp and Ollama say them.
    #[test]
    fn answers_of_known_services_are_classed() {
        for (status, body, expected) in [
            (
                429,
                r#"{"error":{"message":"Rate limit reached for requests","type":"requests","code":"rate_limit_exceeded"}}"#,
                Class::RateLimited,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::OutOfQuota,
            ),
            (402, "{}", Class::OutOfQuota),
            (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, Class::WrongKey),
            (401, r#"{"statusCode": 401, "message": "Unauthorized."}"#, Class::WrongKey),
            (
                404,
                r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","code":"model_not_found"}}"#,
                Class::NoSuchModel,
            ),
            (
                404,
                r#"{"error":{"message":"model \"llama9\" not found, try pulling it first","type":"api_error"}}"#,
                Class::NoSuchModel,
            ),
            (404, r#"{"error":"model 'llama9' not found"}"#, Class::NoSuchModel),
            (
                404,
                r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#,
                Class::NoSuchModel,
            ),
            (404, r#"{"error":{"code":"404","message":"Resource not found"}}"#, Class::WrongAddress),
            (404, "<html>not here</html>", Class::WrongAddress),
            (307, "", Class::WrongAddress),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000","code":"context_length_exceeded"}}"#,
                Class::TooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error"}}"#,
                Class::TooLong,
            ),
            (
                500,
                r#"{"error":{"code":500,"message":"input is too large to process. increase the physical batch size (context size)","type":"server_error"}}"#,
                Class::TooLong,
            ),
            (413, "", Class::TooLong),
            (
                400,
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter"}}"#,
                Class::Refused,
            ),
            (400, r#"{"error":{"message":"Invalid value for 'input'"}}"#, Class::BadRequest),
            (422, r#"{"detail":[{"msg":"field required"}]}"#, Class::BadRequest),
            (503, r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#, Class::Overloaded),
            (529, "", Class::Overloaded),
            (500, "oops", Class::Server),
            (502, "<html>Bad Gateway</html>", Class::Server),
        ] {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_the_engine_does_follows_from_the_class() {
        for (class, expected) in [
            (Class::RateLimited, ErrorClass::Overload),
            (Class::Unreachable, ErrorClass::Overload),
            (Class::Server, ErrorClass::Transient),
            (Class::Garbage, ErrorClass::Transient),
            (Class::TooLong, ErrorClass::Rejected),
            (Class::WrongKey, ErrorClass::Fatal),
            (Class::OutOfQuota, ErrorClass::Exhausted),
        ] {
            assert_eq!(CallError::new(class, "x").for_stage("work", "[providers.work]").class, expected);
        }
        let key = CallError::new(Class::WrongKey, "does not take the key (401)").for_stage("work", "[providers.work]");
        assert_eq!(key.message, "`work` does not take the key (401); mend `api_key_env` in [providers.work]");
    }

    #[test]
    fn times_are_read_as_services_write_them() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
        };
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers(&[("retry-after-ms", "250")])), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&headers(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")])), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
        let remains = |remaining: &str, reset: &str| {
            let pairs = [("x-ratelimit-remaining-requests", remaining), ("x-ratelimit-reset-requests", reset)];
            nothing_remains(&headers(&pairs))
        };
        assert_eq!(remains("0", "6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(remains("0", "1m2.5s"), Some(Duration::from_millis(62_500)));
        assert_eq!(remains("0", "20ms"), Some(Duration::from_millis(20)));
        assert_eq!((remains("3", "6m0s"), remains("0", "later")), (None, None));
    }
}
