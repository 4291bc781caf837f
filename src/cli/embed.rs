//! `docmill embed`: the vectors that the pipeline's model gives to texts, so that any program can ask the table.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::sync::Arc;

use docmill_api::units::Span;
use docmill_api::{Provider, Registry, StageError};
use tokio::runtime::Runtime;

use super::pipeline_args::{CONFIGURATION, PipelineArgs, refuse_usage};
use super::{ENVIRONMENT, open, services};
use crate::plan::{Plan, StagePlan, nearest_or_list};

/// Prints the vectors of texts.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  docmill embed \"how often is the sluice greased\"     one JSON array
  docmill embed < questions.txt > vectors.jsonl        a line, a vector

From Python, with the table that `docmill run` filled:
  vector = json.loads(subprocess.check_output([\"docmill\", \"embed\", question]))
  lancedb.connect(\".docmill/lance\").open_table(\"chunks\").search(vector).limit(5).to_list()")]
pub struct Args {
    /// The texts, a vector for each; none or `-` reads lines from standard input
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Which pipeline, and what is changed of it.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// The stage whose model is asked [default: the embedding stage nearest to the store]
    #[arg(long, value_name = "ID")]
    pub stage: Option<String>,
    /// How a vector is printed, each on a line of its own
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// How a vector is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A JSON array
    #[default]
    Json,
    /// Numbers with spaces between them
    Text,
}

/// The longest line that is read: far beyond what any model looks at.
const MAX_LINE: usize = 1 << 20;

/// Lines that are embedded in one call, where so many have come: whoever writes one and waits gets its vector at once.
const MAX_LINES: usize = 64;

/// Runs the command.
///
/// # Errors
/// The event loop cannot start, standard input cannot be read, `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let read_lines = args.texts.is_empty() || args.texts == ["-"];
    let input = std::io::stdin();
    if read_lines && input.is_terminal() {
        writeln!(err, "a text a line, Ctrl-D ends:")?;
    }
    let lines = read_lines.then_some(input);
    embed(args, lines, registry, out, err)
}

/// The command with lines of the caller's; without any the texts are the arguments.
///
/// # Errors
/// As [`run`].
pub fn embed(
    args: &Args,
    lines: Option<impl Read>,
    registry: &Registry,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Some(id) = args.stage.as_deref().filter(|id| loaded.plan.stage(id).is_none()) {
        let ids: Vec<&str> = loaded.plan.stages.iter().map(|stage| stage.id.as_str()).collect();
        let help = nearest_or_list(id, &ids).unwrap_or_default();
        return refuse_usage(&format!("no stage `{id}` in `{}`; {help}", loaded.plan.name), err);
    }
    let event_loop = super::event_loop()?;
    let model = match event_loop.block_on(Model::open(&loaded.plan, registry, args.stage.as_deref())) {
        Ok(model) => model,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(ENVIRONMENT);
        }
    };
    let ended = match lines {
        None => print(&model, &event_loop, &args.texts, args.format, out)?,
        Some(lines) => print_lines(&model, &event_loop, lines, args.format, out)?,
    };
    match ended {
        Ok(()) => Ok(0),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

/// A model, and how long a call of it may take.
struct Model {
    provider: Arc<dyn Provider>,
    timeout: Span,
}

impl Model {
    async fn open(plan: &Plan, registry: &Registry, id: Option<&str>) -> Result<Self, StageError> {
        // From the end: the vectors that are stored are those of the last stage that embeds.
        for stage in plan.stages.iter().rev().filter(|stage| id.is_none_or(|id| stage.id == id)) {
            if let Some(provider) = open::provider_of(plan, registry, stage, &services::open(plan)).await? {
                return Ok(Self::new(provider, stage));
            }
        }
        Err(StageError::fatal(match id {
            Some(id) => format!("stage `{id}` embeds nothing: name one of kind `embed`"),
            None => "the pipeline has no stage that embeds; one of kind `embed` does".to_owned(),
        }))
    }

    fn new(provider: Arc<dyn Provider>, stage: &StagePlan) -> Self {
        Self { provider, timeout: Span(stage.timeout) }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        let vectors = tokio::time::timeout(self.timeout.0, self.provider.embed(texts)).await;
        let late = || StageError::transient(format!("the model did not answer within {}", self.timeout));
        let vectors = vectors.map_err(|_| late())??;
        if vectors.len() == texts.len() {
            return Ok(vectors);
        }
        Err(StageError::fatal(format!("the model gave {} vectors for {} texts", vectors.len(), texts.len())))
    }
}

/// Embeds texts and prints their vectors. The outer error is that of `out`.
fn print(
    model: &Model,
    event_loop: &Runtime,
    texts: &[String],
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Result<(), StageError>> {
    let vectors = match event_loop.block_on(model.embed(texts)) {
        Ok(vectors) => vectors,
        Err(error) => return Ok(Err(error)),
    };
    for vector in vectors {
        match format {
            Format::Json => serde_json::to_writer(&mut *out, &vector)?,
            Format::Text => {
                let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
                write!(out, "{}", numbers.join(" "))?;
            }
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(Ok(()))
}

fn print_lines(
    model: &Model,
    event_loop: &Runtime,
    lines: impl Read,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Result<(), StageError>> {
    let mut reader = BufReader::new(lines);
    let mut number = 0_u64;
    loop {
        let mut texts = Vec::new();
        while texts.len() < MAX_LINES && (texts.is_empty() || reader.buffer().contains(&b'\n')) {
            let Some(line) = read_line(&mut reader)? else { break };
            number += 1;
            match line {
                Ok(line) => texts.push(line),
                Err(problem) => return Ok(Err(StageError::fatal(format!("line {number}: {problem}")))),
            }
        }
        if texts.is_empty() {
            return Ok(Ok(()));
        }
        if let Err(error) = print(model, event_loop, &texts, format, out)? {
            return Ok(Err(error));
        }
    }
}

/// The next line without its end; `None` after the last. The inner error is the line's own.
fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<Result<String, String>>> {
    let mut line = Vec::new();
    if reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MAX_LINE {
        return Ok(Some(Err(format!("longer than {MAX_LINE} bytes"))));
    }
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    line.truncate(end);
    Ok(Some(String::from_utf8(line).map_err(|_| "not UTF-8".to_owned())))
}
