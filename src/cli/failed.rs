//! `docmill failed`: dead letters. Documents that failed for good, kept with their reasons until they are tried again or
//! dropped.

use std::io::Write;

use chrono::{DateTime, SecondsFormat};
use docmill_api::{MEMBER_MARK, Registry};
use serde_json::{Value, json};

use super::ENVIRONMENT;
use super::carry_out::{State as StateDirectory, Work, carry_out, ledger_file};
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs, columns, refuse_usage};
use super::progress::Ui;
use super::run::exit_code;
use super::socket;
use crate::control::Command;
use crate::ledger::{Change, Entry, Ledger, LedgerError, State};
use crate::plan::Plan;
use crate::report::{self, printable, render};
use crate::runtime::{StateError, StateLock, item_of};

/// Lists the documents that failed, tells why, tries them again or drops them.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  docmill failed                                what failed, and why
  docmill failed show papers/broken.pdf         all that is known of one
  docmill failed retry                          tries all of them again
  docmill failed retry papers/broken.pdf        or one
  docmill failed drop --all                     forgets that they failed; the next run that lists them tries them
  docmill failed --format json | jq -r '.failed[].document'

A document that failed for what it is (broken, encrypted, too large) is not tried again by `docmill run` until it or the
pipeline changes. One that failed for something else (a server that was down) is.")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Lists them [the default]
    List(ListArgs),
    /// Tells all that is known of some
    Show(ShowArgs),
    /// Runs the pipeline over them, or over some
    Retry(RetryArgs),
    /// Forgets that they failed
    Drop(DropArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many are listed at most, in the order of their addresses
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Lists those behind this address: the last one of the page before
    #[arg(long, value_name = "URI")]
    after: Option<String>,
    /// How the list is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// Documents: addresses, paths, or the beginnings of their ids
    #[arg(value_name = "DOCUMENT", required = true)]
    documents: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Debug, clap::Args)]
struct RetryArgs {
    /// Documents: addresses, paths, or the beginnings of their ids [default: all that failed]
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value_t)]
    ui: Ui,
    /// How the report is printed, on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Debug, clap::Args)]
