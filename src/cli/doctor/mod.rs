//! `docmill doctor`: whether this machine has what a pipeline needs, and for what it lacks, the way to mend it.
//!
//! It looks and changes nothing that stays. Every probe has an end; what a probe cannot find out is told as that, and
//! is no error. No value of a variable is ever printed: they hold keys.

mod endpoints;
mod limits;
mod places;
mod stages;
mod terminal;

use std::io::Write;
use std::path::{Path, PathBuf};

use docmill_api::Registry;
use serde_json::{Map, Value, json};

use super::ENVIRONMENT;
use super::pipeline_args::{Format, PipelineArgs, columns, refuse_usage};
use crate::config::{self, DEFAULT_FILE};
use crate::plan::Plan;
use crate::runtime::WorkerProgram;

/// Looks whether this machine has what a pipeline needs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  docmill doctor                                        this machine, and the pipeline.toml here if there is one
  docmill doctor other.toml --format json | jq '.findings[] | select(.state != \"ok\")'

Exit codes: 0 no error (there may be warnings), 4 an error. JSON: {version, docmill, pipeline, ok, findings: [{id,
state: ok | warning | error, message, mend, values}]}; what is there stays, and more may come.")]
pub struct Args {
    /// The pipeline file, its name ending in .toml [default: pipeline.toml here, if it is there]
    #[arg(value_name = "PIPELINE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Which pipeline, and what is changed of it.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The version of the JSON output.
const VERSION: u32 = 1;

/// How well it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
struct Finding {
    /// What was looked at; the same in every version.
    id: String,
    state: State,
    /// One line.
    message: String,
    /// The command or setting that mends it.
    mend: Option<String>,
    /// The figures of the message, for programs.
    values: Map<String, Value>,
}

impl Finding {
    fn new(id: impl Into<String>, state: State, message: impl Into<String>) -> Self {
        Self { id: id.into(), state, message: message.into(), mend: None, values: Map::new() }
    }

    fn ok(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, State::Ok, message)
    }

    fn warning(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, State::Warning, message)
    }

    fn error(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, State::Error, message)
    }

    fn mend(mut self, how: impl Into<String>) -> Self {
        self.mend = Some(how.into());
        self
    }

    fn value(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }
}

/// Runs the command.
///
/// # Errors
/// `out` or `err` cannot be written, or the system does not tell which program is running.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    examine(args, registry, &WorkerProgram::current()?, out, err)
}

/// The command, with the program that a child process would be.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn examine(
    args: &Args,
    registry: &Registry,
    worker: &WorkerProgram,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.file.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    let file = pipeline.pipeline.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
    let mut findings = vec![versions()];
    let plan = match &file {
        None => {
            let message = format!("no `{DEFAULT_FILE}` here: the machine is looked at by itself");
            findings.push(Finding::ok("pipeline", message).mend("docmill init"));
            None
        }
        Some(file) => load(file, &pipeline, registry, &mut findings),
    };
    let plan = plan.as_ref();
    findings.extend([limits::cpu(), limits::memory(plan), limits::open_files(), places::state(plan)]);
    findings.extend(places::disks(plan));
    findings.extend(stages::resolved(plan, registry));
    findings.extend(stages::isolation(plan, registry, worker));
    findings.extend(plan.into_iter().flat_map(stages::variables));
    findings.extend(plan.into_iter().flat_map(endpoints::reached));
    findings.extend(terminal::findings());

    let sick = findings.iter().any(|finding| finding.state == State::Error);
    match args.format {
        Format::Text => write!(out, "{}", as_text(&findings))?,
        Format::Json => {
            let pipeline = file.map(|file| file.display().to_string());
            let program = env!("CARGO_PKG_VERSION");
            let answer = json!({
                "version": VERSION, "docmill": program, "pipeline": pipeline, "ok": !sick, "findings": findings,
            });
            writeln!(out, "{answer:#}")?;
        }
    }
    Ok(if sick { ENVIRONMENT } else { 0 })
}

fn load(file: &Path, pipeline: &PipelineArgs, registry: &Registry, findings: &mut Vec<Finding>) -> Option<Plan> {
    match pipeline.load(registry) {
        Ok(loaded) => {
            let (stages, warnings) = (loaded.plan.stages.len(), loaded.warnings.len());
            let message = format!("`{}`: {stages} stages, {warnings} warnings", file.display());
            let finding = if warnings == 0 {
                Finding::ok("pipeline", message)
            } else {
                Finding::warning("pipeline", message).mend(format!("docmill check {}", file.display()))
            };
            findings.push(finding.value("stages", stages).value("warnings", warnings));
            Some(loaded.plan)
        }
        Err(complaints) => {
            let first = complaints.iter().next().map_or(String::new(), |one| format!(": {}", one.message));
            let message = format!("`{}` cannot run{first}", file.display());
            let mend = format!("docmill check {}", file.display());
            let told = config::to_json(&complaints);
            findings.push(Finding::error("pipeline", message).mend(mend).value("diagnostics", told));
            None
        }
    }
}

fn versions() -> Finding {
    let (program, system, processor) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    let shown = if kernel.is_empty() { String::new() } else { format!(", kernel {kernel}") };
    Finding::ok("version", format!("docmill {program}, {system} on {processor}{shown}"))
        .value("docmill", program)
        .value("system", system)
        .value("processor", processor)
        .value("kernel", kernel)
}

fn as_text(findings: &[Finding]) -> String {
    let mut rows = Vec::new();
    for finding in findings {
        rows.push(vec![finding.state.word().to_owned(), finding.id.clone(), finding.message.clone()]);
        if let Some(mend) = &finding.mend {
            rows.push(vec![String::new(), String::new(), format!("-> {mend}")]);
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (errors, warnings) = (count(State::Error), count(State::Warning));
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let summary = format!("\n{errors} error{}, {warnings} warning{}\n", plural(errors), plural(warnings));
    printable(&columns(&rows)) + &summary
}

/// Without control characters: a file's name or a server's answer cannot move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
