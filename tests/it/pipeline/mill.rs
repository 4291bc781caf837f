//! A directory with the default pipeline and a test's own documents: run through the library or by the real program,
//! and its store read back. Nothing of the machine outside the directory has a part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use docmill::config;
use docmill::plan::{Machine, Plan};
use docmill::query::{Mode, Query, search};
use docmill::runtime::{RunEnd, RuntimeOptions, Topology, WorkerProgram};
use docmill_api::{BuildContext, Filter, Hit, Provider, Registry, Search};
use tempfile::TempDir;

use crate::support::{Ran, finish};

/// The pipeline that ships with docmill.
pub(crate) const DEFAULT: &str = include_str!("../../../pipeline.toml");

/// The real program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_docmill");

/// More rows than any test stores.
const ALL: usize = 10_000;

/// Stacks as large as the program's: LanceDB's futures are deep in an unoptimised build.
const STACK: usize = 16 << 20;

/// Runs a test on threads with large stacks, its own included.
pub(crate) fn block_on<T: Send + 'static>(test: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let in_thread = move || {
        let mut event_loop = tokio::runtime::Builder::new_multi_thread();
        let event_loop = event_loop.worker_threads(2).enable_all().thread_stack_size(STACK).build();
        event_loop.expect("an event loop").block_on(test())
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(in_thread).expect("a thread");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Every built-in stage.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill::builtin::register(&mut registry);
    registry
}

/// A directory with `pipeline.toml`; its documents are below `documents`.
pub(crate) struct Mill {
    directory: TempDir,
    sets: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
    pub(crate) registry: Registry,
}

impl Mill {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("pipeline.toml"), DEFAULT).expect("written");
        fs::create_dir(directory.path().join("documents")).expect("made");
        Self {
            directory,
            sets: vec!["stages.source.include=[\"documents\"]".into()],
            variables: Vec::new(),
            registry: registry(),
        }
    }

    /// Changes a value of the pipeline, for the library and for the program.
    pub(crate) fn set(mut self, set: &str) -> Self {
        self.sets.push(set.to_owned());
        self
    }

    /// Sets a variable for the program.
    pub(crate) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a document.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join("documents").join(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    /// The program's command of this name, in the directory, with the pipeline's changes and no variable of ours.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.path()).arg(name);
        for set in &self.sets {
            command.args(["--set", set]);
        }
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("DOCMILL_") && variable != "DOCMILL_PDFIUM" {
                command.env_remove(variable);
            }
        }
        command.envs(self.variables.iter().copied());
        command
    }

    pub(crate) fn plan(&self) -> Plan {
        let (base, text, none) = (self.path().to_owned(), DEFAULT.to_owned(), std::iter::empty());
        let raw = config::parse("pipeline.toml", base, text, &self.sets, none, &self.registry);
        let raw = raw.unwrap_or_else(|complaints| panic!("{}", config::render_all(&complaints)));
        let planned = Plan::from_raw(&raw, &self.registry, Machine { cpus: 2 });
        let (plan, warnings) = planned.unwrap_or_else(|complaints| panic!("{}", config::render_all(&complaints)));
        assert!(warnings.is_empty(), "{warnings:?}");
        plan
    }

    /// Runs the pipeline to its end, with parsers in child processes as the default has it.
    pub(crate) async fn run(&self) -> Ran {
        let worker =
            WorkerProgram { program: PROGRAM.into(), arguments: vec!["stage-worker".into()], variables: Vec::new() };
        let options = RuntimeOptions::new(worker);
        let topology = Topology::build(self.plan(), &self.registry, &options).await;
        let ran = finish(topology.unwrap_or_else(|error| panic!("{error}")).run()).await;
        assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
        ran
    }

    /// The same, where every document has to end well.
    pub(crate) async fn run_well(&self) -> Ran {
        let ran = self.run().await;
        let (documents, tally) = (ran.snapshot.documents, &ran.tally);
        assert_eq!(documents.done + documents.unchanged, documents.seen, "{:?} {:?}", tally.failures, tally.skips);
        ran
    }

    /// Opens what the runs have stored.
    pub(crate) async fn store(&self) -> Store {
        self.open(&self.plan()).await
    }

    /// The same, with the tables elsewhere.
    pub(crate) async fn store_at(&self, uri: &str) -> Store {
        let mut plan = self.plan();
        for stage in plan.stages.iter_mut().filter(|stage| stage.kind == "lancedb") {
            stage.config["uri"] = uri.into();
        }
        self.open(&plan).await
    }

    async fn open(&self, plan: &Plan) -> Store {
        let (mut search, mut provider) = (None, None);
        for stage in &plan.stages {
            let factory = self.registry.get(&stage.kind).expect("planned");
            let cx = BuildContext {
                stage: stage.id.clone(),
                base: plan.base.clone(),
                fingerprint: plan.fingerprint,
                embedding: stage.embedding.clone(),
                inputs: Vec::new(),
                ..BuildContext::default()
            };
            search = factory.search(stage.config.clone(), &cx).await.expect("the store opens").or(search);
            provider = factory.provider(stage.config.clone(), &cx).await.expect("the model opens").or(provider);
        }
        Store { search: search.expect("a store"), provider: provider.expect("a model") }
    }
}

