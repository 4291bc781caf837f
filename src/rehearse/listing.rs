//! What the sources list: documents and bytes by type, and a sample of each type.

use std::collections::BTreeMap;

use docmill_api::{BuildContext, Context, Digest, Document, Node, Payload, Record, Reference, Registry, SourceItem};
use docmill_api::{Source, Stage, StageError};

use crate::plan::{Plan, Role, StagePlan};

/// How many documents of a type are read: enough to tell tokens a byte to some ten per cent.
const SAMPLE: usize = 8;

/// How many types get a group of their own; all others share one.
const GROUPS: usize = 64;

/// What would be taken in.
#[derive(Debug, Default)]
pub struct Listing {
    /// By extension; `` for documents without one.
    pub groups: BTreeMap<String, Group>,
}

/// The documents of one type.
#[derive(Debug, Default)]
pub struct Group {
    /// How many there are.
    pub documents: u64,
    /// Bytes of those whose size is known.
    pub bytes: u64,
    /// How many are of unknown size.
    pub unsized_documents: u64,
    /// Some of them, each with the position of its source in the plan.
    pub sample: BTreeMap<Digest, (usize, SourceItem)>,
}

impl Listing {
    /// Documents of all types.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.groups.values().map(|group| group.documents).sum()
    }

    /// Bytes of all documents whose size is known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.groups.values().map(|group| group.bytes).sum()
    }

    fn add(&mut self, source: usize, item: SourceItem, fingerprint: Digest) {
        let document = Document::admit(item.clone(), fingerprint);
        let extension = document.extension();
        let room = self.groups.len() < GROUPS || self.groups.contains_key(&extension);
        let group = self.groups.entry(if room { extension } else { "…".to_owned() }).or_default();
        group.documents += 1;
        match item.size {
            Some(size) => group.bytes += size,
            None => group.unsized_documents += 1,
        }
        // By the smallest hashes: a fair sample, and the same one every time.
        group.sample.insert(document.id, (source, item));
        if group.sample.len() > SAMPLE {
            group.sample.pop_last();
        }
    }
}

/// Lists everything that the plan's sources list. Prefixes and globs of object stores are opened, archives are not.
///
/// # Errors
/// A source or the stage that opens its references cannot be built, or listing fails.
pub async fn list(plan: &Plan, registry: &Registry, inputs: &[String]) -> Result<Listing, StageError> {
    let mut listing = Listing::default();
    for (index, stage) in plan.stages.iter().enumerate().filter(|(_, stage)| stage.role == Role::Source) {
        let Node::Source(mut source) = build(plan, stage, registry, inputs).await? else { continue };
        let opener = opener(plan, index, registry).await?;
        while let Some(item) = next(source.as_mut(), stage).await? {
            match &opener {
                Some(opener) if is_pattern(&item) => {
                    for found in open(opener.as_ref(), &item, plan.fingerprint).await? {
                        listing.add(index, found, plan.fingerprint);
                    }
                }
                _ => listing.add(index, item, plan.fingerprint),
            }
        }
    }
    Ok(listing)
}

async fn next(source: &mut dyn Source, stage: &StagePlan) -> Result<Option<SourceItem>, StageError> {
    let cx = Context::detached();
    match tokio::time::timeout(stage.timeout, source.next(&cx)).await {
        Ok(item) => item,
        Err(_) => Err(StageError::transient(format!("listing of `{}` timed out", stage.id))),
    }
}

/// The stage that opens a source's references.
async fn opener(
    plan: &Plan,
    source: usize,
    registry: &Registry,
) -> Result<Option<std::sync::Arc<dyn Stage>>, StageError> {
    for stage in plan.stages.iter().filter(|stage| stage.inputs.contains(&source)) {
        if let Node::Io(opener) = build(plan, stage, registry, &[]).await? {
            return Ok(Some(opener));
        }
    }
    Ok(None)
}

/// Whether a reference stands for many documents of an object store: a prefix or a glob.
fn is_pattern(item: &SourceItem) -> bool {
    let scheme = item.uri.split(':').next().unwrap_or_default();
    !matches!(scheme, "file" | "http" | "https" | "upload") && (item.uri.ends_with('/') || item.uri.contains('*'))
}

async fn open(opener: &dyn Stage, item: &SourceItem, fingerprint: Digest) -> Result<Vec<SourceItem>, StageError> {
    let document = std::sync::Arc::new(Document::admit(item.clone(), fingerprint));
    let record = Record { document, payload: Payload::Reference(Reference::default()) };
    Ok(opener.process(&Context::detached(), record).await?.take_found())
}

async fn build(plan: &Plan, stage: &StagePlan, registry: &Registry, inputs: &[String]) -> Result<Node, StageError> {
    let factory = registry
        .get(&stage.kind)
        .ok_or_else(|| StageError::fatal(format!("no stage of kind `{}` is built in", stage.kind)))?;
    let cx = BuildContext {
        stage: stage.id.clone(),
        base: plan.base.clone(),
        fingerprint: plan.fingerprint,
        embedding: stage.embedding.clone(),
        inputs: inputs.to_vec(),
        ..BuildContext::default()
    };
    factory.build(stage.config.clone(), &cx).await
}
