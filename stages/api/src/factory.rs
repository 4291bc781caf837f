//! How a stage becomes known and gets built: a typed factory, erased once, kept in a registry that the program fills.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Digest, Node, PayloadKind, Provider, Search, ServiceFactory, Services, StageError, StageSpec};

/// Something wrong with a stage's configuration, found without I/O.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// The field, dotted below the stage's table (`types.".py".tokens` is `["types", ".py", "tokens"]`).
    pub path: Vec<String>,
    /// What is wrong, lower-case, without a full stop.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Issue {
    /// An issue of one top-level field.
    #[must_use]
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { path: vec![field.to_owned()], message: message.into(), hint: None }
    }

    /// The same issue with a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Which model an embedding stage uses: it has to be the one that the store's table was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Embedding {
    /// The model's name.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: usize,
}

/// What a stage takes and gives, where its configuration decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// What it takes.
    pub takes: Vec<PayloadKind>,
    /// What it gives.
    pub gives: Vec<PayloadKind>,
}

impl Ports {
    /// What a spec names.
    #[must_use]
    pub fn of(spec: &StageSpec) -> Self {
        Self { takes: spec.takes.to_vec(), gives: spec.gives.to_vec() }
    }
}

/// What a factory is told besides its configuration.
#[derive(Clone, Debug)]
pub struct BuildContext {
    /// The stage's id in the pipeline.
    pub stage: String,
    /// The directory that relative paths are relative to: the pipeline file's.
    pub base: PathBuf,
    /// The pipeline's fingerprint.
    pub fingerprint: Digest,
    /// The embedding that reaches this stage, where one does.
    pub embedding: Option<Embedding>,
    /// Documents named on the command line, which replace what a source lists.
    pub inputs: Vec<String>,
    /// The table in `[providers]` that the stage's provider is configured in; `None` where it is in the stage's own.
    pub provider: Option<String>,
    /// The model services that are open, for a stage that uses one.
    pub services: Services,
    /// Where the bytes are of documents at `upload://HASH/NAME`: in files that are called by their content's hash. `None`
    /// where there are none.
    pub uploads: Option<PathBuf>,
    /// The state directory, which outlives the run and has one run at a time. `None` where there is none.
    pub state: Option<PathBuf>,
}

impl Default for BuildContext {
    /// A stage without a name, in the current directory.
    fn default() -> Self {
        Self {
            stage: String::new(),
            base: PathBuf::new(),
            fingerprint: Digest::of(&[]),
            embedding: None,
            inputs: Vec::new(),
            provider: None,
            services: Services::default(),
            uploads: None,
            state: None,
        }
    }
}

/// Makes one kind of stage.
///
/// `build` may open files and clients, and spawns nothing: the engine decides when work begins.
#[async_trait]
pub trait StageFactory: Send + Sync + 'static {
    /// The stage's table in `pipeline.toml`, without the keys that every stage has. Derive `Deserialize` with
    /// `deny_unknown_fields`; defaults come from the spec, so that they are written once.
    type Config: DeserializeOwned + Send + Sync;

    /// What `kind = "…"` says.
    const KIND: &'static str;

    /// Raised whenever the same configuration gives other rows than before: documents are then done again.
    const REVISION: u32;

    /// The stage's description: all that it may be told.
    fn spec() -> StageSpec;

    /// The description of a stage with this table, for a kind that is another stage with another provider: other
    /// fields apply, and its work runs in another tier. It takes and gives the same. The spec, unless the kind says so.
    fn spec_for(_table: &Map<String, Value>) -> StageSpec {
        Self::spec()
    }

    /// Finds what the types cannot say, without I/O.
    fn validate(_config: &Self::Config) -> Vec<Issue> {
        Vec::new()
    }

    /// Adds to the fingerprint what the configuration leaves open and the machine decides (which PDF reader
    /// `"auto"` means here).
    fn resolved(_config: &Self::Config) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The model, for a stage that embeds.
    fn embedding(_config: &Self::Config) -> Option<Embedding> {
        None
    }

    /// What a stage of this configuration takes and gives; `None` for what the spec names, which is so for every kind
    /// whose shape is fixed.
    ///
    /// A kind that is told its ports names in its spec all that it may be told, and here what it was told: a part of
    /// that, empty where the spec is empty and nowhere else, so that it stays a source, a stage or a sink.
    fn ports(_config: &Self::Config) -> Option<Ports> {
        None
    }

    /// Builds the stage.
    ///
    /// # Errors
    /// The run does not start: a store that is not ours, no permission, a missing file.
    async fn build(config: Self::Config, cx: &BuildContext) -> Result<Node, StageError>;

    /// Opens a sink's store for reading; `None` for other stages and stores that cannot be searched.
    ///
    /// # Errors
    /// The store is missing, or not ours.
    async fn search(_config: Self::Config, _cx: &BuildContext) -> Result<Option<Arc<dyn Search>>, StageError> {
        Ok(None)
    }

    /// Opens an embedding stage's model for single calls; `None` for other stages.
    ///
    /// # Errors
    /// The model cannot be opened.
    async fn provider(_config: Self::Config, _cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError> {
        Ok(None)
    }
}

