//! `docmill run`: documents in, rows out, a report at the end.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use docmill_api::Registry;

use super::ENVIRONMENT;
use super::carry_out::{State, Work, carry_out};
use super::dry_run;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs, refuse_usage};
use super::progress::Ui;
use crate::plan::Role;
use crate::report::{Report, render};
use crate::runtime::RunEnd;

/// The exit code of a run that was interrupted; what it left can be taken up again.
pub(super) const INTERRUPTED: u8 = 130;
/// The exit code of a run in which more documents failed than were allowed.
pub(super) const FAILED: u8 = 1;

/// Runs a pipeline.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill run                              the pipeline.toml here
  docmill run docs/ notes.md               its stages, over these files and directories
  docmill run other.toml 'papers/*.pdf'    another pipeline, over a glob
  docmill run --set stages.embed.width=8   with a value changed
  docmill run --dry-run papers/            what there is to do, and how long it would take
  docmill run --watch notes/               goes on, and takes in what is new or changed
  docmill run --format json | jq .documents")]
pub struct Args {
    /// A pipeline file, where the first ends in `.toml`; all others are documents that replace what the source lists
    #[arg(value_name = "PIPELINE | INPUT", value_parser = super::pipeline_args::input_parser())]
    pub positionals: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value_t)]
    ui: Ui,
    /// How the report is printed, on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Writes the report as JSON to a file as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Adds to the JSON report what became of every document
    #[arg(long)]
    results: bool,
    /// Records the run: snapshots and events as JSON lines, for `docmill report` and `docmill top --replay`. The last 20 runs
    /// are kept in the state directory in any case
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    record: Option<PathBuf>,
    /// Says what a run would do and stores nothing: counts what is listed, and reads a sample to estimate tokens and time
    #[arg(long, conflicts_with_all = ["report", "results", "watch"])]
    pub(super) dry_run: bool,
    /// Stays after the listing and keeps the directories of `files` sources ingested: new, changed and removed files
    #[arg(long)]
    watch: bool,
    /// Deletes the rows of documents that earlier runs took in and that are no longer where this one looked: files below
    /// its directories and globs, after a listing without errors
    #[arg(long, conflicts_with_all = ["dry_run", "watch"])]
    prune: bool,
    /// Forgets what earlier runs did: every document is done again; rows that come out as they were stay as they are
    #[arg(long, conflicts_with = "dry_run")]
    fresh: bool,
    /// How many documents may fail before the exit code is 1; it never stops the run
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_failed: u64,
}

/// Runs the pipeline and writes its report to `out`.
///
/// # Errors
/// The event loop cannot start, or a report cannot be written.
pub fn run(mut args: Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    args.pipeline.take_from(&mut args.positionals);
    if args.watch && !watch(&mut args.pipeline, registry) {
        return refuse_usage("`--watch` needs a source that can watch: one of kind `files`", err);
    }
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if args.dry_run {
        return dry_run::run(&loaded.plan, registry, &args.positionals, args.format, (out, err));
    }
    if let Some(path) = &args.report {
        // Before the work: a report that cannot be written is not to be found out after a night.
        std::fs::File::create(path).with_context(|| format!("cannot write the report `{}`", path.display()))?;
    }
    let state = match State::open(&loaded.plan, args.fresh, err)? {
        Ok(state) => state,
        Err(code) => return Ok(code),
    };
    let work = Work {
        inputs: args.positionals.clone(),
        prune: args.prune,
        results: args.results,
        record: args.record.clone(),
        stays: true,
        ..Work::default()
    };
    let ran = match carry_out(loaded.plan, registry, &state, work, args.ui, err)? {
        Ok(ran) => ran,
        Err(code) => return Ok(code),
    };
    if ran.view.snapshot().documents.seen == 0 && matches!(ran.end, RunEnd::Completed) {
        writeln!(err, "warning: nothing to do: the source listed no document")?;
    }
    let report = ran.report(args.results);
    print(&report, &args, out)?;
    let tally = ran.view.tally();
    tell_of_remembered(tally.remembered, err)?;
    if tally.gone > 0 {
        let documents = if tally.gone == 1 { "document is" } else { "documents are" };
        writeln!(err, "{} {documents} no longer there: the rows were deleted", tally.gone)?;
    }
    exit_code(&ran.end, &report, args.max_failed, err)
}

fn tell_of_remembered(remembered: u64, err: &mut dyn Write) -> std::io::Result<()> {
    match remembered {
        0 => Ok(()),
        1 => writeln!(err, "1 document failed before and is as it was: not tried again (`docmill failed retry`)"),
        _ => writeln!(
            err,
            "{remembered} documents failed before and are as they were: not tried again (`docmill failed retry`)"
        ),
    }
}

/// Turns watching on in every source that can. A pipeline that does not load is complained about later.
fn watch(pipeline: &mut PipelineArgs, registry: &Registry) -> bool {
    let Ok(loaded) = pipeline.load(registry) else { return true };
    let watches = |kind: &str| {
        registry.get(kind).is_some_and(|factory| factory.spec().fields.iter().any(|field| field.name == "watch"))
    };
    let sources: Vec<&str> = loaded
        .plan
        .stages
        .iter()
        .filter(|stage| stage.role == Role::Source && watches(&stage.kind))
        .map(|stage| stage.id.as_str())
        .collect();
    pipeline.set.extend(sources.iter().map(|id| format!("stages.{id}.watch=true")));
    !sources.is_empty()
}

fn print(report: &Report, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.format {
        Format::Text => write!(out, "{}", render(report))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)?;
        }
    }
    // Last: where the file fails, the report has been shown.
    args.report.as_deref().map_or(Ok(()), |path| write_report(report, path))
}

fn write_report(report: &Report, path: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json + "\n").with_context(|| format!("cannot write the report `{}`", path.display()))
}

pub(super) fn exit_code(end: &RunEnd, report: &Report, max_failed: u64, err: &mut dyn Write) -> anyhow::Result<u8> {
    Ok(match end {
        RunEnd::Fatal { stage, error } => {
            writeln!(err, "error: stage `{stage}`: {error}")?;
            writeln!(err, "hint: mend it and run the same command again: what is stored stays")?;
            ENVIRONMENT
        }
        RunEnd::Drained | RunEnd::Stopped => {
            writeln!(
                err,
                "interrupted: {} documents unfinished; the same command takes them up, with what was not listed yet",
                report.documents.unfinished
            )?;
            INTERRUPTED
        }
        RunEnd::Completed if report.documents.failed > max_failed => FAILED,
        RunEnd::Completed => 0,
    })
}
