//! The documents of a load test: made up, or those that the user names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use docmill_api::units::Size;
use docmill_api::{BuildContext, Context, Node, Registry};

use super::super::progress::Ui;
use super::args::Args;
use super::redirect::Scratch;
use crate::load::documents::{Format, Made, Recipe, fill};
use crate::load::profile::Profile;
use crate::plan::{Plan, Role};
use crate::report::count;

/// Documents that are ready.
#[derive(Debug)]
pub(in crate::cli) struct Documents {
    /// A document a line.
    pub(in crate::cli) listing: PathBuf,
    /// How many different ones.
    pub(in crate::cli) different: u64,
    /// How many are taken in, where that is known before.
    pub(in crate::cli) total: Option<u64>,
    /// Whether they are listed for as long as the steps last. A listing that ended with the last one would cut the last
    /// step short.
    pub(in crate::cli) endless: bool,
    /// By format, where they were made up.
    pub(in crate::cli) made: Option<BTreeMap<Format, Made>>,
    /// Where they are kept and were there already.
    pub(in crate::cli) reused: bool,
}

/// How many documents are tried where nothing is said.
const DOCUMENTS: u64 = 1000;

/// How many different ones are made up for a profile at most, unless more are asked for: some 100 MB at the usual sizes.
const DIFFERENT: u64 = 10_000;

/// How often it is told how many were made.
const TELL: Duration = Duration::from_secs(2);

/// Makes the documents up, or lists those that are named.
pub(super) fn prepare(
    args: &Args,
    plan: &Plan,
    registry: &Registry,
    (scratch, profile): (&Scratch, &Profile),
    err: &mut dyn Write,
) -> anyhow::Result<Documents> {
    let wanted = profile.documents();
    let mut documents = if args.positionals.is_empty() {
        let several = wanted.map_or(DOCUMENTS, |wanted| wanted.clamp(1, DIFFERENT));
        make(args, args.documents.unwrap_or(several), scratch, err)?
    } else {
        list(&args.positionals, args.documents, plan, (registry, scratch))?
    };
    documents.endless = profile.lasts().is_some();
    documents.total = match wanted {
        Some(wanted) => Some(wanted),
        None if documents.endless => None,
        // A warm-up takes from the same documents.
        None => Some(args.documents.unwrap_or(documents.different)),
    };
    Ok(documents)
}

fn make(args: &Args, different: u64, scratch: &Scratch, err: &mut dyn Write) -> anyhow::Result<Documents> {
    let made = &args.made;
    let recipe = Recipe {
        documents: different,
        median: made.median_size.0.min(made.largest.0),
        largest: made.largest.0,
        spread: made.spread,
        formats: made.formats.clone(),
        seed: made.seed,
    };
    let folder = made.keep.clone().unwrap_or_else(|| scratch.path("documents"));
    let quiet = args.ui == Ui::None;
    let mut next = Instant::now() + TELL;
    let mut tell = |written: u64| {
        if !quiet && Instant::now() >= next {
            next = Instant::now() + TELL;
            // Where standard error is gone, they are made all the same.
            let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
            let _ = write!(err, "making documents: {} of {}{end}", count(written), count(different));
        }
    };
    let filled = fill(&folder, &recipe, &mut tell);
    let filled = filled.with_context(|| format!("cannot make documents in `{}`", folder.display()))?;
    Ok(Documents {
        listing: filled.listing,
        different,
        total: None,
        endless: false,
        made: Some(filled.made),
        reused: filled.reused,
    })
}

/// Lists the documents that were named, as a run over them would.
pub(in crate::cli) fn list(
    inputs: &[String],
    most: Option<u64>,
    plan: &Plan,
    (registry, scratch): (&Registry, &Scratch),
) -> anyhow::Result<Documents> {
    let listing = scratch.path("documents.jsonl");
    let mut lines = BufWriter::new(File::create(&listing)?);
    let most = most.unwrap_or(u64::MAX);
    let event_loop = super::super::event_loop().context("cannot start the event loop")?;
    let different = event_loop.block_on(async {
        let stage =
            plan.stages.iter().find(|stage| stage.role == Role::Source).context("the pipeline has no source")?;
        let factory = registry.get(&stage.kind).with_context(|| format!("no stage of kind `{}`", stage.kind))?;
        let cx = BuildContext {
            stage: stage.id.clone(),
            base: plan.base.clone(),
            fingerprint: plan.fingerprint,
            inputs: inputs.to_vec(),
            ..BuildContext::default()
        };
        let Node::Source(mut source) = factory.build(stage.config.clone(), &cx).await? else {
            bail!("stage `{}` is no source", stage.id);
        };
        if source.waits() {
            bail!("the source `{}` waits for documents without end; a test needs those that are there", stage.id);
        }
        let mut listed = 0;
        let cx = Context::detached();
        while listed < most
            && let Some(item) = tokio::time::timeout(stage.timeout, source.next(&cx)).await.context("listing")??
        {
            serde_json::to_writer(&mut lines, &item)?;
            lines.write_all(b"\n")?;
            listed += 1;
        }
        Ok(listed)
    })?;
    lines.flush()?;
    if different == 0 {
        bail!("there is nothing to try: no document is where it was looked for");
    }
    Ok(Documents { listing, different, total: None, endless: false, made: None, reused: false })
}

impl Documents {
    /// Bytes of all that were made up.
    pub(super) fn bytes(&self) -> Option<Size> {
        self.made.as_ref().map(|made| Size(made.values().map(|made| made.bytes).sum()))
    }
}
