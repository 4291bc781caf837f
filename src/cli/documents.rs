//! `docmill documents`: what a store holds, a document a line.

use std::io::Write;

use docmill_api::{Filter, Listed, Registry, StageError, Stored};
use serde_json::{Value, json};

use super::ENVIRONMENT;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs, columns};
use super::{failed, open};
use crate::ledger::{Entry, State};
use crate::plan::Plan;
use crate::report::{self, printable};

/// Lists the documents that a store holds.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill documents                                  what is there, with its chunks and tokens
  docmill documents --limit 20 --after file:///b     the next page
  docmill documents --state unfinished               what a run left that was stopped; also done, skipped, failed
  docmill documents --format json | jq -r '.documents[].uri'")]
pub struct Args {
    /// The pipeline whose store is looked at [default: pipeline.toml in the current directory]
    #[arg(value_name = "PIPELINE")]
    positional: Option<std::path::PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Documents in this state, as the ledger has them, with the reasons of those that are not stored
    #[arg(long, value_enum, value_name = "STATE", conflicts_with_all = ["session", "user", "media_type"])]
    state: Option<State>,
    /// Documents of this session only
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Documents of this user only
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Documents of this media type only
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
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

/// Lists documents on `out`.
///
/// # Errors
/// The event loop cannot start, or `out` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.positional.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return super::pipeline_args::refuse_usage(&message, err),
    };
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Some(state) = args.state {
        return in_state(args, state, &loaded.plan, out, err);
    }
    let filter = Filter {
        session_id: args.session.clone(),
        user_id: args.user.clone(),
        media_type: args.media_type.clone(),
        document: None,
        ..Filter::default()
    };
    let listed: Result<Listed, StageError> = super::event_loop()?.block_on(async {
        let (store, _) = open::store(&loaded.plan, registry).await?;
        store.documents(args.after.as_deref(), args.limit as usize, &filter).await
    });
    match listed {
        Ok(listed) => {
            match args.format {
                Format::Text => show(&listed, out, err)?,
                Format::Json => write_json(&listed, out)?,
            }
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

/// Lists what the ledger has in a state.
fn in_state(args: &Args, state: State, plan: &Plan, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (entries, total) = match failed::read(plan, Some(state), args.after.as_deref(), args.limit as usize)? {
        Ok(read) => read,
        Err(error) => return failed::complain(&error, err),
    };
    if args.format == Format::Json {
        let documents: Vec<Value> = entries.iter().map(failed::as_json).collect();
        writeln!(out, "{}", json!({ "version": 1, "total": total, "documents": documents }))?;
        return Ok(0);
    }
    if entries.is_empty() {
        writeln!(err, "no document is {}", state.as_str())?;
        return Ok(0);
    }
    let head = ["SINCE", "DOCUMENT", "REASON"].map(str::to_owned).to_vec();
    let row = |entry: &Entry| {
        let (place, reason) = (report::place(&entry.uri), &entry.reason);
        vec![failed::moment(entry.changed), printable(&place), printable(reason)]
    };
    write!(out, "{}", columns(&std::iter::once(head).chain(entries.iter().map(row)).collect::<Vec<_>>()))?;
    if let Some(last) = entries.last().filter(|_| (entries.len() as u64) < total) {
        writeln!(err, "{total} in all: add --after '{}', or a larger --limit", last.uri)?;
    }
    Ok(0)
}

fn show(listed: &Listed, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    if listed.documents.is_empty() {
        writeln!(err, "no document")?;
        return Ok(());
    }
    let head = ["CHUNKS", "TOKENS", "STORED", "TYPE", "DOCUMENT"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(listed.documents.iter().map(row)).collect();
    write!(out, "{}", columns(&rows))?;
    let shown = listed.documents.len() as u64;
    if let Some(last) = listed.documents.last().filter(|_| shown < listed.total) {
        writeln!(err, "{} more: add --after '{}', or a larger --limit", listed.total - shown, last.uri)?;
    }
    Ok(())
}

fn row(stored: &Stored) -> Vec<String> {
    let place = printable(&report::place(&stored.uri));
    let place = stored.title.as_ref().map_or(place.clone(), |title| format!("{place}  ({})", printable(title)));
    vec![stored.chunks.to_string(), stored.tokens.to_string(), moment(stored), kind(stored), place]
}

/// A short word for the type: media types of office documents fill a line.
fn kind(stored: &Stored) -> String {
    let extension = stored.filename.rsplit_once('.').map(|(_, extension)| extension).filter(|word| word.len() <= 8);
    let word = extension.unwrap_or_else(|| stored.media_type.rsplit('/').next().unwrap_or_default());
    printable(&word.to_ascii_lowercase())
}

fn moment(stored: &Stored) -> String {
    failed::moment(stored.ingested_at)
}

fn write_json(listed: &Listed, out: &mut dyn Write) -> anyhow::Result<()> {
    let documents: Vec<Value> = listed
        .documents
        .iter()
        .map(|stored| {
            let mut value = json!(stored);
            value["ingested_at"] = json!(moment(stored));
            value
        })
        .collect();
    serde_json::to_writer(&mut *out, &json!({ "version": 1, "total": listed.total, "documents": documents }))?;
    writeln!(out)?;
    Ok(())
}
