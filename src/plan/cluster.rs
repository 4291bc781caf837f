//! The tables `[queue]` and `[blobs]`: the same pipeline over several machines. They change nothing of what a document
//! becomes, and no fingerprint covers them.

use std::path::PathBuf;
use std::time::Duration;

use docmill_api::{FieldSpec, FieldType};
use docmill_objects::Stores;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::codes;
use super::fields::{self, Checker, Scope};

const QUEUE: &str = "queue";
const BLOBS: &str = "blobs";

/// The most documents that are under way at once: the coordinator holds what it waits for.
const MOST_IN_FLIGHT: i64 = 16_384;

/// How processes on several machines share a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// The servers, as `nats://host:port`.
    pub url: String,
    /// What the names of streams begin with: one for each pipeline.
    pub stream: String,
    /// The user's name, where there is a password.
    pub user: String,
    /// The variable that holds the password; empty for none.
    pub password_env: String,
    /// The variable that holds a token; empty for none.
    pub token_env: String,
    /// A file of credentials, as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    /// A file of certificates to trust; with it, TLS is demanded.
    pub ca: Option<PathBuf>,
    /// On how many servers each message is kept.
    pub replicas: usize,
    /// How many documents are under way at once, on all workers together.
    pub in_flight: usize,
    /// How long a worker may say nothing before its documents go to another.
    pub ack_wait: Duration,
    /// How often a document is handed to a worker that does not finish it.
    pub deliveries: u32,
    /// How long one document may take on all that.
    pub timeout: Duration,
    /// Where bytes and vectors lie between processes.
    pub blobs: BlobsPlan,
}

/// A place for bytes that all machines reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlobsPlan {
    /// A directory that all of them have.
    Directory(PathBuf),
    /// A place in an object store.
    Store {
        /// `s3://bucket/prefix`, or `gs:` or `az:`.
        uri: String,
        /// What is known of object stores.
        stores: Stores,
    },
}

/// The fields of `[queue]`.
#[must_use]
pub fn queue_fields() -> Vec<FieldSpec> {
    let text = |name, default: &str, doc| FieldSpec::new(name, FieldType::Text, json!(default), doc);
    let number =
        |name, max, default: u64, doc| FieldSpec::new(name, FieldType::Integer { min: 1, max }, json!(default), doc);
    let time = |name, default: &str, doc| FieldSpec::new(name, FieldType::Duration, json!(default), doc);
    vec![
        FieldSpec::new("kind", FieldType::Choice(&["nats"]), json!("nats"), "What the queue is: NATS JetStream."),
        text("url", "nats://127.0.0.1:4222", "The servers, separated by commas."),
        text("stream", "docmill", "What the names of its streams begin with: another for each pipeline."),
        text("user", "", "The user's name, where there is a password."),
        text("password_env", "", "The variable that holds the password; empty for none."),
        text("token_env", "", "The variable that holds a token; empty for none."),
        text("credentials", "", "A file of credentials as `nsc` writes it, relative to the pipeline file."),
        text("ca", "", "A file of certificates to trust, relative to the pipeline file; with it TLS is demanded."),
        number("replicas", 5, 1, "On how many servers each message is kept."),
        number(
            "in_flight",
            MOST_IN_FLIGHT,
            64,
            "How many documents are under way at once, on all workers together: more than they have in hand.",
        ),
        time("ack_wait", "30s", "How long a worker may say nothing before its documents go to another."),
        number(
            "deliveries",
            100,
            5,
            "How often a document is handed to a worker that does not finish it, then it fails.",
        ),
        time("timeout", "1h", "How long one document may take, its time in the queue included."),
    ]
}

/// The fields of `[blobs]`.
#[must_use]
pub fn blobs_fields() -> Vec<FieldSpec> {
    let mut fields = vec![
        FieldSpec::new(
            "uri",
            FieldType::Text,
            json!(""),
            "Where bytes and vectors lie between processes: `s3://bucket/prefix`, `gs://` or `az://`, or a directory that \
             all machines share (`file:///mnt/docmill`).",
        )
        .required(),
    ];
    fields.extend(docmill_objects::fields());
    fields
}

