//! `docmill ask`: an answer from the documents in a store, by the model that the pipeline names.

use std::io::{self, Write};
use std::sync::Arc;

use docmill_api::units::Span;
use docmill_api::{Chat, Registry, Services, StageError};
use serde_json::json;

use super::filter_args::FilterArgs;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs};
use super::{ENVIRONMENT, open, services};
use crate::plan::{ASK_DOCUMENTS, Plan, ProviderPlan};
use crate::query::Source;
use crate::query::ask::{Answered, Event, Question, ask};
use crate::report::{self, printable};

/// Answers a question from the documents in a store.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The model of `[ask]` in the pipeline is asked, or that of the only table in `[providers]`. Where the documents do not
fit into its context at once, it reads them in groups and takes notes first; how many calls that makes is told before.

Examples:
  docmill ask \"how is memory bounded\"
  docmill ask site.toml \"who may become a member\" --documents 20
  docmill ask \"how is memory bounded\" --format json | jq '.text, .sources[].uri'")]
pub struct Args {
    /// What is asked
    #[arg(value_name = "QUESTION", required = true, num_args = 1..)]
    question: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many documents are looked at [default: `documents` in `[ask]`, or 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    documents: Option<u32>,
    #[command(flatten)]
    filter: FilterArgs,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The exit code of what Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Answers on `out`, as the answer comes; tells on `err` what is going on.
///
/// # Errors
/// The event loop cannot start, or `out` or `err` cannot be written.
pub fn run(
    args: &Args,
    registry: &Registry,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> anyhow::Result<u8> {
    let mut words = args.question.clone();
    let mut pipeline = args.pipeline.clone();
    if words.len() > 1 {
        pipeline.take_from(&mut words);
    }
    let Some(loaded) = pipeline.load_or_complain(registry, &mut &mut *err)? else { return Ok(CONFIGURATION) };
    let set = loaded.plan.ask.as_ref().map_or(ASK_DOCUMENTS, |ask| ask.documents);
    let question = Question {
        text: words.join(" "),
        documents: args.documents.map_or(set, |documents| documents as usize),
        filter: args.filter.filter(),
    };
    let mut screen = Screen { model: String::new(), format: args.format, out, err, in_line: false, failed: None };
    let event_loop = super::event_loop()?;
    let ended = event_loop.block_on(async {
        tokio::select! {
            answered = answer(&loaded.plan, registry, &question, &mut screen) => Some(answered),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    if let Some(failed) = screen.failed.take() {
        return Err(failed.into());
    }
    screen.end_line()?;
    match ended {
        None => Ok(INTERRUPTED),
        Some(Ok(answered)) => {
            screen.finish(&answered, &question)?;
            Ok(0)
        }
        Some(Err(error)) => {
            writeln!(screen.err, "error: {error}")?;
            Ok(ENVIRONMENT)
        }
    }
}

async fn answer(
    plan: &Plan,
    registry: &Registry,
    question: &Question,
    screen: &mut Screen<'_>,
) -> Result<Answered, StageError> {
    let services = services::open(plan);
    let chat = chat(plan, registry, &services).await?;
    let (store, stage) = open::store(plan, registry).await?;
    let provider = open::provider_before(plan, registry, stage, &services).await?;
    chat.model().clone_into(&mut screen.model);
    let mut told = |event: Event<'_>| screen.hear(event);
    ask(store.as_ref(), provider.as_deref(), chat.as_ref(), question, &mut told).await
}

/// The model that answers. What it teaches is not kept: the state directory may be a run's.
async fn chat(plan: &Plan, registry: &Registry, services: &Services) -> Result<Arc<dyn Chat>, StageError> {
    let ProviderPlan { name, kind, settings } = who_answers(plan)?;
    let service = registry.service(kind);
    let service = service.ok_or_else(|| StageError::fatal(format!("no kind of model service `{kind}` is built in")))?;
    service.chat(name, settings.clone(), services).await
}

fn who_answers(plan: &Plan) -> Result<&ProviderPlan, StageError> {
    match (&plan.ask, plan.providers.as_slice()) {
        (Some(ask), _) => Ok(&ask.provider),
        (None, [only]) => Ok(only),
        (None, []) => Err(StageError::fatal(
            "no model to ask: add `[ask]` with `provider = \"…\"`\n\
             hint: `docmill init --template openai` writes a pipeline that has one",
        )),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|provider| format!("`{}`", provider.name)).collect();
            let names = names.join(", ");
            Err(StageError::fatal(format!("several models could answer: add `[ask]` with `provider` one of {names}")))
        }
    }
}

/// Where an answer appears.
struct Screen<'a> {
    model: String,
    format: Format,
    out: &'a mut (dyn Write + Send),
    err: &'a mut (dyn Write + Send),
    /// Whether the answer's last line has no end yet.
    in_line: bool,
    /// The first thing that could not be written. Nothing is, after it.
    failed: Option<io::Error>,
}

impl Screen<'_> {
    fn hear(&mut self, event: Event<'_>) {
        if self.failed.is_none() {
            self.failed = self.show(event).err();
        }
    }

    fn show(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Planned { documents, calls, reading } => {
                writeln!(self.err, "asking {}: {}", printable(&self.model), planned(documents, calls, reading))
            }
            Event::Read { documents_so_far } => writeln!(self.err, "{documents_so_far} documents read"),
            Event::Waiting { why, delay } => {
                self.end_line()?;
                let delay = Span(std::time::Duration::from_secs(delay.as_secs().max(1)));
                writeln!(self.err, "{}; again in {delay}", printable(&why.to_string()))
            }
            Event::Text(piece) if self.format == Format::Text => self.write(piece),
            Event::Again if self.format == Format::Text => {
                self.end_line()?;
                writeln!(self.err, "the answer broke off and begins anew")
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, piece: &str) -> io::Result<()> {
        for (index, line) in piece.split('\n').enumerate() {
            if index > 0 {
                writeln!(self.out)?;
            }
            write!(self.out, "{}", printable(line))?;
        }
        if !piece.is_empty() {
            self.in_line = !piece.ends_with('\n');
        }
        self.out.flush()
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.in_line) {
            writeln!(self.out)?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// What follows the answer.
    fn finish(&mut self, answered: &Answered, question: &Question) -> anyhow::Result<()> {
        if answered.cut {
            writeln!(self.err, "the answer was cut off: it became too long")?;
        }
        if !answered.unknown_citations.is_empty() {
            let unknown = answered.unknown_citations.join(", ");
            writeln!(self.err, "the answer cites what is no source: {unknown}")?;
        }
        if self.format == Format::Json {
            let mut value = json!(answered);
            value["question"] = json!(question.text);
            value["model"] = json!(self.model);
            serde_json::to_writer(&mut *self.out, &value)?;
            writeln!(self.out)?;
            return Ok(());
        }
        if !answered.sources.is_empty() {
            writeln!(self.out)?;
        }
        for source in &answered.sources {
            writeln!(self.out, "{}", cited(source))?;
        }
        Ok(())
    }
}

/// `7 calls, 6 to read 60 documents and 1 to answer`.
fn planned(documents: usize, calls: usize, reading: usize) -> String {
    let of = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (calls_in_all, documents) = (of(calls, "call"), of(documents, "document"));
    match calls.saturating_sub(reading + 1) {
        _ if reading == 0 => format!("{calls_in_all} with {documents}"),
        0 => format!("{calls_in_all}, {reading} to read {documents} and 1 to answer"),
        joining => format!("{calls_in_all}, {reading} to read {documents}, {joining} to join notes and 1 to answer"),
    }
}

/// `[3] /papers/mill.pdf p. 7, p. 9`.
fn cited(source: &Source) -> String {
    let mut places: Vec<String> = source.parts.iter().map(crate::query::Part::place).collect();
    places.retain(|place| !place.is_empty() && place != "summary");
    places.dedup();
    let line = format!("[{}] {} {}", source.number, report::place(&source.uri), places.join(", "));
    printable(line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen<'a>(format: Format, out: &'a mut Vec<u8>, err: &'a mut Vec<u8>) -> Screen<'a> {
        Screen { model: "small".into(), format, out, err, in_line: false, failed: None }
    }

    #[test]
    fn an_answer_appears_as_it_comes_and_moves_no_cursor() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = screen(Format::Text, &mut out, &mut err);
        screen.hear(Event::Planned { documents: 60, calls: 7, reading: 6 });
        screen.hear(Event::Text("One \u{1b}[2J"));
        screen.hear(Event::Again);
        screen.hear(Event::Text("Two [1]\nand"));
        screen.hear(Event::Text(" three"));
        screen.end_line().expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "One \u{fffd}[2J\nTwo [1]\nand three\n");
        let told = "asking small: 7 calls, 6 to read 60 documents and 1 to answer\n\
            the answer broke off and begins anew\n";
        assert_eq!(String::from_utf8(err).expect("text"), told);
    }

    #[test]
    fn the_calls_are_told_by_what_they_are_for() {
        assert_eq!(planned(1, 1, 0), "1 call with 1 document");
        assert_eq!(planned(60, 12, 9), "12 calls, 9 to read 60 documents, 2 to join notes and 1 to answer");
    }

    #[test]
    fn without_a_model_it_says_where_to_name_one() {
        use crate::cli::pipeline_args::testing::{pipeline, registry};
        let (_directory, pipeline) = pipeline(crate::plan::fakes::PIPELINE, &[]);
        let args = Args {
            question: vec!["why".into()],
            pipeline,
            documents: None,
            filter: FilterArgs::default(),
            format: Format::Text,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(run(&args, &registry(), &mut out, &mut err).expect("written"), ENVIRONMENT);
        let told = String::from_utf8(err).expect("text");
        assert!(out.is_empty() && told.starts_with("error: no model to ask: add `[ask]`"), "{told}");
        assert!(told.contains("\nhint: `docmill init --template openai`"), "{told}");
    }
}
