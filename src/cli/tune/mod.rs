//! `docmill tune`: what widths a pipeline should have, by trials on this machine; and what it would do on another machine,
//! by a simulation over a recorded run.

mod plan;
mod search;
mod show;
mod table;
mod trial;
mod trials;

use std::io::Write;

use docmill_api::Registry;

use super::load::Rows;
use super::pipeline_args::{Format, PipelineArgs, input_parser, refuse_usage};
use super::recorded::LAST;
use crate::tune::project::Request;

/// Tunes a pipeline, or projects it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill tune                                  trials on what the source lists: which widths are best?
  docmill tune papers/ --write                  on these documents; writes the widths into pipeline.toml
  docmill tune --seconds 30 --trials 10         longer and more trials: less noise
  docmill tune --plan cores=64,memory=256GiB,documents=1e9
                                                what the last run would do on a bigger machine
  docmill tune --plan cores=16,machines=8 --run 20260301T10
                                                a run by the beginning of its id; how it scales over machines
  docmill tune --plan cores=16,rate.work=6000/min,width.embed=100
                                                with another limit of a service, and a width of yours

Keys of --plan:
  cores=64              CPUs of a machine [default: as many as the run had]
  memory=256GiB         memory of a machine [default: as much as the run had]
  documents=1e9         how many there are to do
  machines=4            how many such machines, which share the model services and the store
  width.STAGE=100       a width of one machine [default: what the planner reckons]
  rate.SERVICE=6000/min calls that a model service takes from all machines together
  concurrency.SERVICE=50
                        calls at once that it takes from all machines together

Trials touch nothing of yours: state and rows go to directories that are deleted afterwards. Model services that the
pipeline names are called and paid for in every trial; `docmill simulate` stands in for them.")]
pub struct Args {
    /// A pipeline file, where the first ends in `.toml`; all others are documents that are tried instead of the source's
    #[arg(value_name = "PIPELINE | INPUT", value_parser = input_parser())]
    pub positionals: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How many documents are tried, spread over the listing; a trial takes them again and again
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    documents: u64,
    /// How long a trial lasts
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How many trials there are at most
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = parse_trials)]
    trials: usize,
    /// Writes the best widths into the pipeline file
    #[arg(long)]
    write: bool,
    /// Where the rows of trials go
    #[arg(long, value_enum, default_value_t)]
    into: Rows,
    /// Says what a recorded run would do on another machine, and makes no trials
    #[arg(long, value_name = "KEY=VALUE,…", conflicts_with_all = ["documents", "seconds", "trials", "write", "into"])]
    plan: Option<Request>,
    /// The recorded run: the beginning of its id, `last`, or a recording file
    #[arg(long, value_name = "RUN", requires = "plan", default_value = LAST)]
    run: String,
    /// How the result is printed, on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Tunes or projects, and tells on `out` what came of it.
///
/// # Errors
/// The event loop cannot start, or what was found cannot be written.
pub fn run(mut args: Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    args.pipeline.take_from(&mut args.positionals);
    let Some(request) = args.plan.clone() else { return trials::run(&args, registry, out, err) };
    if let Some(input) = args.positionals.first() {
        let message = format!("`--plan` projects a recorded run and reads no documents; leave out `{input}`");
        return refuse_usage(&message, err);
    }
    plan::run(&args, &request, registry, out, err)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.trim_end_matches('s').parse().ok().filter(|seconds| (0.5..=3600.0).contains(seconds));
    seconds.ok_or_else(|| format!("`{text}` is out of bounds; a trial lasts from 0.5 to 3600 seconds"))
}

fn parse_trials(text: &str) -> Result<usize, String> {
    let trials = text.parse().ok().filter(|trials| (1..=100).contains(trials));
    trials.ok_or_else(|| format!("`{text}` is out of bounds; there are from 1 to 100 trials"))
}
