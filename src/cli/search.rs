//! `docmill search`: a question to the store that a pipeline filled.

use std::io::{IsTerminal, Write};

use docmill_api::{Hit, Registry, StageError};
use serde_json::json;

use super::filter_args::FilterArgs;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs};
use super::{ENVIRONMENT, open, services};
use crate::plan::Plan;
use crate::query::{Mode, Query, Snippet, search, snippet};
use crate::report::{self, printable};

/// Searches a store.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill search \"how is memory bounded\"
  docmill search -k 3 --mode text 'exact words' --format json | jq '.hits[].uri'")]
pub struct Args {
    /// What is asked
    #[arg(value_name = "QUERY", required = true, num_args = 1..)]
    query: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many rows are shown
    #[arg(short = 'k', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// By meaning and words (hybrid), by meaning (vector), by words (text)
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    #[command(flatten)]
    filter: FilterArgs,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ModeArg {
    #[default]
    Hybrid,
    Vector,
    Text,
}

/// How much of a row is shown: three lines of a terminal.
const SNIPPET: usize = 240;

/// Answers the question on `out`.
///
/// # Errors
/// The event loop cannot start, or `out` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let mut words = args.query.clone();
    let mut pipeline = args.pipeline.clone();
    if words.len() > 1 {
        pipeline.take_from(&mut words);
    }
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let query = Query {
        text: words.join(" "),
        limit: args.limit as usize,
        mode: match args.mode {
            ModeArg::Hybrid => Mode::Hybrid,
            ModeArg::Vector => Mode::Vector,
            ModeArg::Text => Mode::Text,
        },
        filter: args.filter.filter(),
    };
    let answer = super::event_loop()?.block_on(answer(&loaded.plan, registry, &query));
    match answer {
        Ok(hits) => {
            match args.format {
                Format::Text => show(&hits, &query.text, out)?,
                Format::Json => write_json(&hits, &query, out)?,
            }
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

async fn answer(plan: &Plan, registry: &Registry, query: &Query) -> Result<Vec<Hit>, StageError> {
    let (store, stage) = open::store(plan, registry).await?;
    let provider = if query.mode == Mode::Text {
        None
    } else {
        open::provider_before(plan, registry, stage, &services::open(plan)).await?
    };
    search(store.as_ref(), provider.as_deref(), query).await
}

fn show(hits: &[Hit], question: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if hits.is_empty() {
        writeln!(out, "nothing found")?;
    }
    for (rank, hit) in hits.iter().enumerate() {
        write!(out, "{}. {}{}  {:.2}", rank + 1, printable(&report::place(&hit.uri)), lines(hit), hit.score)?;
        if hit.part == "summary" {
            write!(out, "  summary")?;
        }
        writeln!(out)?;
        if !hit.heading.is_empty() {
            writeln!(out, "   {}", printable(&hit.heading.join(" › ")))?;
        }
        writeln!(out, "   {}", marked(&snippet(&printable(&hit.text), question, SNIPPET), colour))?;
    }
    Ok(())
}

/// Where in the document: `:12-40` for lines, ` p. 3` for a page.
fn lines(hit: &Hit) -> String {
    match (hit.page, hit.line_start, hit.line_end) {
        (Some(page), ..) => format!(" p. {page}"),
        (None, Some(start), Some(end)) if start != end => format!(":{start}-{end}"),
        (None, Some(start), _) => format!(":{start}"),
        _ => String::new(),
    }
}

fn marked(snippet: &Snippet, colour: bool) -> String {
    let (on, off) = if colour { ("\x1b[1;33m", "\x1b[0m") } else { ("«", "»") };
    let mut text = String::with_capacity(snippet.text.len() + snippet.matches.len() * 8);
    let mut at = 0;
    for range in &snippet.matches {
        text.push_str(&snippet.text[at..range.start]);
        text.push_str(on);
        text.push_str(&snippet.text[range.clone()]);
        text.push_str(off);
        at = range.end;
    }
    text.push_str(&snippet.text[at..]);
    text
}

fn write_json(hits: &[Hit], query: &Query, out: &mut dyn Write) -> anyhow::Result<()> {
    let hits: Vec<serde_json::Value> = hits
        .iter()
        .map(|hit| {
            let cut = snippet(&hit.text, &query.text, SNIPPET);
            let mut value = json!(hit);
            let matches: Vec<[usize; 2]> = cut.matches.iter().map(|range| [range.start, range.end]).collect();
            value["snippet"] = json!({ "text": cut.text, "matches": matches });
            value
        })
        .collect();
    serde_json::to_writer(&mut *out, &json!({ "query": query.text, "hits": hits }))?;
    writeln!(out)?;
    Ok(())
}