/// A store, open for reading.
pub(crate) struct Store {
    search: Arc<dyn Search>,
    provider: Arc<dyn Provider>,
}

impl Store {
    /// The store itself.
    pub(crate) fn search(&self) -> &dyn Search {
        self.search.as_ref()
    }

    /// The model that its vectors were made with.
    pub(crate) fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// What a question finds, best first.
    pub(crate) async fn ask(&self, mode: Mode, text: &str, filter: &Filter) -> Vec<Hit> {
        let query = Query { text: text.to_owned(), limit: 10, mode, filter: filter.clone() };
        search(&*self.search, Some(&*self.provider), &query).await.unwrap_or_else(|error| panic!("{mode:?}: {error}"))
    }

    /// The names of the files in which a question finds something, best first.
    pub(crate) async fn files(&self, mode: Mode, text: &str) -> Vec<String> {
        let hits = self.ask(mode, text, &Filter::default()).await;
        hits.into_iter().map(|hit| hit.filename).collect()
    }

    /// Every row, by id: read through a search that reaches all of them, and held against the table's own count.
    pub(crate) async fn rows(&self) -> BTreeMap<String, Hit> {
        let vector = self.provider.embed(&["flour".to_owned()]).await.expect("embedded").remove(0);
        let hits = self.search.nearest(&vector, ALL, &Filter::default()).await.expect("searched");
        let count = hits.len();
        let rows: BTreeMap<String, Hit> = hits.into_iter().map(|hit| (hit.id.clone(), hit)).collect();
        assert_eq!(rows.len(), count, "an id is there twice");
        assert_eq!(self.search.info().await.expect("counted").rows, count as u64, "rows that no search shows");
        for (document, rows) in by_document(&rows) {
            let versions: BTreeSet<&str> = rows.iter().map(|row| row.version.as_str()).collect();
            assert_eq!(versions.len(), 1, "rows of two versions of {document}");
            let chunks: BTreeSet<i32> = rows.iter().filter(|row| row.part == "chunk").map(|row| row.ordinal).collect();
            assert!((0..).zip(&chunks).all(|(n, chunk)| n == *chunk), "chunks of {document} are missing: {chunks:?}");
        }
        rows
    }
}

/// Rows by the document that they are of.
pub(crate) fn by_document(rows: &BTreeMap<String, Hit>) -> BTreeMap<String, Vec<&Hit>> {
    let mut documents: BTreeMap<String, Vec<&Hit>> = BTreeMap::new();
    for row in rows.values() {
        documents.entry(row.document.clone()).or_default().push(row);
    }
    documents
}
