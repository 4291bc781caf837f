//! The `urls` source: addresses that are written down, read from a list, or found in sitemaps.
//!
//! | here | what it does |
//! |---|---|
//! | this file | the source: goes through its places in order |
//! | `config` | its table |
//! | `list` | reads a list, a batch of lines at a time |
//! | `sitemap` | reads the XML of a sitemap; no I/O |
//! | `fetch` | gets a sitemap's bytes, past the guard |
//!
//! A sitemap is somebody else's word: of what it names only web addresses are listed, or it could have a file of this
//! machine read.

mod config;
mod fetch;
mod list;
mod sitemap;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use docmill_api::{
    BuildContext, Context, Issue, Node, Source, SourceItem, StageError, StageFactory, StageSpec, canonical_uri,
};
use tokio::task::JoinHandle;
use tracing::warn;
use url::Url;

use self::config::Filter;
pub use self::config::UrlsConfig;
use self::fetch::{Failure, Fetch, Place};
use self::list::List;
use self::sitemap::Sitemap;
use crate::seen::Seen;
use crate::{items, pattern};

/// How deep sitemap indexes may name further ones.
const DEPTH: u32 = 3;

/// How many sitemaps are read: as many as one index may name.
const SITEMAPS: usize = 50_000;

/// How often a sitemap is asked for before it is listed as one that fails. The engine waits between two.
const TRIES: u32 = 3;

/// Items passed over in one go, so that a list of doubles does not hold up the event loop: 20 µs of hashing.
const DOUBLES: usize = 64;

/// Makes the `urls` source.
#[derive(Debug)]
pub struct UrlsFactory;

#[async_trait]
impl StageFactory for UrlsFactory {
    type Config = UrlsConfig;
    const KIND: &'static str = "urls";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        config::spec()
    }

    fn validate(config: &UrlsConfig) -> Vec<Issue> {
        config::validate(config)
    }

    async fn build(config: UrlsConfig, cx: &BuildContext) -> Result<Node, StageError> {
        let jobs = if cx.inputs.is_empty() {
            configured(&config, &items::base(cx)?)?
        } else {
            let here = items::here()?;
            cx.inputs.iter().map(|input| from_command_line(input, &here)).collect()
        };
        let filter = Arc::new(Filter::new(&config).map_err(StageError::fatal)?);
        let fetch = Fetch::new(&config.cidrs).map_err(StageError::fatal)?;
        let left = (config.limit > 0).then_some(config.limit);
        let seen = Seen::default();
        Ok(Node::Source(Box::new(Urls {
            jobs,
            filter,
            fetch,
            left,
            seen,
            sitemaps: Seen::default(),
            reading: None,
            ready: VecDeque::new(),
        })))
    }
}

/// What is still to be gone through.
#[derive(Debug)]
enum Job {
    Address(String),
    List(List),
    Sitemap { place: Place, depth: u32, tries: u32 },
}

impl Job {
    fn sitemap(place: Place) -> Self {
        Self::Sitemap { place, depth: 0, tries: 0 }
    }
}

fn configured(config: &UrlsConfig, base: &Path) -> Result<VecDeque<Job>, StageError> {
    let mut jobs: VecDeque<Job> = config.urls.iter().cloned().map(Job::Address).collect();
    if !config.list.is_empty() {
        let path = base.join(&config.list);
        let list = List::open(&path)
            .map_err(|error| StageError::fatal(format!("the list `{}` cannot be read: {error}", path.display())))?;
        jobs.push_back(Job::List(list));
    }
    jobs.extend(config.sitemap.iter().map(|entry| Job::sitemap(Place::of(entry, base))));
    if jobs.is_empty() {
        return Err(StageError::fatal("nothing to list: set `urls`, `list` or `sitemap`, or name addresses"));
    }
    Ok(jobs)
}

fn from_command_line(input: &str, here: &Path) -> Job {
    if is_sitemap(input) {
        return Job::sitemap(Place::of(input, here));
    }
    if !pattern::is_address(input)
        && let Ok(list) = List::open(&here.join(input))
    {
        return Job::List(list);
    }
    Job::Address(input.to_owned())
}

/// `…/sitemap.xml`, `…/sitemap_index.xml`, `…/sitemap-2.xml.gz`: what sitemaps are called.
fn is_sitemap(input: &str) -> bool {
    let path = if pattern::is_address(input) { input.split(['?', '#']).next().unwrap_or_default() } else { input };
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    name.contains("sitemap") && (name.ends_with(".xml") || name.ends_with(".xml.gz"))
}

struct Urls {
    jobs: VecDeque<Job>,
    filter: Arc<Filter>,
    fetch: Fetch,
    /// How many more are listed; `None` for all.
    left: Option<u64>,
    /// What was listed, so that two places that name the same address list it once.
    seen: Seen,
    /// Which sitemaps were read, so that those that name each other end.
    sitemaps: Seen,
    /// Kept here and not in the future of `next`: a caller that drops that future loses no line.
    reading: Option<JoinHandle<(List, list::Batch)>>,
    /// Found and not yet handed out: a batch of a list, or the entries of one sitemap.
    ready: VecDeque<SourceItem>,
}