/// Reads both tables; nothing where there is neither.
pub(super) fn read(cx: &mut Checker<'_>) -> Option<ClusterPlan> {
    let (queue, blobs) = (table(cx, QUEUE, &queue_fields()), table(cx, BLOBS, &blobs_fields()));
    let (queue, blobs) = match (queue, blobs) {
        (Some(queue), Some(blobs)) => (queue, blobs),
        (Some(_), None) if cx.raw.get(&[BLOBS.to_owned()]).is_none() => {
            return alone(cx, QUEUE, BLOBS, "uri = \"s3://bucket/prefix\"");
        }
        (None, Some(_)) if cx.raw.get(&[QUEUE.to_owned()]).is_none() => {
            return alone(cx, BLOBS, QUEUE, "kind = \"nats\"");
        }
        _ => return None,
    };
    let text = |name: &str| queue.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let file = |name: &str| Some(text(name)).filter(|path| !path.is_empty()).map(|path| cx.raw.base.join(path));
    let number = |name: &str, usual: usize| fields::integer(queue.get(name)).unwrap_or(usual);
    let time = |name: &str| fields::duration(queue.get(name)).unwrap_or(Duration::from_secs(30));
    let uri = blobs.get("uri").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let (credentials, ca) = (file("credentials"), file("ca"));
    let plan = ClusterPlan {
        url: text("url"),
        stream: text("stream"),
        user: text("user"),
        password_env: text("password_env"),
        token_env: text("token_env"),
        credentials,
        ca,
        replicas: number("replicas", 1),
        in_flight: number("in_flight", 64),
        ack_wait: time("ack_wait"),
        deliveries: fields::integer(queue.get("deliveries")).unwrap_or(5),
        timeout: time("timeout"),
        blobs: place(cx, &uri, &blobs)?,
    };
    if plan.url.contains('@') {
        let place = cx.raw.value(&[QUEUE.to_owned(), "url".to_owned()]);
        let help = "take it out, and name `user` and `password_env`, or `credentials`".to_owned();
        cx.error(codes::OUT_OF_RANGE, place, "`url` in `[queue]` holds a user or a password", Some(help));
    }
    let sound = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if plan.stream.is_empty() || plan.stream.len() > 64 || !plan.stream.chars().all(sound) {
        let message = format!("`{}` is no name for a stream", plan.stream);
        let place = cx.raw.value(&[QUEUE.to_owned(), "stream".to_owned()]);
        cx.error(codes::OUT_OF_RANGE, place, message, Some("use up to 64 letters, digits and `-`".into()));
    }
    Some(plan)
}

fn table(cx: &mut Checker<'_>, name: &str, specs: &[FieldSpec]) -> Option<Map<String, Value>> {
    let path = [name.to_owned()];
    let given = match cx.raw.get(&path)? {
        Value::Object(table) => table.clone(),
        other => {
            let message = format!("`{name}` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some(format!("write a table `[{name}]`")));
            return None;
        }
    };
    let what = format!("`[{name}]`");
    Some(fields::table(cx, &Scope { what: &what, path: &path }, specs, &[], &given))
}

fn alone(cx: &mut Checker<'_>, given: &str, missing: &str, example: &str) -> Option<ClusterPlan> {
    let message = format!("`[{given}]` without `[{missing}]`: processes on several machines need both");
    let place = cx.raw.key(&[given.to_owned()]);
    cx.error(codes::MISSING_KEY, place, message, Some(format!("add `[{missing}]` with `{example}`")));
    None
}

/// What the address of blobs names.
fn place(cx: &mut Checker<'_>, uri: &str, table: &Map<String, Value>) -> Option<BlobsPlan> {
    let at = |field: &[&str]| [&[BLOBS], field].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    if docmill_objects::is_store(uri) {
        let stores: Stores = serde_json::from_value(Value::Object(table.clone())).unwrap_or_default();
        for issue in docmill_objects::endpoint_issues(&stores.s3, &stores.gs, &stores.az) {
            let path: Vec<&str> = issue.path.iter().map(String::as_str).collect();
            let place = cx.raw.value(&at(&path));
            let message = format!("`{}` in `[{BLOBS}]` {}", path.join("."), issue.message);
            cx.error(codes::OUT_OF_RANGE, place, message, issue.hint);
        }
        return Some(BlobsPlan::Store { uri: uri.to_owned(), stores });
    }
    let path = match uri.split_once("://") {
        Some(("file", path)) => path,
        Some(_) => "",
        None => uri,
    };
    if !path.is_empty() {
        return Some(BlobsPlan::Directory(cx.raw.base.join(path)));
    }
    let message = format!("`{uri}` is no place for blobs in this version");
    let help = "name a place in an object store (\"s3://bucket/prefix\") or a directory that all machines share";
    cx.error(codes::UNSUPPORTED, cx.raw.value(&at(&["uri"])), message, Some(help.to_owned()));
    None
}
