//! `docmill context`: what a store holds about a question, packed for a model of the user's own.

use std::io::{IsTerminal, Write};

use docmill_api::{Registry, StageError};
use serde_json::json;

use super::filter_args::FilterArgs;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs};
use super::{ENVIRONMENT, open, services};
use crate::plan::Plan;
use crate::query::{Context, ContextQuery, context};
use crate::report::{self, printable};

/// Packs what a store holds about a question into a number of tokens.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The more tokens, the more documents, and the more of each; no part of one is cut. Tokens are counted as the pipeline's
chunker counts them, names and places as their bytes, so that the text never has more.

Examples:
  docmill context \"how is memory bounded\" | llm \"answer from this, and cite\"
  docmill context \"how is memory bounded\" --budget 100000 --documents 60 > prompt.txt
  docmill context \"how is memory bounded\" --format json | jq '.tokens, .sources[].uri'")]
pub struct Args {
    /// What is asked
    #[arg(value_name = "QUESTION", required = true, num_args = 1..)]
    question: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many tokens the text has at most
    #[arg(long, value_name = "TOKENS", default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..))]
    budget: u32,
    /// How many documents are considered
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    documents: u32,
    #[command(flatten)]
    filter: FilterArgs,
    /// How the text is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Packs on `out`.
///
/// # Errors
/// The event loop cannot start, or `out` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let mut words = args.question.clone();
    let mut pipeline = args.pipeline.clone();
    if words.len() > 1 {
        pipeline.take_from(&mut words);
    }
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let query = ContextQuery {
        text: words.join(" "),
        budget: args.budget as usize,
        documents: args.documents as usize,
        filter: args.filter.filter(),
    };
    match super::event_loop()?.block_on(packed(&loaded.plan, registry, &query)) {
        Ok(context) => {
            match args.format {
                Format::Text => show(&context, out)?,
                Format::Json => write_json(&context, &query, out)?,
            }
            if context.found == 0 {
                writeln!(err, "nothing found")?;
            } else if context.sources.is_empty() {
                let Context { budget, least, .. } = context;
                writeln!(err, "nothing fits into {budget} tokens\nhint: `--budget {least}` holds the best part")?;
            }
            Ok(0)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

async fn packed(plan: &Plan, registry: &Registry, query: &ContextQuery) -> Result<Context, StageError> {
    let (store, stage) = open::store(plan, registry).await?;
    let provider = open::provider_before(plan, registry, stage, &services::open(plan)).await?;
    context(store.as_ref(), provider.as_deref(), query).await
}

/// As it is where a program reads it, a model's: that wants tabs and the like. A terminal would obey them.
fn show(context: &Context, out: &mut dyn Write) -> anyhow::Result<()> {
    if context.sources.is_empty() {
        return Ok(());
    }
    let text = context.render(report::place);
    if !std::io::stdout().is_terminal() {
        writeln!(out, "{text}")?;
        return Ok(());
    }
    for line in text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(())
}

fn write_json(context: &Context, query: &ContextQuery, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut value = json!(context);
    value["query"] = json!(query.text);
    value["text"] = json!(context.render(report::place));
    serde_json::to_writer(&mut *out, &value)?;
    writeln!(out)?;
    Ok(())
}
