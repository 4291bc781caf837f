//! The `download` table of `pipeline.toml`, and what the plan prints about it.

use std::time::Duration;

use docmill_api::units::Size;
use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::guard::Guard;

/// How programs that nobody configured introduce themselves.
const USER_AGENT: &str = concat!("docmill/", env!("CARGO_PKG_VERSION"));

/// The schemes that this build can read; `allow.schemes` may name others, for the day that it can.
pub(crate) const SCHEMES: [&str; 3] = ["file", "http", "https"];

/// What is fetched, and how much of it. No field changes the rows of a document that is fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadConfig {
    /// The largest document, in bytes after decompression.
    pub max_bytes: Size,
    /// What may be fetched.
    pub allow: Allow,
    /// How many redirects are followed.
    pub redirects: u32,
    /// What the program calls itself towards servers.
    pub user_agent: String,
}

/// What may be fetched. `hosts` narrows, `cidrs` widens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Schemes of addresses.
    pub schemes: Vec<String>,
    /// Hosts, by name or as `*.example.org`; empty for any.
    pub hosts: Vec<String>,
    /// Blocks of addresses that are not public and may be fetched from all the same.
    pub cidrs: Vec<String>,
}

impl Default for Allow {
    fn default() -> Self {
        Self { schemes: SCHEMES.map(str::to_owned).into(), hosts: Vec::new(), cidrs: Vec::new() }
    }
}

pub(crate) fn spec() -> StageSpec {
    StageSpec {
        summary: "Reads documents from disk and over HTTP, and tells their media type by their content.",
        takes: &[PayloadKind::Reference],
        gives: &[PayloadKind::Blob],
        tier: Tier::Io,
        fields: fields(),
        batch: None,
        width: Some(32),
        timeout: Duration::from_secs(60),
        guarantees: "Reads regular files only, and never more than `max_bytes` of a document, counted after \
                     decompression. Connects to public addresses only, unless `allow.cidrs` says otherwise: checked \
                     after names are resolved and on every redirect. Sends no credentials and uses no proxy.",
        example: r#"[stages.download]
kind = "download"
inputs = ["source"]
max_bytes = "10MiB"
allow = { schemes = ["file", "https"], hosts = ["*.example.org"] }"#,
    }
}

fn fields() -> Vec<FieldSpec> {
    vec![
        FieldSpec::new(
            "max_bytes",
            FieldType::Size,
            json!("10MiB"),
            "The largest document in bytes, after decompression; a larger one fails.",
        ),
        FieldSpec::new("allow", FieldType::Table(allow_fields()), allow_default(), "What may be fetched."),
        FieldSpec::new(
            "redirects",
            FieldType::Integer { min: 0, max: 20 },
            json!(5),
            "How many redirects of one address are followed.",
        ),
        FieldSpec::new(
            "user_agent",
            FieldType::Text,
            json!(USER_AGENT),
            "What the program calls itself towards web servers.",
        ),
    ]
}

fn allow_fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    vec![
        FieldSpec::new("schemes", texts(), json!(SCHEMES), "Schemes that may be fetched."),
        FieldSpec::new(
            "hosts",
            texts(),
            json!([]),
            "Web servers that may be asked (`example.org`, `*.example.org`); empty for any with a public address.",
        ),
        FieldSpec::new(
            "cidrs",
            texts(),
            json!([]),
            "Private, loopback and other special addresses that may be asked (`10.0.0.0/8`).",
        ),
    ]
}

fn allow_default() -> Value {
    docmill_api::defaults(&allow_fields())
}

pub(crate) fn validate(config: &DownloadConfig) -> Vec<Issue> {
    let mut issues = Vec::new();
    if config.max_bytes.0 == 0 {
        issues.push(Issue::new("max_bytes", "no document is that small").hint("write a size such as \"10MiB\""));
    }
    if config.redirects > 20 {
        issues.push(Issue::new("redirects", "at most 20"));
    }
    if reqwest::header::HeaderValue::from_str(&config.user_agent).is_err() {
        issues.push(Issue::new("user_agent", "has characters that no HTTP header may hold"));
    }
    let one = |hosts: &[String], cidrs: &[String]| {
        Guard::new(&Allow { hosts: hosts.to_vec(), cidrs: cidrs.to_vec(), ..Allow::default() }).err()
    };
    let wrong = |field: &str, index: usize, message: String| Issue {
        path: vec!["allow".into(), field.into(), index.to_string()],
        message,
        hint: None,
    };
    for (index, host) in config.allow.hosts.iter().enumerate() {
        issues.extend(one(std::slice::from_ref(host), &[]).map(|message| wrong("hosts", index, message)));
    }
    for (index, block) in config.allow.cidrs.iter().enumerate() {
        issues.extend(one(&[], std::slice::from_ref(block)).map(|message| wrong("cidrs", index, message)));
    }
    issues
}