struct DropArgs {
    /// Documents: addresses, paths, or the beginnings of their ids
    #[arg(value_name = "DOCUMENT", required_unless_present = "all", conflicts_with = "all")]
    documents: Vec<String>,
    /// Drops all of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Does what is asked of dead letters.
///
/// # Errors
/// The event loop cannot start, or `out` or `err` cannot be written.
pub fn run(args: Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    match args.what.unwrap_or(What::List(args.list)) {
        What::List(args) => list(&args, registry, out, err),
        What::Show(args) => show(&args, registry, out, err),
        What::Retry(args) => retry(&args, registry, out, err),
        What::Drop(args) => drop_some(&args, registry, out, err),
    }
}

fn list(args: &ListArgs, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let read = read(&loaded.plan, Some(State::Failed), args.after.as_deref(), args.limit as usize)?;
    let (failed, total) = match read {
        Ok(read) => read,
        Err(error) => return complain(&error, err),
    };
    match args.format {
        Format::Json => {
            let failed: Vec<Value> = failed.iter().map(as_json).collect();
            writeln!(out, "{}", json!({ "version": 1, "total": total, "failed": failed }))?;
        }
        Format::Text if failed.is_empty() => writeln!(err, "no document failed")?,
        Format::Text => {
            let head = ["STAGE", "ATTEMPTS", "WHEN", "DOCUMENT", "ERROR"].map(str::to_owned).to_vec();
            let rows: Vec<Vec<String>> = std::iter::once(head).chain(failed.iter().map(row)).collect();
            write!(out, "{}", columns(&rows))?;
            if let Some(last) = failed.last().filter(|_| (failed.len() as u64) < total) {
                writeln!(err, "{total} in all: add --after '{}', or a larger --limit", last.uri)?;
            }
        }
    }
    Ok(0)
}

fn show(args: &ShowArgs, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let failed = match read(&loaded.plan, Some(State::Failed), None, usize::MAX)? {
        Ok((failed, _)) => failed,
        Err(error) => return complain(&error, err),
    };
    let chosen = match choose(failed, &args.documents) {
        Ok(chosen) => chosen,
        Err(message) => return refuse_usage(&message, err),
    };
    match args.format {
        Format::Json => {
            let failed: Vec<Value> = chosen.iter().map(as_json).collect();
            writeln!(out, "{}", json!({ "version": 1, "total": failed.len(), "failed": failed }))?;
        }
        Format::Text => {
            for entry in &chosen {
                write!(out, "{}", in_full(entry))?;
            }
        }
    }
    Ok(0)
}

/// The state directory in this process's hands, and those that failed and are named; or the exit code, where `err` was told.
fn take_failed(
    plan: &Plan,
    documents: &[String],
    err: &mut dyn Write,
) -> anyhow::Result<Result<(StateDirectory, Vec<Entry>), u8>> {
    let state = match StateDirectory::open(plan, false, err)? {
        Ok(state) => state,
        Err(code) => return Ok(Err(code)),
    };
    let failed = match super::event_loop()?.block_on(state.ledger.list(Some(State::Failed), None, usize::MAX)) {
        Ok((failed, _)) => failed,
        Err(error) => return complain(&error, err).map(Err),
    };
    match choose(failed, documents) {
        Ok(chosen) => Ok(Ok((state, chosen))),
        Err(message) => refuse_usage(&message, err).map(Err),
    }
}

fn write(state: &StateDirectory, changes: Vec<Change>) -> anyhow::Result<Result<(), LedgerError>> {
    Ok(super::event_loop()?.block_on(state.ledger.write(changes)))
}

fn retry(args: &RetryArgs, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Err(error @ StateError::Taken { .. }) = StateLock::take(&loaded.plan.run.state) {
        return retry_beside(args, &loaded.plan, &error, err);
    }
    let (state, chosen) = match take_failed(&loaded.plan, &args.documents, err)? {
        Ok(taken) => taken,
        Err(code) => return Ok(code),
    };
    if chosen.is_empty() {
        writeln!(err, "no document failed")?;
        return Ok(0);
    }
    if let Err(error) = write(&state, chosen.iter().map(|entry| Change::Reopen(entry.document)).collect())? {
        return complain(&error, err);
    }
    let given = chosen.iter().map(|entry| (entry.source.clone(), item_of(entry))).collect();
    let work = Work { given: Some(given), ..Work::default() };
    let ran = match carry_out(loaded.plan, registry, &state, work, args.ui, err)? {
        Ok(ran) => ran,
        Err(code) => return Ok(code),
    };
    let report = ran.report(false);
    match args.format {
        Format::Text => write!(out, "{}", render(&report))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
    }
    exit_code(&ran.end, &report, 0, err)
}

/// Has the run that holds the state directory try them.
fn retry_beside(args: &RetryArgs, plan: &Plan, taken: &StateError, err: &mut dyn Write) -> anyhow::Result<u8> {
    let failed = match read(plan, Some(State::Failed), None, usize::MAX)? {
        Ok((failed, _)) => failed,
        Err(error) => return complain(&error, err),
    };
    let chosen = match choose(failed, &args.documents) {
        Ok(chosen) => chosen,
        Err(message) => return refuse_usage(&message, err),
    };
    let documents: Vec<_> = chosen.iter().map(|entry| (entry.source.clone(), item_of(entry))).collect();
    let count = documents.len();
    if count > 0
        && let Err(error) = socket::tell(&plan.run.state, &Command::Retry { documents })
    {
        writeln!(err, "error: {taken}")?;
        writeln!(err, "hint: it cannot be told to try them again: {error}")?;
        return Ok(ENVIRONMENT);
    }
    match count {
        0 => writeln!(err, "no document failed")?,
        1 => writeln!(err, "told the run that is under way to try 1 document again")?,
        _ => writeln!(err, "told the run that is under way to try {count} documents again")?,
    }
    Ok(0)
}

fn drop_some(args: &DropArgs, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let (state, chosen) = match take_failed(&loaded.plan, &args.documents, err)? {
        Ok(taken) => taken,
        Err(code) => return Ok(code),
    };
    if let Err(error) = write(&state, chosen.iter().map(|entry| Change::Drop(entry.document)).collect())? {
        return complain(&error, err);
    }
    writeln!(out, "{} dropped", chosen.len())?;
    Ok(0)
}

/// Reads the ledger beside whoever writes it. Where nothing ran yet, there is nothing in it.
pub(super) fn read(
    plan: &Plan,
    state: Option<State>,
    after: Option<&str>,
    limit: usize,
) -> anyhow::Result<Result<(Vec<Entry>, u64), LedgerError>> {
    let file = ledger_file(plan);
    if !file.exists() {
        return Ok(Ok((Vec::new(), 0)));
    }
    let ledger = match Ledger::open_to_read(&file) {
        Ok(ledger) => ledger,
        Err(error) => return Ok(Err(error)),
    };
    Ok(super::event_loop()?.block_on(ledger.list(state, after, limit)))
}

pub(super) fn complain(error: &LedgerError, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {error}")?;
    Ok(ENVIRONMENT)
}

/// How long the beginning of an id must be to name a document.
const SHORTEST_ID: usize = 8;

/// Those of `entries` that `wanted` names, or all where it names none.
///
/// # Errors
/// What names none of them.
pub(super) fn choose(entries: Vec<Entry>, wanted: &[String]) -> Result<Vec<Entry>, String> {
    let named = |entry: &Entry, name: &str| {
        // A member is named by its archive's path with the member behind it, as it is printed.
        let (path, member) = name.find(MEMBER_MARK).map_or((name, ""), |at| name.split_at(at));
        let path = std::path::absolute(path).ok().and_then(|path| url::Url::from_file_path(path).ok());
        entry.uri == name
            || path.is_some_and(|path| entry.uri.strip_prefix(path.as_str()) == Some(member))
            || (name.len() >= SHORTEST_ID && entry.document.to_string().starts_with(name))
    };
    if let Some(unknown) = wanted.iter().find(|name| !entries.iter().any(|entry| named(entry, name))) {
        return Err(format!(
            "`{}` is none of these {} documents: name an address, a path, or {SHORTEST_ID} and more digits of an id",
            printable(unknown),
            entries.len()
        ));
    }
    let chosen = |entry: &Entry| wanted.is_empty() || wanted.iter().any(|name| named(entry, name));
    Ok(entries.into_iter().filter(chosen).collect())
}

/// When something was written.
pub(super) fn moment(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(String::new, |moment| moment.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn row(entry: &Entry) -> Vec<String> {
    let place = printable(&report::place(&entry.uri));
    let attempts = entry.attempts.to_string();
    vec![entry.stage.clone(), attempts, moment(entry.changed), place, printable(&entry.reason)]
}

/// A document as programs read it.
pub(super) fn as_json(entry: &Entry) -> Value {
    let mut value = json!({
        "document": entry.uri,
        "id": entry.document.to_string(),
        "state": entry.state(),
        "source": entry.source,
        "run": entry.run,
        "changed": moment(entry.changed),
    });
    if !entry.reason.is_empty() {
        value["stage"] = json!(entry.stage);
        value["reason"] = json!(entry.reason);
    }
    if !entry.class.is_empty() {
        value["class"] = json!(entry.class);
        value["attempts"] = json!(entry.attempts);
        value["next"] = json!(next_for(entry));
    }
    value
}

/// What whoever wants the document does.
fn next_for(entry: &Entry) -> &'static str {
    if entry.class == "rejected" {
        "mend or replace it and run again; or change the pipeline; `docmill failed retry` tries it as it is"
    } else {
        "the next run that lists it tries it again; so does `docmill failed retry`"
    }
}

fn in_full(entry: &Entry) -> String {
    let kept = if entry.kept.is_some() { "an earlier content of it is in the store" } else { "nothing of it" };
    let rows = [
        ("document", printable(&entry.uri)),
        ("id", entry.document.to_string()),
        ("stage", entry.stage.clone()),
        ("class", entry.class.clone()),
        ("error", printable(&entry.reason)),
        ("attempts", entry.attempts.to_string()),
        ("failed", format!("{} in run {}", moment(entry.changed), entry.run)),
        ("stored", kept.to_owned()),
        ("next", next_for(entry).to_owned()),
    ];
    columns(&rows.map(|(name, value)| vec![name.to_owned(), value])) + "\n"
}
