//! `docmill check`: whether a pipeline may run, what will run, and how much memory it may take. Nothing is run.

use std::io::Write;
use std::path::PathBuf;

use docmill_api::Registry;
use docmill_api::units::{Size, Span};
use serde_json::json;

use super::pipeline_args::{CONFIGURATION, Format, Loaded, PipelineArgs, columns, refuse_usage};
use crate::config;
use crate::plan::{self, Bound, Plan, Role, StagePlan, Width};

/// Checks a pipeline and shows what will run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The pipeline file, its name ending in .toml
    #[arg(value_name = "PIPELINE")]
    pub file: Option<PathBuf>,
    /// Which pipeline, and what is changed of it.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the command; data goes to `out`, complaints in text to `err`.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.file.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    match args.format {
        Format::Json => match pipeline.load(registry) {
            Ok(loaded) => {
                writeln!(out, "{:#}", as_json(&loaded))?;
                Ok(0)
            }
            Err(complaints) => {
                let answer = json!({ "ok": false, "diagnostics": config::to_json(&complaints) });
                writeln!(out, "{answer:#}")?;
                Ok(CONFIGURATION)
            }
        },
        Format::Text => {
            let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
            write!(out, "{}", as_text(&loaded.plan))?;
            Ok(0)
        }
    }
}

fn as_json(loaded: &Loaded) -> serde_json::Value {
    json!({
        "ok": true,
        "diagnostics": config::to_json(&loaded.warnings),
        "plan": loaded.plan,
        "memory": plan::bound(&loaded.plan),
    })
}

