//! `docmill workers`: who works for a pipeline that several machines share, and with what widths.

use std::io::Write;
use std::path::PathBuf;

use docmill_api::{ErrorClass, Registry, StageError};

use super::ENVIRONMENT;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs, USAGE, columns, refuse_usage};
use crate::cluster;
use crate::monitor::{FleetSnapshot, WorkerSnapshot};
use crate::plan::ClusterPlan;
use crate::report::{count, printable, size};

/// Lists the workers of a pipeline that is shared by a queue, or turns their widths.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill workers                                  who works now: machine, rate, memory, widths
  docmill workers --width embed=4                  a width on all of them
  docmill workers --width parse=2 --worker box-1f  on one, by the name in the list
  docmill workers --format json | jq .alive

It listens to the queue for three seconds: each worker tells of itself every two. No coordinator has to run. A width keeps
within the stage's bounds and lasts until the worker ends; `width` in the pipeline file is what a worker begins with.")]
pub struct Args {
    /// A pipeline file [default: pipeline.toml in the current directory]
    #[arg(value_name = "PIPELINE")]
    positional: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Sets the width of a stage on all workers, or on the one of `--worker`
    #[arg(long, value_name = "STAGE=N", value_parser = width)]
    width: Option<(String, usize)>,
    /// Which worker the width is for
    #[arg(long, value_name = "NAME", requires = "width")]
    worker: Option<String>,
    /// How the list is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn width(text: &str) -> Result<(String, usize), String> {
    let wrong = || "write it as `embed=4`".to_owned();
    let (stage, width) = text.split_once('=').ok_or_else(wrong)?;
    let width = width.trim().parse().ok().filter(|width| *width > 0).ok_or_else(wrong)?;
    Ok((stage.trim().to_owned(), width))
}

/// Lists workers on `out`, or turns a width.
///
/// # Errors
/// The event loop cannot start, or `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.positional.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let Some(plan) = &loaded.plan.cluster else {
        writeln!(err, "error: this pipeline has no `[queue]`: it works in one process, which `docmill top` shows")?;
        return Ok(CONFIGURATION);
    };
    let event_loop = super::event_loop()?;
    if let Some((stage, width)) = &args.width {
        let worker = args.worker.as_deref().unwrap_or_default();
        let ordered = event_loop.block_on(cluster::order(plan, worker, stage, *width));
        return turned(ordered, stage, *width, err);
    }
    match event_loop.block_on(cluster::workers(plan)) {
        Ok(fleet) if args.format == Format::Json => {
            writeln!(out, "{}", serde_json::to_string(&fleet)?)?;
            Ok(0)
        }
        Ok(fleet) => show(&fleet, plan, out, err),
        Err(error) => complain(&error, err),
    }
}

fn turned(ordered: Result<usize, StageError>, stage: &str, width: usize, err: &mut dyn Write) -> anyhow::Result<u8> {
    match ordered {
        Ok(workers) => {
            let many = if workers == 1 { "one worker was" } else { "workers were" };
            let number = if workers == 1 { String::new() } else { format!("{workers} ") };
            writeln!(err, "{number}{many} told: `{}` has width {width} now", printable(stage))?;
            Ok(0)
        }
        Err(error) if error.class == ErrorClass::Rejected => {
            writeln!(err, "error: {}", printable(&error.message))?;
            Ok(USAGE)
        }
        Err(error) => complain(&error, err),
    }
}

fn complain(error: &StageError, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {error}")?;
    Ok(ENVIRONMENT)
}

fn show(fleet: &FleetSnapshot, plan: &ClusterPlan, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if fleet.workers.is_empty() {
        writeln!(err, "no worker on the stream `{}`: start some with `docmill work`", plan.stream)?;
        return Ok(0);
    }
    let head = ["WORKER", "DOCUMENTS", "FAILED", "A SECOND", "IN HAND", "CPUS", "MEMORY", "WIDTHS"];
    let rows = std::iter::once(head.map(str::to_owned).to_vec()).chain(fleet.workers.iter().map(row));
    write!(out, "{}", columns(&rows.collect::<Vec<_>>()))?;
    let many = if fleet.alive == 1 { "worker" } else { "workers" };
    let all = format!(
        "{} {many}, {:.1} documents a second, {} in hand",
        fleet.alive, fleet.documents_per_second, fleet.in_hand
    );
    writeln!(err, "{all}")?;
    Ok(0)
}

fn row(worker: &WorkerSnapshot) -> Vec<String> {
    let widths: Vec<String> = worker.stages.iter().map(|stage| format!("{} {}", stage.id, stage.width)).collect();
    vec![
        printable(&worker.id),
        count(worker.documents),
        count(worker.failed),
        format!("{:.1}", worker.documents_per_second),
        format!("{} of {}", worker.in_hand, worker.at_once),
        format!("{:.1} of {:.0}", worker.cpus_used, worker.cpus),
        size(worker.rss_bytes),
        printable(&widths.join(", ")),
    ]
}
