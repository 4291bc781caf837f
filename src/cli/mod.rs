//! The command line: one file a subcommand. The only place that prints.

pub mod ask;
mod carry_out;
pub mod check;
pub mod completions;
pub mod config;
pub mod context;
mod dashboard;
pub mod doctor;
pub mod documents;
mod dry_run;
pub mod embed;
pub mod failed;
pub mod filter_args;
pub mod forget;
pub mod graph;
pub mod init;
pub mod load;
mod logs;
pub mod man;
mod open;
pub mod pipeline_args;
pub mod progress;
mod recorded;
mod recorder;
mod remote;
pub mod report;
pub mod run;
pub mod schema;
pub mod search;
pub mod serve;
mod services;
pub mod simulate;
mod socket;
pub mod stages;
pub mod submit;
pub mod top;
pub mod tune;
mod tuner;
mod width_file;
pub mod work;
pub mod workers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use docmill_api::Registry;

/// The exit code of an environment in which the command cannot work: key, disk, server, store. Resumable.
pub const ENVIRONMENT: u8 = 4;
/// The exit code of a load test that missed a threshold.
pub const THRESHOLD: u8 = 5;

/// Turns a pile of documents into a searchable vector store.
#[derive(Debug, Parser)]
#[command(name = "docmill", version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Begin with `docmill init`, which writes a pipeline.toml; then `docmill run`, and ask:
  docmill search \"how do queues fill\"

Exit codes:
  0    all well
  1    more documents failed than --max-failed
  2    usage: an unknown command, option or name
  3    configuration: `docmill check` shows every complaint
  4    environment: store, disk, network, key; the same command takes it up again (`docmill doctor`)
  5    `docmill load` missed a threshold
  130  interrupted; the same command takes it up again

Configuration: built-in defaults, the file, DOCMILL_SECTION__KEY variables, --set; the last wins.
Logs: DOCMILL_LOG=debug (or a filter such as docmill=debug,warn) on standard error;
DOCMILL_LOG_FORMAT=json for programs.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a pipeline.toml to begin with, and the schema by which editors complete it
    Init(init::Args),
    /// Runs a pipeline: documents in, searchable rows out
    Run(run::Args),
    /// Offers a pipeline over HTTP: documents in, what became of them, search; a page for a browser
    Serve(serve::Args),
    /// Works for a pipeline that several machines share: the stages between its sources and its store
    Work(work::Args),
    /// Lists the workers of a pipeline that several machines share, and turns their widths
    Workers(workers::Args),
    /// Hands documents to a service over HTTP
    Submit(submit::Args),
    /// Checks a pipeline without running it, and explains what it would do
    Check(check::Args),
    /// Draws a pipeline's graph
    Graph(graph::Args),
    /// Lists the kinds of stage, or explains one: every field with type, default and meaning
    Stages(stages::Args),
    /// Prints the resolved configuration, and where each value comes from
    Config(config::Args),
    /// Searches the store that a pipeline filled
    Search(search::Args),
    /// Packs what the store holds about a question into a number of tokens, for any model
    Context(context::Args),
    /// Answers a question from the documents in the store, by the model that the pipeline names
    Ask(ask::Args),
    /// Lists the documents that the store holds
    Documents(documents::Args),
    /// Lists the documents that failed, tells why, tries them again or drops them
    Failed(failed::Args),
    /// Deletes documents from the store and from what is remembered
    Forget(forget::Args),
    /// Prints the vectors that the pipeline's model gives to texts
    Embed(embed::Args),
    /// Loads a pipeline with made-up documents, at a rate or a number at once, and compares what it does with thresholds
    Load(load::Args),
    /// Finds the best widths by trials on a sample, or projects a recorded run to a bigger machine
    Tune(tune::Args),
    /// Shows a run while it goes on in another process, or plays a recorded one
    Top(top::Args),
    /// Reports on a recorded run: what bounded it, over time, against another run
    Report(report::Args),
    /// Simulates a model service, for load tests and tuning without paying
    Simulate(simulate::Args),
    /// Looks whether this machine has what a pipeline needs, and how to mend what it lacks
    Doctor(doctor::Args),
    /// Prints the JSON Schema of pipeline.toml
    Schema(schema::Args),
    /// Prints a completion script for a shell
    Completions(completions::Args),
    /// Prints the manual page, or writes one for each command
    Man(man::Args),
    /// Is a stage for a running pipeline, in a process of its own
    #[command(hide = true, name = crate::runtime::STAGE_WORKER)]
    StageWorker,
}

