//! The sink `jsonl`: a directory with one file of JSON lines a document, for reading with any tool.
//!
//! While a document is under way its lines go to a file of their own in `.partial`; once it is done, that file takes
//! the place of the document's former one by a rename, which every file system does at once or not at all.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docmill_api::{
    BatchDefaults, BuildContext, Context, Digest, FieldSpec, FieldType, Issue, Node, PayloadKind, Record, Rest,
    Settled, Sink, StageError, StageFactory, StageSpec, Tier, async_trait,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lock::StoreLock;
use crate::row::{Identity, Incoming, Key, Version, failed, now_micros, row_id};

/// Says that a directory is docmill's, and which model made what is in it.
const MARKER: &str = "docmill.json";
/// Where documents under way are.
const PARTIAL: &str = ".partial";

/// The table of `kind = "jsonl"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonlConfig {
    /// The directory; relative to the pipeline file.
    pub dir: PathBuf,
    /// Whether each line holds its vector.
    pub vectors: bool,
}

/// Makes the sink `jsonl`.
#[derive(Clone, Copy, Debug)]
pub struct Jsonl;

#[async_trait]
impl StageFactory for Jsonl {
    type Config = JsonlConfig;
    const KIND: &'static str = "jsonl";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Writes rows as JSON lines: a directory with one file a document, named by the document's id.",
            takes: &[PayloadKind::Vectors],
            gives: &[],
            tier: Tier::Io,
            fields: vec![
                FieldSpec::new(
                    "dir",
                    FieldType::Text,
                    ".docmill/jsonl".into(),
                    "The directory, relative to the pipeline file; made if missing.",
                ),
                FieldSpec::new("vectors", FieldType::Bool, true.into(), "Whether each line holds its vector.").output(),
            ],
            batch: Some(BatchDefaults { items: 8_192, tokens: 4_000_000, wait: Duration::from_secs(1) }),
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "A document's file is replaced by rename, whole or not at all. A row written twice is there \
                         once, and a document that failed leaves nothing behind. Survives the end of the process; a \
                         power cut as well with `durability = \"power\"`.",
            example: "[stages.store]\nkind = \"jsonl\"\ninputs = [\"embed\"]\ndir = \".docmill/jsonl\"\n\
                      vectors = false\n",
        }
    }

    fn validate(config: &Self::Config) -> Vec<Issue> {
        if config.dir.as_os_str().is_empty() {
            return vec![Issue::new("dir", "no directory is named").hint("the default is \".docmill/jsonl\"")];
        }
        Vec::new()
    }

    async fn build(config: Self::Config, cx: &BuildContext) -> Result<Node, StageError> {
        let embedding = cx
            .embedding
            .clone()
            .ok_or_else(|| StageError::fatal("no stage before this one embeds, so there is nothing to store"))?;
        let directory = cx.base.join(&config.dir);
        let identity = Identity::new(&embedding);
        let checked = directory.clone();
        let opening = move || {
            let found = open(&checked, &identity)?;
            let lock = StoreLock::take(&checked.join(".lock"), &format!("directory `{}`", checked.display()))?;
            Ok::<_, StageError>((found, lock))
        };
        let (found, lock) =
            tokio::task::spawn_blocking(opening).await.map_err(|error| StageError::fatal(error.to_string()))??;
        if config.vectors {
            found.accepts(&embedding, &format!("directory `{}`", directory.display()))?;
        }
        let files =
            Files { directory, vectors: config.vectors, dimensions: embedding.dimensions, open: HashMap::new() };
        Ok(Node::Sink(Arc::new(JsonlSink { files: Arc::new(Mutex::new(files)), store: found.store, _lock: lock })))
    }
}

