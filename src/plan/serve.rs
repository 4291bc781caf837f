//! The `[serve]` table: how the pipeline is offered over HTTP. It changes nothing of what a document becomes, and no
//! fingerprint covers it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use docmill_api::{FieldSpec, FieldType};
use serde::Serialize;
use serde_json::{Value, json};

use super::codes;
use super::fields::{self, Checker, Scope};

/// The table's name.
const SERVE: &str = "serve";

/// Schemes that a service may fetch from when it is told to. Files of its own machine are none: whoever may ask would
/// read them.
const SCHEMES: &[&str] = &["http", "https", "s3", "gs", "az", "file"];

/// How the pipeline is offered over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServePlan {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many documents may wait for the pipeline.
    pub queue: usize,
    /// The most bytes of one upload.
    pub max_bytes: u64,
    /// The most bytes of uploads on disk.
    pub spool: u64,
    /// The file with the named keys.
    pub keys: Option<PathBuf>,
    /// What a document's URL may begin with.
    pub schemes: Vec<String>,
    /// Other sites whose pages may call the service.
    pub origins: Vec<String>,
    /// Names besides its address that the service is called by.
    pub hosts: Vec<String>,
    /// How many connections are held at once.
    pub connections: usize,
    /// How long the head of a request may take.
    pub header_timeout: Duration,
    /// How long nothing may come of a body.
    pub idle_timeout: Duration,
}

impl Default for ServePlan {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            queue: 50,
            max_bytes: 10 << 20,
            spool: 4 << 30,
            keys: None,
            schemes: vec!["http".into(), "https".into()],
            origins: Vec::new(),
            hosts: Vec::new(),
            connections: 2048,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// The fields of `[serve]`.
#[must_use]
pub fn serve_fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    let number = |max| FieldType::Integer { min: 1, max };
    vec![
        FieldSpec::new(
            "listen",
            FieldType::Text,
            json!("127.0.0.1:8080"),
            "Address and port; another machine can reach it only by an address of this one, which needs a key.",
        ),
        FieldSpec::new(
            "queue",
            number(100_000),
            json!(50),
            "How many documents may wait for the pipeline; whoever comes then is told to come again.",
        ),
        FieldSpec::new("max_bytes", FieldType::Size, json!("10MiB"), "The most bytes of one upload."),
        FieldSpec::new(
            "spool",
            FieldType::Size,
            json!("4GiB"),
            "The most bytes of uploads in the state directory: those under way, and those of documents that failed.",
        ),
        FieldSpec::new(
            "keys",
            FieldType::Text,
            json!(""),
            "A TOML file of named keys, relative to the pipeline file; `DOCMILL_API_KEY` is one more.",
        ),
        FieldSpec::new(
            "schemes",
            FieldType::List(Box::new(FieldType::Choice(SCHEMES))),
            json!(["http", "https"]),
            "What the URL of a document may begin with; `download` has the last word.",
        ),
        FieldSpec::new(
            "origins",
            texts(),
            json!([]),
            "Other sites whose pages may call the service, as `https://app.example`.",
        ),
        FieldSpec::new(
            "hosts",
            texts(),
            json!([]),
            "Names that the service is called by besides its address, such as `docmill.example`.",
        ),
        FieldSpec::new("connections", number(1_000_000), json!(2048), "How many connections are held at once."),
        FieldSpec::new("header_timeout", FieldType::Duration, json!("10s"), "How long the head of a request may take."),
        FieldSpec::new("idle_timeout", FieldType::Duration, json!("30s"), "How long nothing may come of a body."),
    ]
}

/// Reads `[serve]`; the defaults where there is no such table.
pub(super) fn read(cx: &mut Checker<'_>) -> ServePlan {
    let usual = ServePlan::default();
    let path = [SERVE.to_owned()];
    let given = match cx.raw.get(&path) {
        None => return usual,
        Some(Value::Object(table)) => table.clone(),
        Some(other) => {
            let message = format!("`serve` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some("write a table `[serve]`".into()));
            return usual;
        }
    };
    let scope = Scope { what: "`[serve]`", path: &path };
    let checked = fields::table(cx, &scope, &serve_fields(), &[], &given);
    let text = |name: &str| checked.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let texts = |name: &str, usual: &[String]| match checked.get(name).and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => usual.to_vec(),
    };
    let number = |name: &str, usual| fields::integer(checked.get(name)).unwrap_or(usual);
    let size = |name: &str, usual| fields::size(checked.get(name)).unwrap_or(usual);
    let time = |name: &str, usual| fields::duration(checked.get(name)).unwrap_or(usual);
    let listen = text("listen");
    let address = listen.parse().unwrap_or_else(|_| {
        if checked.contains_key("listen") {
            let message = format!("`listen` in `[serve]` is no address with a port: `{listen}`");
            let help = "write it as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for all addresses of this machine";
            cx.error(codes::OUT_OF_RANGE, cx.raw.value(&scope.child("listen")), message, Some(help.into()));
        }
        usual.listen
    });
    let keys = text("keys");
    ServePlan {
        listen: address,
        queue: number("queue", usual.queue),
        max_bytes: size("max_bytes", usual.max_bytes),
        spool: size("spool", usual.spool),
        keys: (!keys.is_empty()).then(|| cx.raw.base.join(keys)),
        schemes: texts("schemes", &usual.schemes),
        origins: texts("origins", &usual.origins),
        hosts: texts("hosts", &usual.hosts),
        connections: number("connections", usual.connections),
        header_timeout: time("header_timeout", usual.header_timeout),
        idle_timeout: time("idle_timeout", usual.idle_timeout),
    }
}