/// A [`StageFactory`] without its types: what the registry holds. Configurations are JSON values with all defaults in.
#[async_trait]
pub trait ErasedFactory: Send + Sync {
    /// See [`StageFactory::KIND`].
    fn kind(&self) -> &'static str;
    /// See [`StageFactory::REVISION`].
    fn revision(&self) -> u32;
    /// See [`StageFactory::spec`].
    fn spec(&self) -> StageSpec;
    /// See [`StageFactory::spec_for`].
    fn spec_for(&self, table: &Map<String, Value>) -> StageSpec;
    /// See [`StageFactory::validate`]; a configuration that does not decode is an issue too.
    fn validate(&self, config: &Value) -> Vec<Issue>;
    /// See [`StageFactory::resolved`].
    fn resolved(&self, config: &Value) -> BTreeMap<String, String>;
    /// See [`StageFactory::embedding`].
    fn embedding(&self, config: &Value) -> Option<Embedding>;
    /// See [`StageFactory::ports`]; the spec's where the kind says none, or the configuration does not decode.
    fn ports(&self, config: &Value) -> Ports;
    /// See [`StageFactory::build`].
    async fn build(&self, config: Value, cx: &BuildContext) -> Result<Node, StageError>;
    /// See [`StageFactory::search`].
    async fn search(&self, config: Value, cx: &BuildContext) -> Result<Option<Arc<dyn Search>>, StageError>;
    /// See [`StageFactory::provider`].
    async fn provider(&self, config: Value, cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError>;
}

struct Erased<F>(std::marker::PhantomData<fn() -> F>);

fn decode<F: StageFactory>(config: &Value) -> Result<F::Config, Issue> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().iter().map(ToString::to_string).collect();
        Issue { path, message: error.into_inner().to_string(), hint: None }
    })
}

fn decode_or_fail<F: StageFactory>(config: &Value) -> Result<F::Config, StageError> {
    decode::<F>(config).map_err(|issue| StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message)))
}

#[async_trait]
impl<F: StageFactory> ErasedFactory for Erased<F> {
    fn kind(&self) -> &'static str {
        F::KIND
    }
    fn revision(&self) -> u32 {
        F::REVISION
    }
    fn spec(&self) -> StageSpec {
        F::spec()
    }
    fn spec_for(&self, table: &Map<String, Value>) -> StageSpec {
        F::spec_for(table)
    }
    fn validate(&self, config: &Value) -> Vec<Issue> {
        match decode::<F>(config) {
            Ok(config) => F::validate(&config),
            Err(issue) => vec![issue],
        }
    }
    fn resolved(&self, config: &Value) -> BTreeMap<String, String> {
        decode::<F>(config).map(|config| F::resolved(&config)).unwrap_or_default()
    }
    fn embedding(&self, config: &Value) -> Option<Embedding> {
        decode::<F>(config).ok().and_then(|config| F::embedding(&config))
    }
    fn ports(&self, config: &Value) -> Ports {
        decode::<F>(config).ok().and_then(|config| F::ports(&config)).unwrap_or_else(|| Ports::of(&F::spec()))
    }
    async fn build(&self, config: Value, cx: &BuildContext) -> Result<Node, StageError> {
        F::build(decode_or_fail::<F>(&config)?, cx).await
    }
    async fn search(&self, config: Value, cx: &BuildContext) -> Result<Option<Arc<dyn Search>>, StageError> {
        F::search(decode_or_fail::<F>(&config)?, cx).await
    }
    async fn provider(&self, config: Value, cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError> {
        F::provider(decode_or_fail::<F>(&config)?, cx).await
    }
}

/// The kinds of stage and of model service that a program knows.
#[derive(Clone, Default)]
pub struct Registry {
    factories: BTreeMap<&'static str, Arc<dyn ErasedFactory>>,
    services: BTreeMap<&'static str, Arc<dyn ServiceFactory>>,
}

impl Registry {
    /// Without any kind.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a kind known. A kind added twice is the later one, so that a program can replace a built-in stage.
    pub fn add<F: StageFactory>(&mut self) {
        self.factories.insert(F::KIND, Arc::new(Erased::<F>(std::marker::PhantomData)));
    }

    /// The factory of a kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn ErasedFactory>> {
        self.factories.get(kind)
    }

    /// Makes a kind of model service known.
    pub fn add_service(&mut self, factory: impl ServiceFactory) {
        self.services.insert(factory.kind(), Arc::new(factory));
    }

    /// The kind of model service of this name.
    #[must_use]
    pub fn service(&self, kind: &str) -> Option<&Arc<dyn ServiceFactory>> {
        self.services.get(kind)
    }

    /// All kinds of model service, in alphabetical order.
    pub fn services(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.services.keys().copied()
    }

    /// All kinds of stage, in alphabetical order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.factories.keys().copied()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}

/// A stage's own fields as its spec sets them: for tests, and for whatever needs a configuration without a file.
#[must_use]
pub fn defaults(fields: &[crate::FieldSpec]) -> Value {
    let values = fields.iter().filter_map(|field| Some((field.name.to_owned(), field.default.clone()?))).collect();
    Value::Object(values)
}