#[async_trait]
impl Source for Urls {
    async fn next(&mut self, cx: &Context) -> Result<Option<SourceItem>, StageError> {
        let mut passed = 0;
        loop {
            if cx.cancel.is_cancelled() {
                return Err(StageError::transient("the listing was cancelled"));
            }
            if self.left == Some(0) {
                return Ok(None);
            }
            if let Some(item) = self.ready.pop_front() {
                if self.seen.insert(&canonical_uri(&item.uri)) {
                    self.left = self.left.map(|left| left - 1);
                    return Ok(Some(item));
                }
                passed += 1;
                if passed % DOUBLES == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            let advanced = cx.cancel.run_until_cancelled(self.advance()).await;
            if !advanced.unwrap_or(Ok(true))? {
                return Ok(None);
            }
        }
    }
}

impl Urls {
    /// Goes on with the first job; `false` where there is none. Dropped at any point, it loses nothing: a job stays the
    /// first until it is done.
    async fn advance(&mut self) -> Result<bool, StageError> {
        if self.reading.is_none() {
            match self.jobs.pop_front() {
                None => return Ok(false),
                Some(Job::Address(uri)) => {
                    self.ready.push_back(named(uri));
                    return Ok(true);
                }
                Some(Job::List(mut list)) => {
                    let filter = Arc::clone(&self.filter);
                    self.reading = Some(tokio::task::spawn_blocking(move || {
                        let batch = list.batch(&filter);
                        (list, batch)
                    }));
                }
                Some(sitemap @ Job::Sitemap { .. }) => {
                    self.jobs.push_front(sitemap);
                    return self.read_sitemap().await.map(|()| true);
                }
            }
        }
        let Some(reading) = &mut self.reading else { return Ok(true) };
        let joined = reading.await;
        self.reading = None;
        let (list, batch) =
            joined.map_err(|error| StageError::fatal(format!("the reading of the list broke off: {error}")))?;
        if !batch.last {
            self.jobs.push_front(Job::List(list));
        }
        self.ready.extend(batch.items);
        batch.error.map_or(Ok(true), |error| Err(StageError::fatal(error)))
    }

    async fn read_sitemap(&mut self) -> Result<(), StageError> {
        let Some(Job::Sitemap { place, depth, .. }) = self.jobs.front() else { return Ok(()) };
        let (place, depth) = (place.clone(), *depth);
        let name = place.to_string();
        let is_known = self.sitemaps.contains(&name);
        let too_many = self.sitemaps.len() >= SITEMAPS;
        if is_known || too_many {
            self.jobs.pop_front();
            if too_many {
                let reason = format!("not read, after {SITEMAPS} others");
                self.ready.push_back(items::unusable("sitemap", &name, &reason));
                self.jobs.retain(|job| !matches!(job, Job::Sitemap { .. }));
            }
            return Ok(());
        }
        let filter = Arc::clone(&self.filter);
        let read = self.fetch.read(&place, move |bytes| Sitemap::read(bytes, |uri| filter.takes(uri))).await;
        match read {
            Ok(sitemap) => {
                self.jobs.pop_front();
                self.sitemaps.insert(&name);
                self.take_in(&name, depth, sitemap);
                Ok(())
            }
            Err(failure) => self.failed(&name, failure),
        }
    }

    fn take_in(&mut self, name: &str, depth: u32, mut sitemap: Sitemap) {
        let mut found = sitemap.items(name);
        if depth >= DEPTH && !sitemap.sitemaps.is_empty() {
            let reason = format!("it names further sitemaps, {} deep: they are not read", depth + 1);
            found.push(items::unusable("sitemap", name, &reason));
        } else {
            for url in sitemap.sitemaps.into_iter().rev() {
                self.jobs.push_front(Job::Sitemap { place: Place::Web(url), depth: depth + 1, tries: 0 });
            }
        }
        self.ready.extend(found);
    }

    /// A sitemap that cannot be read is listed itself, to fail as a document and be counted: what it names is missing,
    /// and a run without a failure would say that it is not.
    fn failed(&mut self, name: &str, failure: Failure) -> Result<(), StageError> {
        let reason = match failure {
            Failure::Final(reason) => reason,
            Failure::Passing(reason) => {
                if let Some(Job::Sitemap { tries, .. }) = self.jobs.front_mut() {
                    *tries += 1;
                    if *tries < TRIES {
                        return Err(StageError::transient(format!("sitemap `{name}`: {reason}")));
                    }
                }
                reason
            }
        };
        warn!(sitemap = name, reason, "a sitemap cannot be read; it will fail as a document");
        self.jobs.pop_front();
        self.sitemaps.insert(name);
        self.ready.push_back(items::unusable("sitemap", name, &reason));
        Ok(())
    }
}

/// What was named by itself. The stage that reads it says what is wrong with it, if anything is; only what is no
/// address at all is said here, where it is known that it was meant to be one.
fn named(uri: String) -> SourceItem {
    match Url::parse(&uri) {
        Ok(_) => SourceItem { uri, ..SourceItem::default() },
        Err(_) => items::unusable("urls", &uri, "neither an address nor a file that is there"),
    }
}

/// Where a list or a sitemap is, relative to a directory.
fn local(entry: &str, base: &Path) -> PathBuf {
    Url::parse(entry)
        .ok()
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
        .unwrap_or_else(|| base.join(entry))
}
