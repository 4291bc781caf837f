//! `docmill report`: what a recorded run tells, for people, for a pull request, for programs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use docmill_api::Registry;
use serde_json::{Value, json};

use super::ENVIRONMENT;
use super::pipeline_args::{CONFIGURATION, PipelineArgs, USAGE, columns, refuse_usage};
use super::recorded::{self, Kept, LAST, NotFound};
use crate::monitor::{Recording, Snapshot};
use crate::report::recorded::{RecordedRun, span};
use crate::report::{count, printable};

/// Reports on a recorded run, or on two of them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
RUN is the beginning of a run's id, `last`, or a file that `docmill run --record FILE` wrote.

Examples:
  docmill report                              the last run, as an HTML file
  docmill report --list                       the runs that are kept
  docmill report 20260301T10 --format md      a run, for a pull request
  docmill report last --vs 20260301T10        the last run, and what differs from another
  docmill report run.jsonl --format json | jq .verdict")]
pub struct Args {
    /// The run: the beginning of its id, `last`, or a recording file
    #[arg(value_name = "RUN", default_value = LAST)]
    run: String,
    /// A run that it is compared with
    #[arg(long, value_name = "RUN")]
    vs: Option<String>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
    /// Where it is written; `-` is standard output [default: docmill-report-RUN.html here for html, standard output otherwise]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lists the runs that are kept, the newest first; with `--format json` for programs
    #[arg(long, conflicts_with_all = ["vs", "output"])]
    list: bool,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// One file with charts, for a browser; it needs no network
    #[default]
    Html,
    /// Markdown, short enough for a pull request
    Md,
    /// Every figure, for programs
    Json,
}

/// Reports on `out` or into a file.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if args.list {
        return list(args, registry, out, err);
    }
    let read = |name: &str| recorded::read(name, &args.pipeline, registry);
    let recording = match read(&args.run) {
        Ok(recording) => recording,
        Err(error) => return complain(&error, err),
    };
    let vs = match args.vs.as_deref().map(read).transpose() {
        Ok(vs) => vs,
        Err(error) => return complain(&error, err),
    };
    write_report(args, &recording, vs.as_ref(), out, err)?;
    Ok(0)
}

fn write_report(
    args: &Args,
    recording: &Recording,
    vs: Option<&Recording>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let report = RecordedRun::new(recording, vs);
    if !report.run.incomplete.is_empty() {
        writeln!(err, "warning: {}", report.run.incomplete)?;
    }
    let text = match args.format {
        ReportFormat::Html => report.html(),
        ReportFormat::Md => report.markdown(),
        ReportFormat::Json => serde_json::to_string(&report)? + "\n",
    };
    let file = match (&args.output, args.format) {
        (Some(path), _) if path == Path::new("-") => None,
        (Some(path), _) => Some(path.clone()),
        (None, ReportFormat::Html) => Some(file_name(&report.run.run).into()),
        (None, _) => None,
    };
    let Some(path) = file else {
        out.write_all(text.as_bytes())?;
        return Ok(());
    };
    let shown = path.display();
    fs::write(&path, text).with_context(|| format!("cannot write the report `{shown}`"))?;
    writeln!(err, "the report is in {shown}")?;
    Ok(())
}

/// The file of a run's report. The id is of a file that anybody may have written: only what a name is made of is taken.
fn file_name(run: &str) -> String {
    let safe: String = run.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    format!("docmill-report-{safe}.html")
}

fn complain(error: &NotFound, err: &mut dyn Write) -> anyhow::Result<u8> {
    if let NotFound::Pipeline(complaints) = error {
        write!(err, "{}", crate::config::render_all(complaints))?;
        return Ok(CONFIGURATION);
    }
    writeln!(err, "error: {error}")?;
    match error {
        NotFound::Unreadable { .. } => Ok(ENVIRONMENT),
        _ => Ok(USAGE),
    }
}

fn list(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if args.format == ReportFormat::Md {
        return refuse_usage("`--list` is printed as text, or with `--format json`", err);
    }
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let directory = recorded::directory(&loaded.plan.run.state);
    let kept = recorded::kept(&directory);
    if args.format == ReportFormat::Json {
        let runs: Vec<Value> = kept.iter().map(as_json).collect();
        writeln!(out, "{}", json!({ "version": 1, "runs": runs }))?;
        return Ok(0);
    }
    if kept.is_empty() {
        writeln!(err, "{}", NotFound::None(directory.display().to_string()))?;
        return Ok(0);
    }
    let head = ["RUN", "STARTED", "TIME", "DOCUMENTS", "FAILED", "DOCS/S", "END"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(kept.iter().map(row)).collect();
    write!(out, "{}", columns(&rows))?;
    Ok(0)
}

fn row(kept: &Kept) -> Vec<String> {
    let of = |value: &dyn Fn(&Snapshot) -> String| kept.last.as_deref().map_or_else(|| "–".to_owned(), value);
    vec![
        printable(&kept.id),
        of(&|last| printable(last.started.get(..19).unwrap_or(&last.started))),
        of(&|last| span(last.seconds)),
        of(&|last| count(last.documents.seen)),
        of(&|last| count(last.documents.failed)),
        of(&|last| format!("{:.1}", last.documents_per_second())),
        kept.end().to_owned(),
    ]
}

fn as_json(kept: &Kept) -> Value {
    let mut value = json!({ "run": kept.id, "end": kept.end() });
    if let Some(last) = &kept.last {
        value["started"] = json!(last.started);
        value["seconds"] = json!(last.seconds);
        value["documents"] = json!(last.documents);
        value["documents_per_second"] = json!(last.documents_per_second());
    }
    value
}