/// Finds out whether the directory is ours, or makes it so.
fn open(directory: &Path, identity: &Identity) -> Result<Identity, StageError> {
    let name = directory.display();
    let unusable = |error: std::io::Error| StageError::fatal(format!("directory `{name}` cannot be used: {error}"));
    fs::create_dir_all(directory).map_err(unusable)?;
    let marker = directory.join(MARKER);
    let found = match fs::read(&marker) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| StageError::fatal(format!("`{}` cannot be read: {error}", marker.display())))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            for entry in fs::read_dir(directory).map_err(unusable)? {
                let file = entry.map_err(unusable)?.file_name();
                let file = file.to_string_lossy();
                if !file.starts_with('.') {
                    return Err(StageError::fatal(format!(
                        "directory `{name}` holds `{file}` and was not made by docmill: \
                         name an empty or a new directory in `dir`"
                    )));
                }
            }
            let text = serde_json::to_vec_pretty(identity).map_err(|error| StageError::fatal(error.to_string()))?;
            fs::write(&marker, text).map_err(unusable)?;
            identity.clone()
        }
        Err(error) => return Err(unusable(error)),
    };
    let partial = directory.join(PARTIAL);
    fs::create_dir_all(&partial).map_err(unusable)?;
    let probe = partial.join(format!("probe-{}", std::process::id()));
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(unusable)?;
    Ok(found)
}

struct JsonlSink {
    files: Arc<Mutex<Files>>,
    /// The store's own id.
    store: String,
    _lock: StoreLock,
}

impl JsonlSink {
    /// Runs `work` where it may block. A call that is cancelled leaves it to its end; the next one waits for that.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Files) -> T + Send + 'static,
    ) -> Result<T, StageError> {
        let files = Arc::clone(&self.files);
        let task = tokio::task::spawn_blocking(move || work(&mut files.lock().unwrap_or_else(PoisonError::into_inner)));
        task.await.map_err(|error| StageError::transient(format!("the store's writer stopped: {error}")))
    }
}

#[async_trait]
impl Sink for JsonlSink {
    async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
        let records = batch.len();
        let written = self.run(|files| batch.into_iter().map(|record| files.write(record)).collect()).await;
        written.unwrap_or_else(|error| vec![Err(error); records])
    }

    async fn settle(&self, _cx: &Context, documents: &[Settled]) -> Result<(), StageError> {
        let ended: Vec<(Digest, Option<Digest>, Rest)> =
            documents.iter().map(|settled| (settled.document.id, settled.document.version(), settled.rest)).collect();
        self.run(move |files| {
            ended.into_iter().try_for_each(|(document, version, rest)| match (rest, version) {
                (Rest::Gone, _) => files.forget(document),
                (_, Some(version)) => files.settle((document, version), rest == Rest::Done),
                (_, None) => Ok(()),
            })
        })
        .await?
    }

    async fn barrier(&self, _cx: &Context) -> Result<(), StageError> {
        let sync = |files: &mut Files| crate::power::sync_file_system(&files.directory);
        self.run(sync).await?.map_err(|error| failed("syncing the directory", &error))
    }

    async fn close(&self, _cx: &Context) -> Result<(), StageError> {
        Ok(())
    }

    fn identity(&self) -> Option<String> {
        Some(self.store.clone())
    }
}

/// A document under way.
struct Partial {
    rows: HashSet<Key>,
    /// How much of the file is whole lines; what is behind it an attempt left that failed.
    length: u64,
    moment: i64,
}

struct Files {
    directory: PathBuf,
    vectors: bool,
    dimensions: usize,
    open: HashMap<Version, Partial>,
}

/// One line. The document and its version come first, so that they are found without reading the rest.
#[derive(Serialize)]
struct Line<'a> {
    document: Digest,
    version: Digest,
    id: Digest,
    uri: &'a str,
    filename: &'a str,
    media_type: &'a str,
    title: Option<&'a str>,
    part: &'static str,
    ordinal: u32,
    page: Option<u32>,
    line_start: Option<u32>,
    line_end: Option<u32>,
    heading: &'a [String],
    text: &'a str,
    tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<&'a [f32]>,
    session_id: Option<&'a str>,
    user_id: Option<&'a str>,
    metadata: &'a Map<String, Value>,
    /// Microseconds since 1970 UTC.
    ingested_at: i64,
}

impl Files {
    fn partial(&self, (document, version): Version) -> PathBuf {
        self.directory.join(PARTIAL).join(format!("{document}-{version}.jsonl"))
    }

