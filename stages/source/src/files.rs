//! The `files` source that comes to an end: hands out what the [`Lister`] finds, a batch at a time, so that a walk over a slow disk never
//! holds up the event loop and a large tree is never in memory as a whole.

use std::collections::VecDeque;
use std::path::PathBuf;

use async_trait::async_trait;
use docmill_api::{BuildContext, Context, Issue, Node, Source, SourceItem, StageError, StageFactory, StageSpec};
use tokio::task::JoinHandle;

use crate::config::{self, FilesConfig};
use crate::coverage::Coverage;
use crate::items;
use crate::lister::{Batch, Lister, warn_of_links};
use crate::rules::Rules;
use crate::watch::{Quiet, Watch, Watched};

/// Makes the `files` source.
#[derive(Debug)]
pub struct FilesFactory;

#[async_trait]
impl StageFactory for FilesFactory {
    type Config = FilesConfig;
    const KIND: &'static str = "files";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        config::spec()
    }

    fn validate(config: &FilesConfig) -> Vec<Issue> {
        config::validate(config)
    }

    async fn build(mut config: FilesConfig, cx: &BuildContext) -> Result<Node, StageError> {
        let base = items::base(cx)?;
        let (from, entries): (PathBuf, Vec<String>) = if cx.inputs.is_empty() {
            (base.clone(), std::mem::take(&mut config.include))
        } else {
            (items::here()?, cx.inputs.clone())
        };
        let rules = Rules::new(&config, base).map_err(StageError::fatal)?;
        if config.watch {
            let quiet = Quiet { quiet: config.watch_quiet.0, poll: config.watch_poll.0 };
            let opened = tokio::task::spawn_blocking(move || Watch::new(rules, &from, entries, quiet)).await;
            let watch = opened.map_err(|error| StageError::fatal(format!("the watch broke off: {error}")))?;
            return Ok(Node::Source(Box::new(Watched::new(watch))));
        }
        let lister = Lister::new(rules, from, entries);
        Ok(Node::Source(Box::new(Files {
            state: State::Idle(Box::new(lister)),
            ready: VecDeque::new(),
            coverage: Coverage::default(),
        })))
    }
}

struct Files {
    state: State,
    /// Found and not yet handed out; at most one batch.
    ready: VecDeque<SourceItem>,
    /// What was walked, once all of it was.
    coverage: Coverage,
}

enum State {
    Idle(Box<Lister>),
    /// Kept here and not in the future of `next`: a caller that drops that future loses no item.
    Walking(JoinHandle<(Box<Lister>, Batch)>),
    Over,
}

#[async_trait]
impl Source for Files {
    async fn next(&mut self, cx: &Context) -> Result<Option<SourceItem>, StageError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if cx.cancel.is_cancelled() {
                // Not `None`: the listing is not complete, and nobody may conclude that it was.
                return Err(StageError::transient("the listing was cancelled"));
            }
            self.advance().await?;
            if matches!(self.state, State::Over) && self.ready.is_empty() {
                return Ok(None);
            }
        }
    }

    fn covers(&self, uri: &str) -> bool {
        self.coverage.covers(uri)
    }
}

impl Files {
    /// Has the lister find its next batch, or takes up one that is under way.
    async fn advance(&mut self) -> Result<(), StageError> {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Idle(mut lister) => State::Walking(tokio::task::spawn_blocking(move || {
                let batch = lister.batch();
                (lister, batch)
            })),
            other => other,
        };
        let State::Walking(walking) = &mut self.state else { return Ok(()) };
        let joined = walking.await;
        self.state = State::Over;
        let (lister, batch) =
            joined.map_err(|error| StageError::fatal(format!("the directory walk broke off: {error}")))?;
        self.ready = batch.items.into();
        if batch.last {
            warn_of_links(batch.links);
            self.coverage = batch.coverage;
        } else {
            self.state = State::Idle(lister);
        }
        Ok(())
    }
}
