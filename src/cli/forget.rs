//! `docmill forget`: documents go from the store and from the ledger, as if they had never been taken in.

use std::io::Write;

use docmill_api::{Registry, SourceItem};

use super::carry_out::{State, Work, carry_out};
use super::failed::{choose, complain};
use super::pipeline_args::{CONFIGURATION, PipelineArgs};
use super::progress::Ui;
use super::run::exit_code;
use crate::ledger::Entry;
use crate::plan::Plan;
use crate::report::{self, printable};
use crate::runtime::item_of;

/// Deletes documents from the store and from what is remembered.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  docmill forget --document papers/draft.pdf     one document, by path, address or id
  docmill forget --user ada                      all documents of a user
  docmill forget --session 42 --user ada         of a session of hers
  docmill forget --user ada --dry-run            which they are
  docmill forget --paid                          what model calls gave, so that they are made again

Rows go at once. A document that is still where the pipeline looks is taken in again by the next run.")]
pub struct Args {
    /// A document: its address, its path, or the beginning of its id; may be given several times
    #[arg(long = "document", value_name = "DOCUMENT", group = "which")]
    documents: Vec<String>,
    /// Documents of this session
    #[arg(long, value_name = "ID", group = "which")]
    session: Option<String>,
    /// Documents of this user
    #[arg(long, value_name = "ID", group = "which")]
    user: Option<String>,
    /// Answers of model services, which are kept by what was asked and serve every document with the same content
    #[arg(long, group = "which", conflicts_with = "dry_run")]
    paid: bool,
    /// Lists them and deletes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Forgets documents.
///
/// # Errors
/// The event loop cannot start, or `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let state = match State::open(&loaded.plan, false, err)? {
        Ok(state) => state,
        Err(code) => return Ok(code),
    };
    if args.paid {
        match super::event_loop()?.block_on(state.ledger.forget_paid()) {
            Ok(results) => writeln!(err, "{} forgotten", counted(results, "answer"))?,
            Err(error) => return complain(&error, err),
        }
        if args.documents.is_empty() && args.session.is_none() && args.user.is_none() {
            return Ok(0);
        }
    }
    let known = match super::event_loop()?.block_on(state.ledger.list(None, None, usize::MAX)) {
        Ok((known, _)) => known,
        Err(error) => return complain(&error, err),
    };
    let chosen: Vec<(Entry, SourceItem)> = match choose(known, &args.documents) {
        Ok(chosen) => chosen.into_iter().map(|entry| (item_of(&entry), entry)).map(|(item, entry)| (entry, item)),
        Err(message) => return super::pipeline_args::refuse_usage(&message, err),
    }
    .filter(|(_, item)| args.session.is_none() || args.session == item.session_id)
    .filter(|(_, item)| args.user.is_none() || args.user == item.user_id)
    .collect();
    for (entry, _) in &chosen {
        writeln!(out, "{}", printable(&report::place(&entry.uri)))?;
    }
    if args.dry_run || chosen.is_empty() {
        writeln!(err, "{}, nothing was deleted", counted(chosen.len() as u64, "document"))?;
        return Ok(0);
    }
    let given = chosen.into_iter().map(|(entry, item)| (entry.source, SourceItem { gone: true, ..item })).collect();
    let work = Work { given: Some(given), ..Work::default() };
    // Rows are deleted here, whoever made them.
    let plan = Plan { cluster: None, ..loaded.plan };
    let ran = match carry_out(plan, registry, &state, work, Ui::None, err)? {
        Ok(ran) => ran,
        Err(code) => return Ok(code),
    };
    let report = ran.report(false);
    for failure in &report.failures {
        writeln!(err, "error: {}: {}", printable(&failure.document), printable(&failure.error))?;
    }
    writeln!(err, "{} forgotten, with all that was inside", counted(ran.view.tally().gone, "document"))?;
    exit_code(&ran.end, &report, 0, err)
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