fn as_text(plan: &Plan) -> String {
    let print = plan.fingerprint.to_string();
    let stages = plan.stages.len();
    let edges: usize = plan.stages.iter().map(|stage| stage.inputs.len()).sum();
    let mut out = format!("{}: {stages} stages, {edges} edges, fingerprint {}\n\n", plan.name, &print[..12]);
    let heads = ["STAGE", "KIND", "TIER", "WIDTH", "QUEUE", "TIMEOUT", "TAKES", "GIVES", "INPUTS", "FINGERPRINT"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(plan.stages.iter().map(|stage| row(plan, stage)));
    out.push_str(&columns(&rows));
    out.push('\n');
    out.push_str(&memory(&plan::bound(plan)));
    out
}

fn row(plan: &Plan, stage: &StagePlan) -> Vec<String> {
    let inputs: Vec<&str> = stage.inputs.iter().map(|input| plan.stages[*input].id.as_str()).collect();
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let kinds = |kinds: &[docmill_api::PayloadKind]| {
        or_dash(kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"))
    };
    let isolated = if stage.child_memory.is_some() { " (processes)" } else { "" };
    vec![
        stage.id.clone(),
        stage.kind.clone(),
        format!("{}{isolated}", stage.tier.as_str()),
        width(stage),
        if stage.role == Role::Source { "-".into() } else { stage.queue.to_string() },
        Span(stage.timeout).to_string(),
        kinds(&stage.takes),
        kinds(&stage.gives),
        or_dash(inputs.join(",")),
        stage.fingerprint.to_string()[..8].to_owned(),
    ]
}

/// The width at the start, and what may become of it.
fn width(stage: &StagePlan) -> String {
    match stage.width {
        Width { start, min: 1, max: 256, auto: true } => format!("auto ({start})"),
        Width { min, max, auto: true, .. } => format!("auto ({min}..{max})"),
        Width { start, max, .. } if max == start => start.to_string(),
        Width { start, min: 1, max: 256, .. } => start.to_string(),
        Width { start, min, max, .. } => format!("{start} ({min}..{max})"),
    }
}

fn memory(bound: &Bound) -> String {
    let mut parts =
        vec![format!("{} in flight", Size(bound.run)), format!("{} handed over beyond it", Size(bound.overdraft))];
    if bound.processes > 0 {
        let plural = if bound.processes == 1 { "" } else { "es" };
        parts.push(format!("{} in {} child process{plural}", Size(bound.children), bound.processes));
    }
    format!("memory for documents: at most {} = {}\n", Size(bound.total), parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::testing::{pipeline, registry, run_with};
    use crate::plan::fakes::PIPELINE;

    fn check(text: &str, format: Format, sets: &[&str]) -> (u8, String, String) {
        let (_directory, pipeline) = pipeline(text, sets);
        let args = Args { file: None, pipeline, format };
        run_with(|out, err| run(&args, &registry(), out, err))
    }

    #[test]
    fn a_good_pipeline_is_shown_stage_by_stage_with_its_memory() {
        let (code, out, err) = check(PIPELINE, Format::Text, &["stages.parse.width=1", "stages.chunk.width=1"]);
        assert_eq!((code, err.as_str()), (0, ""));
        // Fingerprints move with every revision of a stage: what is before them is what is looked at.
        let lines: Vec<&str> =
            out.lines().map(|line| line.rsplit_once("  ").map_or(line, |(start, _)| start.trim_end())).collect();
        assert_eq!(
            lines[2..],
            [
                "STAGE      KIND       TIER             WIDTH  QUEUE  TIMEOUT  TAKES      GIVES      INPUTS",
                "source     files      io               1      -      30s      -          reference  -",
                "download   download   io               32     50     30s      reference  blob       source",
                "parse      parse      cpu (processes)  1      50     30s      blob       text       download",
                "chunk      chunk      cpu              1      50     30s      text       chunks     parse",
                "summarize  summarize  service          8      50     30s      text       chunks     parse",
                "embed      embed      service          8      50     30s      chunks     vectors    chunk,summarize",
                "store      lancedb    io               1      50     30s      vectors    -          embed",
                "",
                "memory for documents: at most 1.5GiB = 512MiB in flight + 28MiB handed over beyond it + 1GiB in 1 child process",
            ]
        );
        assert!(out.starts_with("pipeline.toml: 7 stages, 7 edges, fingerprint "), "{out}");
    }

    #[test]
    fn complaints_end_it_with_3_and_warnings_do_not() {
        let (code, out, err) = check(&PIPELINE.replace("width = 32", "widht = 32"), Format::Text, &[]);
        assert_eq!((code, out.as_str()), (CONFIGURATION, ""));
        assert!(err.contains("error[docmill-E0011]") && err.ends_with("1 error\n"), "{err}");
        let (code, _, err) = check(PIPELINE, Format::Text, &["stages.chunk.width=99"]);
        assert!(code == 0 && err.starts_with("warning[docmill-W0001]"), "{err}");
    }

    #[test]
    fn json_holds_the_plan_or_the_complaints() {
        let answer = |sets: &[&str]| {
            let (code, out, err) = check(PIPELINE, Format::Json, sets);
            assert_eq!(err, "");
            (code, serde_json::from_str::<serde_json::Value>(&out).expect("JSON"))
        };
        let (code, good) = answer(&[]);
        assert_eq!((code, &good["ok"], &good["diagnostics"]), (0, &true.into(), &json!([])));
        assert_eq!(good["plan"]["stages"][0]["id"], "source");
        assert_eq!(good["memory"]["run"], 512 << 20);
        let (code, bad) = answer(&["stages.chunk.tokens=0"]);
        assert_eq!((code, &bad["ok"]), (CONFIGURATION, &false.into()));
        assert_eq!(bad["diagnostics"][0]["code"], "docmill-E0014");
    }

    #[test]
    fn a_positional_that_is_no_pipeline_is_a_usage_error() {
        let args = Args { file: Some("docs".into()), ..Args::default() };
        let (code, out, err) = run_with(|out, err| run(&args, &registry(), out, err));
        assert_eq!((code, out.as_str()), (super::super::pipeline_args::USAGE, ""));
        assert_eq!(err, "error: `docs` is no pipeline: its name does not end in `.toml`\n");
    }
}