    fn finished(&self, document: Digest) -> PathBuf {
        self.directory.join(format!("{document}.jsonl"))
    }

    fn write(&mut self, record: Record) -> Result<u64, StageError> {
        let incoming = Incoming::admit(record, self.dimensions)?;
        let version = incoming.key();
        let path = self.partial(version);
        let moment = now_micros();
        // A file that a crashed run left is begun anew, as its document is.
        let partial = self.open.entry(version).or_insert_with(|| Partial { rows: HashSet::new(), length: 0, moment });
        let rows = incoming.vectors.chunks.items.len();
        let mut lines = Vec::new();
        let mut fresh = HashSet::new();
        for index in 0..rows {
            let key = incoming.row(index);
            if !partial.rows.contains(&key) && fresh.insert(key) {
                line(&incoming, index, partial.moment, self.vectors, &mut lines)
                    .map_err(|error| StageError::rejected(format!("a row is no JSON: {error}")))?;
            }
        }
        append(&path, partial.length, &lines)
            .map_err(|error| failed(&format!("writing `{}`", path.display()), &error))?;
        partial.length += lines.len() as u64;
        partial.rows.extend(fresh);
        Ok(rows as u64)
    }

    fn settle(&mut self, version: Version, done: bool) -> Result<(), StageError> {
        let (partial, finished) = (self.partial(version), self.finished(version.0));
        let wrong = |path: &Path, error: &std::io::Error| failed(&format!("replacing `{}`", path.display()), error);
        if !done {
            remove(&partial).map_err(|error| wrong(&partial, &error))?;
        } else if let Err(error) = fs::rename(&partial, &finished) {
            if error.kind() != ErrorKind::NotFound {
                return Err(wrong(&finished, &error));
            }
            // Nothing was written in this run: the document has no rows now, or it was settled before.
            let settled = version_in(&finished).map_err(|error| wrong(&finished, &error))?;
            if settled.is_some_and(|settled| settled != version.1.to_string()) {
                remove(&finished).map_err(|error| wrong(&finished, &error))?;
            }
        }
        self.open.remove(&version);
        Ok(())
    }

    fn forget(&mut self, document: Digest) -> Result<(), StageError> {
        let finished = self.finished(document);
        remove(&finished).map_err(|error| failed(&format!("removing `{}`", finished.display()), &error))
    }
}

fn line(of: &Incoming, index: usize, moment: i64, vectors: bool, into: &mut Vec<u8>) -> serde_json::Result<()> {
    let chunk = &of.vectors.chunks.items[index];
    let document = &*of.document;
    let line = Line {
        document: document.id,
        version: of.version,
        id: row_id(of.key(), of.row(index)),
        uri: &document.uri,
        filename: &document.filename,
        media_type: document.media_type.as_deref().unwrap_or_default(),
        title: of.vectors.chunks.title.as_deref(),
        part: of.vectors.chunks.part.as_str(),
        ordinal: chunk.ordinal,
        page: chunk.page,
        line_start: chunk.line_start,
        line_end: chunk.line_end,
        heading: &chunk.heading,
        text: &chunk.text,
        tokens: chunk.tokens,
        vector: if vectors { of.vectors.vector(index) } else { None },
        session_id: document.session_id.as_deref(),
        user_id: document.user_id.as_deref(),
        metadata: &document.metadata,
        ingested_at: moment,
    };
    serde_json::to_writer(&mut *into, &line)?;
    into.push(b'\n');
    Ok(())
}

/// Writes behind the lines that are known to be whole, over whatever a failed attempt left there.
fn append(path: &Path, length: u64, lines: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    file.write_all(lines)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The version that a file holds, as it stands in its first line; empty where there is none to be read.
fn version_in(path: &Path) -> std::io::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Head {
        version: String,
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut first = Vec::new();
    BufReader::new(file).take(64 << 20).read_until(b'\n', &mut first)?;
    Ok(Some(serde_json::from_slice::<Head>(&first).map(|head| head.version).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
