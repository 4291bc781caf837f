//! The `download` table of `pipeline.toml`, and what the plan prints about it.

use std::time::Duration;

use docmill_api::units::Size;
use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use serde::Deserialize;
use serde_json::{Value, json};

use docmill_net::Guard;
use docmill_objects::{Az, Gs, S3, Stores};

/// The schemes that this build can read; `allow.schemes` may name others, for the day that it can.
pub(crate) const SCHEMES: [&str; 6] = ["file", "http", "https", "s3", "gs", "az"];

/// What is fetched, and how much of it. No field changes the rows of a document that is fetched.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadConfig {
    /// The largest document, in bytes after decompression.
    pub max_bytes: Size,
    /// The most that an archive may unpack to, and the largest that is fetched.
    pub archive_bytes: Size,
    /// The most entries of an archive.
    pub max_members: u32,
    /// The most objects that a prefix or a pattern may stand for.
    pub max_objects: u32,
    /// What may be fetched.
    pub allow: Allow,
    /// How many redirects are followed.
    pub redirects: u32,
    /// What the program calls itself towards servers.
    pub user_agent: String,
    /// Where `s3://` leads.
    pub s3: S3,
    /// Where `gs://` leads.
    pub gs: Gs,
    /// Where `az://` leads.
    pub az: Az,
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

impl DownloadConfig {
    /// The object stores that it knows.
    pub(crate) fn stores(&self) -> Stores {
        Stores { s3: self.s3.clone(), gs: self.gs.clone(), az: self.az.clone() }
    }
}

impl Allow {
    /// As the guard reads it.
    pub(crate) fn rules(&self) -> docmill_net::Allow {
        docmill_net::Allow { schemes: self.schemes.clone(), hosts: self.hosts.clone(), cidrs: self.cidrs.clone() }
    }
}

pub(crate) fn spec() -> StageSpec {
    StageSpec {
        summary: "Reads documents from disk, the web and object stores, opens archives and messages, and tells media \
                  types by content.",
        takes: &[PayloadKind::Reference],
        gives: &[PayloadKind::Blob],
        tier: Tier::Io,
        fields: fields(),
        batch: None,
        width: Some(32),
        timeout: Duration::from_secs(60),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "Reads regular files only, and never more than `max_bytes` of a document, counted after \
                     decompression. Connects to public addresses only, unless `allow.cidrs` says otherwise: checked \
                     after names are resolved and on every redirect; the endpoint of an object store that the \
                     operator set is trusted by its name, what a document's address leads to never is. Sends \
                     credentials to object stores alone, takes them from the usual variables, and uses no proxy. A \
                     prefix (`s3://bucket/a/`) or pattern (`s3://bucket/**/*.pdf`) stands for its objects, an \
                     archive (zip, tar, gzip, Zstandard) for its members, and a message gives itself and its \
                     attachments: each is a document of its own (`a.zip#member=b/c.pdf`), and a bad one costs itself \
                     alone. Archives are opened three deep; nothing is written under a member's name.",
        example: r#"[stages.download]
kind = "download"
inputs = ["source"]
max_bytes = "10MiB"
allow = { schemes = ["file", "https", "s3"], hosts = ["*.example.org", "my-bucket"] }
s3 = { region = "eu-central-1" }"#,
    }
}

fn fields() -> Vec<FieldSpec> {
    let count = |max| FieldType::Integer { min: 1, max };
    let mut fields = vec![
        FieldSpec::new(
            "max_bytes",
            FieldType::Size,
            json!("10MiB"),
            "The largest document in bytes, after decompression; a larger one fails.",
        ),
        FieldSpec::new(
            "archive_bytes",
            FieldType::Size,
            json!("1GiB"),
            "The most that an archive may unpack to, and the largest that is fetched over a network; a local one may \
             be of any size. The temporary directory holds up to so much for each archive under way, at most `width`, \
             and for four that are kept open.",
        ),
        FieldSpec::new("max_members", count(1_000_000), json!(10_000), "The most entries that an archive may hold."),
        FieldSpec::new(
            "max_objects",
            count(10_000_000),
            json!(100_000),
            "The most objects that a prefix or a pattern in a store may stand for; each takes some 0.5 KiB until it \
             is taken in.",
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
            json!(docmill_net::USER_AGENT),
            "What the program calls itself towards web servers.",
        ),
    ];
    fields.extend(docmill_objects::fields());
    fields
}

fn allow_fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    vec![
        FieldSpec::new("schemes", texts(), json!(SCHEMES), "Schemes that may be fetched."),
        FieldSpec::new(
            "hosts",
            texts(),
            json!([]),
            "Web servers and buckets that may be asked (`example.org`, `*.example.org`, `my-bucket`); empty for any \
             with a public address.",
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
    if config.max_members == 0 {
        issues.push(Issue::new("max_members", "at least 1"));
    }
    if config.max_objects == 0 {
        issues.push(Issue::new("max_objects", "at least 1"));
    }
    issues.extend(docmill_objects::endpoint_issues(&config.s3, &config.gs, &config.az));
    if config.redirects > 20 {
        issues.push(Issue::new("redirects", "at most 20"));
    }
    if reqwest::header::HeaderValue::from_str(&config.user_agent).is_err() {
        issues.push(Issue::new("user_agent", "has characters that no HTTP header may hold"));
    }
    let one = |hosts: &[String], cidrs: &[String]| {
        let allow = Allow { hosts: hosts.to_vec(), cidrs: cidrs.to_vec(), ..Allow::default() };
        Guard::new(&allow.rules(), "allow.").err()
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
