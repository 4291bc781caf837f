//! `docmill config`: the configuration as it will be used, defaults included, and with `--origin` who set each value.

use std::io::Write;
use std::path::PathBuf;

use docmill_api::Registry;
use serde_json::{Map, Value, json};

use super::pipeline_args::{CONFIGURATION, Format, Loaded, PipelineArgs, refuse_usage};
use crate::plan::{self, dotted};

/// Prints the resolved configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The pipeline file, its name ending in .toml
    #[arg(value_name = "PIPELINE")]
    pub file: Option<PathBuf>,
    /// Which pipeline, and what is changed of it.
    #[command(flatten)]
    pub pipeline: PipelineArgs,
    /// Say who set each value: the file, a variable, --set, or nobody
    #[arg(long)]
    pub origin: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
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
    let values = plan::resolved(&loaded.raw, &loaded.plan, registry);
    match args.format {
        Format::Text => write!(out, "{}", as_toml(&loaded, &values, args.origin))?,
        Format::Json => {
            let answer = if args.origin {
                json!({ "values": values, "origins": origins(&loaded, &values) })
            } else {
                json!({ "values": values })
            };
            writeln!(out, "{answer:#}")?;
        }
    }
    Ok(0)
}

/// A value of the configuration that is no table, and its path.
type Leaf<'a> = (Vec<String>, &'a Value);

/// All leaves below `path`; an empty table is one.
fn leaves<'a>(value: &'a Value, path: &[String], all: &mut Vec<Leaf<'a>>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                let path: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
                leaves(value, &path, all);
            }
        }
        Value::Null => {}
        _ => all.push((path.to_vec(), value)),
    }
}

/// TOML that means the same pipeline. Nested tables are written dotted, so that each line has one origin.
fn as_toml(loaded: &Loaded, values: &Value, origin: bool) -> String {
    let mut out = String::new();
    let empty = Map::new();
    let table = |key: &str| values.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let mut tables: Vec<(Vec<String>, &Value)> =
        values.get("run").map(|run| (vec!["run".to_owned()], run)).into_iter().collect();
    tables.extend(table("stages").iter().map(|(id, stage)| (vec!["stages".to_owned(), id.clone()], stage)));
    for (path, value) in tables {
        let gap = if out.is_empty() { "" } else { "\n" };
        out.push_str(&format!("{gap}[{}]\n", dotted(&path)));
        let mut all = Vec::new();
        leaves(value, &path, &mut all);
        for (leaf, value) in all {
            let key = dotted(&leaf[path.len()..]);
            let value = toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string());
            let comment = if origin { format!("  # {}", origin_of(loaded, &leaf)) } else { String::new() };
            out.push_str(&format!("{key} = {value}{comment}\n"));
        }
    }
    out
}

fn origins(loaded: &Loaded, values: &Value) -> Value {
    let mut all = Vec::new();
    leaves(values, &[], &mut all);
    all.iter().map(|(path, _)| (dotted(path), Value::from(origin_of(loaded, path)))).collect::<Map<_, _>>().into()
}

fn origin_of(loaded: &Loaded, path: &[String]) -> String {
    // One line of a comment: what a `--set` says may hold several.
    loaded.raw.origin(path).describe(&loaded.raw.file).replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::testing::{pipeline, registry, run_with};
    use crate::plan::fakes::{PIPELINE, plan};

    fn config(origin: bool, format: Format, sets: &[&str]) -> String {
        let (_directory, pipeline) = pipeline(PIPELINE, sets);
        let args = Args { file: None, pipeline, origin, format };
        let (code, out, err) = run_with(|out, err| run(&args, &registry(), out, err));
        assert_eq!((code, err.as_str()), (0, ""));
        out
    }

    #[test]
    fn every_value_says_who_set_it() {
        let out = config(true, Format::Text, &["stages.embed.width=8", "stages.download.allow.delay=2s"]);
        let table = |name: &str| {
            let start = out.find(&format!("[{name}]\n")).expect("the table is there");
            out[start..].split("\n\n").next().unwrap_or_default().to_owned()
        };
        // The file's own name is in a directory of the test's.
        let embed: Vec<String> =
            table("stages.embed").lines().map(|line| line.replace(&file_of(&out), "pipeline.toml")).collect();
        assert_eq!(
            embed,
            [
                "[stages.embed]",
                "kind = \"embed\"  # pipeline.toml:27:1",
                "inputs = [\"chunk\", \"summarize\"]  # pipeline.toml:28:1",
                "accept = []  # default",
                "width = 8  # --set stages.embed.width=8",
                "queue = 50  # default",
                "timeout = \"30s\"  # default",
                "retry.attempts = 3  # default",
                "retry.min = \"200ms\"  # default",
                "retry.max = \"5s\"  # default",
                "retry.total = \"10m\"  # default",
                "batch.items = 256  # default",
                "batch.tokens = 100000  # default",
                "batch.wait = \"20ms\"  # default",
                "model = \"builtin\"  # default",
                "base_url = \"\"  # default",
                "provider = \"builtin\"  # default",
            ]
        );
        let download = table("stages.download");
        assert!(download.contains("allow.delay = \"2s\"  # --set stages.download.allow.delay=2s"), "{download}");
        assert!(download.contains("allow.schemes = [\"file\"]  # default"), "{download}");
        assert!(table("run").contains("memory = \"512MiB\"  # default"));
    }

    fn file_of(out: &str) -> String {
        let comment = out.lines().find_map(|line| line.split_once("  # /")).map_or("", |(_, comment)| comment);
        format!("/{}", comment.rsplitn(3, ':').nth(2).unwrap_or_default())
    }

    #[test]
    fn what_is_printed_is_the_same_pipeline() {
        for origin in [false, true] {
            let printed = config(
                origin,
                Format::Text,
                &["stages.chunk.types.\".py\".tokens=400", "stages.chunk.width={min=2,max=3}"],
            );
            let again = plan(&printed).expect("what is printed is a pipeline").0;
            let sets = ["stages.chunk.types.\".py\".tokens=400", "stages.chunk.width={min=2,max=3}"];
            let first = crate::plan::fakes::plan_with(PIPELINE, &sets, &[]).expect("good").0;
            let shape = |plan: &plan::Plan| serde_json::to_value(&plan.stages).expect("JSON");
            assert_eq!(again.fingerprint, first.fingerprint);
            assert_eq!(shape(&again)[3]["width"], json!({ "start": 2, "min": 2, "max": 3, "auto": true }));
            assert_eq!(shape(&again)[3]["config"], shape(&first)[3]["config"]);
        }
    }

    #[test]
    fn json_holds_values_and_origins() {
        let json: Value = serde_json::from_str(&config(true, Format::Json, &["stages.embed.width=8"])).expect("JSON");
        assert_eq!(json["values"]["stages"]["embed"]["width"], 8);
        assert_eq!(json["origins"]["stages.embed.width"], "--set stages.embed.width=8");
        assert_eq!(json["origins"]["stages.embed.queue"], "default");
    }
}
