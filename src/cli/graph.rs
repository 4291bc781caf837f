//! `docmill graph`: the pipeline as a drawing: text, Mermaid, Graphviz or JSON.

use std::io::Write;
use std::path::PathBuf;

use docmill_api::Registry;
use serde_json::json;

use super::pipeline_args::{CONFIGURATION, PipelineArgs, refuse_usage};
use crate::plan::{Plan, Role, StagePlan};

/// Draws a pipeline.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The pipeline file, its name ending in .toml
    #[arg(value_name = "PIPELINE")]
    pub file: Option<PathBuf>,
    /// Which pipeline, and what is changed of it.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// How to draw
    #[arg(long, value_enum, default_value_t)]
    pub format: Drawing,
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Drawing {
    /// A tree in plain characters.
    #[default]
    Ascii,
    /// Mermaid, for Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
    /// Nodes and edges, for programs.
    Json,
}

/// Runs the command.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.file.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let plan = &loaded.plan;
    match args.format {
        Drawing::Ascii => write!(out, "{}", ascii(plan))?,
        Drawing::Mermaid => write!(out, "{}", mermaid(plan))?,
        Drawing::Dot => write!(out, "{}", dot(plan))?,
        Drawing::Json => {
            writeln!(out, "{:#}", as_json(plan))?;
        }
    }
    Ok(0)
}

/// From, to, and what flows: every edge of the plan.
fn edges(plan: &Plan) -> impl Iterator<Item = (&StagePlan, &StagePlan, String)> {
    plan.stages
        .iter()
        .flat_map(move |to| to.inputs.iter().map(move |from| (&plan.stages[*from], to, flows(&plan.stages[*from], to))))
}

/// What flows from one stage to another.
fn flows(from: &StagePlan, to: &StagePlan) -> String {
    let kinds = from.gives.iter().filter(|kind| to.takes.contains(kind));
    kinds.map(ToString::to_string).collect::<Vec<_>>().join("|")
}

fn ascii(plan: &Plan) -> String {
    let mut drawn = vec![false; plan.stages.len()];
    let mut out = String::new();
    for (position, stage) in plan.stages.iter().enumerate().filter(|(_, stage)| stage.role == Role::Source) {
        out.push_str(&label(stage));
        out.push('\n');
        drawn[position] = true;
        below(plan, position, "", &mut drawn, &mut out);
    }
    out
}

/// Draws the readers of a stage under it. A stage that is there already is named again without what follows it.
fn below(plan: &Plan, position: usize, indent: &str, drawn: &mut [bool], out: &mut String) {
    let readers: Vec<usize> =
        (0..plan.stages.len()).filter(|reader| plan.stages[*reader].inputs.contains(&position)).collect();
    for (index, &reader) in readers.iter().enumerate() {
        let last = index + 1 == readers.len();
        let stage = &plan.stages[reader];
        out.push_str(&format!(
            "{indent}{}-- {} --> ",
            if last { '`' } else { '|' },
            flows(&plan.stages[position], stage)
        ));
        if std::mem::replace(&mut drawn[reader], true) {
            out.push_str(&format!("{} (above)\n", stage.id));
            continue;
        }
        out.push_str(&label(stage));
        out.push('\n');
        below(plan, reader, &format!("{indent}{}   ", if last { ' ' } else { '|' }), drawn, out);
    }
}

fn label(stage: &StagePlan) -> String {
    let accept = if stage.accept.is_empty() { String::new() } else { format!(", {}", stage.accept.join(" ")) };
    format!("{} [{}{accept}]", stage.id, stage.kind)
}

fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart LR\n");
    // Ids may be words that Mermaid keeps for itself, such as `end`: nodes are named by number.
    for (position, stage) in plan.stages.iter().enumerate() {
        let (open, close) = if stage.role == Role::Stage { ("[", "]") } else { ("([", "])") };
        out.push_str(&format!("  n{position}{open}\"{}<br/>{}\"{close}\n", stage.id, stage.kind));
    }
    for (to, stage) in plan.stages.iter().enumerate() {
        for from in &stage.inputs {
            out.push_str(&format!("  n{from} -->|{}| n{to}\n", flows(&plan.stages[*from], stage).replace('|', ", ")));
        }
    }
    out
}

fn dot(plan: &Plan) -> String {
    let mut out = String::from("digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n");
    for stage in &plan.stages {
        let shape = if stage.role == Role::Stage { "" } else { ", shape=oval" };
        out.push_str(&format!("  \"{}\" [label=\"{}\\n{}\"{shape}];\n", stage.id, stage.id, stage.kind));
    }
    for (from, to, flows) in edges(plan) {
        out.push_str(&format!("  \"{}\" -> \"{}\" [label=\"{flows}\"];\n", from.id, to.id));
    }
    out.push_str("}\n");
    out
}

fn as_json(plan: &Plan) -> serde_json::Value {
    let nodes: Vec<_> = plan
        .stages
        .iter()
        .map(|stage| {
            let (tier, depth) = (stage.tier, stage.depth);
            json!({
                "id": stage.id, "kind": stage.kind, "tier": tier, "role": stage.role, "depth": depth,
                "accept": stage.accept,
            })
        })
        .collect();
    let edges: Vec<_> = edges(plan)
        .map(|(from, to, _)| {
            let payloads: Vec<_> = from.gives.iter().filter(|kind| to.takes.contains(kind)).collect();
            json!({ "from": from.id, "to": to.id, "payloads": payloads, "queue": to.queue })
        })
        .collect();
    json!({ "pipeline": plan.name, "nodes": nodes, "edges": edges })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::testing::{pipeline, registry, run_with};
    use crate::plan::fakes::PIPELINE;

    fn graph(format: Drawing) -> String {
        let (_directory, pipeline) = pipeline(PIPELINE, &["stages.summarize.accept=[\"text/*\"]"]);
        let (code, out, err) = run_with(|out, err| run(&Args { file: None, pipeline, format }, &registry(), out, err));
        assert_eq!((code, err.as_str()), (0, ""));
        out
    }

    #[test]
    fn a_tree_names_each_stage_once_and_refers_to_it_after() {
        let wanted = "\
source [files]
`-- reference --> download [download]
    `-- blob --> parse [parse]
        |-- text --> chunk [chunk]
        |   `-- chunks --> embed [embed]
        |       `-- vectors --> store [lancedb]
        `-- text --> summarize [summarize, text/*]
            `-- chunks --> embed (above)
";
        assert_eq!(graph(Drawing::Ascii), wanted);
    }

    #[test]
    fn every_edge_is_in_every_drawing() {
        assert_eq!(graph(Drawing::Mermaid).matches("-->|").count(), 7);
        assert!(graph(Drawing::Mermaid).contains("n4[\"summarize<br/>summarize\"]"));
        assert_eq!(graph(Drawing::Dot).matches(" -> ").count(), 7);
        let json: serde_json::Value = serde_json::from_str(&graph(Drawing::Json)).expect("JSON");
        assert_eq!(json["edges"].as_array().map(Vec::len), Some(7));
        let last = json!({ "from": "embed", "to": "store", "payloads": ["vectors"], "queue": 50 });
        assert_eq!(json["edges"][6], last);
        assert_eq!(json["nodes"][6]["depth"], 5);
    }
}