/// The command line as clap knows it, without what is proposed for its values.
fn plain_command() -> clap::Command {
    use clap::CommandFactory;
    Cli::command()
}

/// Whether this process was started by another one to run a stage for it.
#[must_use]
pub fn is_stage_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|command| command == crate::runtime::STAGE_WORKER)
}

/// Runs the command line with the stages that `register` makes known: the `main` of a program with stages of its own.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     docmill::cli::main_with(|registry| {
///         // docmill::builtin::register(registry);
///         // my_stage::register(registry);
/// #       let _ = registry;
///     })
/// }
/// ```
pub fn main_with(register: impl FnOnce(&mut Registry)) -> ExitCode {
    let mut registry = Registry::new();
    register(&mut registry);
    // A shell that asks for completions gets them here, and the program ends. Before any thread is started, and before
    // anything is printed.
    let here = std::env::current_dir().unwrap_or_default();
    clap_complete::CompleteEnv::with_factory(|| completions::command(&registry, &here))
        .var(completions::VARIABLE)
        .complete();
    let cli = Cli::parse();
    logs::begin();
    // Not locked: a stage that prints by mistake, in another thread, would wait for this for ever.
    let mut out = io::stdout();
    let mut err = io::stderr();
    let ended = match cli.command {
        Command::Run(args) => run::run(args, &registry, &mut out, &mut err),
        Command::Serve(args) => serve::run(&args, &registry, &mut err),
        Command::Work(args) => work::run(&args, &registry, &mut err),
        Command::Workers(args) => workers::run(&args, &registry, &mut out, &mut err),
        Command::Submit(args) => submit::run(&args, &mut out, &mut err),
        Command::Check(args) => check::run(&args, &registry, &mut out, &mut err),
        Command::Graph(args) => graph::run(&args, &registry, &mut out, &mut err),
        Command::Stages(args) => stages::run(&args, &registry, &mut out, &mut err),
        Command::Config(args) => config::run(&args, &registry, &mut out, &mut err),
        Command::Search(args) => search::run(&args, &registry, &mut out, &mut err),
        Command::Context(args) => context::run(&args, &registry, &mut out, &mut err),
        Command::Ask(args) => ask::run(&args, &registry, &mut out, &mut err),
        Command::Documents(args) => documents::run(&args, &registry, &mut out, &mut err),
        Command::Failed(args) => failed::run(args, &registry, &mut out, &mut err),
        Command::Forget(args) => forget::run(&args, &registry, &mut out, &mut err),
        Command::Completions(args) => completions::run(&args, &mut out),
        Command::Man(args) => man::run(&args, &mut out),
        Command::Init(args) => init::run(&args, &registry, &mut out, &mut err),
        Command::Embed(args) => embed::run(&args, &registry, &mut out, &mut err),
        Command::Load(args) => load::run(args, &registry, &mut out, &mut err),
        Command::Tune(args) => tune::run(args, &registry, &mut out, &mut err),
        Command::Top(args) => top::run(&args, &registry, &mut out, &mut err),
        Command::Report(args) => report::run(&args, &registry, &mut out, &mut err),
        Command::Simulate(args) => simulate::run(&args, &mut out, &mut err),
        Command::Doctor(args) => doctor::run(&args, &registry, &mut out, &mut err),
        Command::Schema(args) => schema::run(&args, &registry, &mut out),
        Command::StageWorker => crate::runtime::serve_stage_worker(&registry).map(|()| 0).map_err(Into::into),
    };
    let ended = ended.and_then(|code| out.flush().map(|()| code).map_err(Into::into));
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone as well, the exit code still tells.
            let _ = writeln!(err, "error: {error:#}");
            ExitCode::from(ENVIRONMENT)
        }
    }
}

/// Whether the reader of our output has gone, as `head` does: no error of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_output = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let of_json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    of_output.or(of_json) == Some(io::ErrorKind::BrokenPipe)
}

/// The event loop of a command. Half as many threads as CPUs: what computes has the pool, and each thread that is woken for
/// something to do wakes another to look for more. Stacks are large because LanceDB's futures are deep in an unoptimised
/// build.
fn event_loop() -> io::Result<tokio::runtime::Runtime> {
    let threads = pipeline_args::machine().cpus.div_ceil(2);
    let mut event_loop = tokio::runtime::Builder::new_multi_thread();
    event_loop.worker_threads(threads).enable_all().thread_stack_size(16 << 20).build()
}
