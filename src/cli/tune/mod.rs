//! `docmill tune`: what widths a pipeline should have, by trials on this machine; and what it would do on another machine,
//! by a simulation over a recorded run.

mod plan;
mod show;

use std::io::Write;

use docmill_api::Registry;

use super::pipeline_args::{Format, PipelineArgs, input_parser, refuse_usage};
use super::recorded::LAST;
use crate::tune::project::Request;

/// Tunes a pipeline, or projects it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
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
                        calls at once that it takes from all machines together")]
pub struct Args {
    /// A pipeline file, where the first ends in `.toml`
    #[arg(value_name = "PIPELINE | INPUT", value_parser = input_parser())]
    pub positionals: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Says what a recorded run would do on another machine
    #[arg(long, value_name = "KEY=VALUE,…", required = true)]
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
    let Some(request) = args.plan.clone() else { return refuse_usage("say by `--plan` what machine is meant", err) };
    if let Some(input) = args.positionals.first() {
        let message = format!("`--plan` projects a recorded run and reads no documents; leave out `{input}`");
        return refuse_usage(&message, err);
    }
    plan::run(&args, &request, registry, out, err)
}
