//! `docmill init`: a pipeline to begin with, commented, with the schema by which an editor completes and checks it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use docmill_api::Registry;

use super::pipeline_args::{columns, names_pipeline, refuse_usage};
use super::{ENVIRONMENT, schema};
use crate::config::DEFAULT_FILE;
use crate::plan::{engine_fields, nearest_or_list};

/// Writes a pipeline.toml to begin with.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  docmill init                            pipeline.toml here, over `documents` if it is there, else over all files
  docmill init mill --template jsonl      mill/pipeline.toml, the directory made if missing
  docmill init web.toml --template web    another name
  docmill init --list                     what templates there are

Beside the pipeline it writes pipeline.schema.json, by which editors with taplo or tombi complete and check the file.
Nothing that exists is overwritten without --force.")]
pub struct Args {
    /// Where: a directory, or a file whose name ends in .toml [default: pipeline.toml here]
    #[arg(value_name = "DIR | FILE", value_hint = clap::ValueHint::AnyPath)]
    pub place: Option<PathBuf>,
    /// What to begin with; --list names them
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub template: String,
    /// Lists the templates and writes nothing
    #[arg(long)]
    pub list: bool,
    /// Overwrites what is there
    #[arg(long)]
    pub force: bool,
}

/// A pipeline to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// What `--template` calls it.
    pub name: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    text: &'static str,
    /// What stands beside it: names and texts.
    files: &'static [(&'static str, &'static str)],
}

/// All templates, the usual one first.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "local",
        summary: "files on this machine, searchable in LanceDB",
        text: include_str!("../../templates/local.toml"),
        files: &[],
    },
    Template {
        name: "jsonl",
        summary: "files on this machine to JSON lines, a file a document",
        text: include_str!("../../templates/jsonl.toml"),
        files: &[],
    },
    Template {
        name: "web",
        summary: "web pages by address and by sitemap",
        text: include_str!("../../templates/web.toml"),
        files: &[],
    },
    Template {
        name: "s3",
        summary: "what lies below a prefix of an object store",
        text: include_str!("../../templates/s3.toml"),
        files: &[],
    },
    Template {
        name: "stdin",
        summary: "addresses that another program prints",
        text: include_str!("../../templates/stdin.toml"),
        files: &[],
    },
    Template {
        name: "openai",
        summary: "summaries, vectors and images by a model service",
        text: include_str!("../../templates/openai.toml"),
        files: &[],
    },
    Template {
        name: "exec",
        summary: "files on this machine, with a stage in Python",
        text: include_str!("../../templates/exec.toml"),
        files: &[("tidy.py", include_str!("../../templates/tidy.py"))],
    },
];

/// The schema's name, beside the pipeline. Not in the state directory: that is thrown away, and this belongs with the
/// pipeline under version control.
const SCHEMA_FILE: &str = "pipeline.schema.json";

/// Where documents are looked for, if the directory is there.
const DOCUMENTS: &str = "documents";

impl Template {
    /// The pipeline for a directory: over its `documents` if there are any, else over all that is in it.
    #[must_use]
    pub fn render(&self, file: &str, documents: &str) -> String {
        let quoted = |name: &str| toml::Value::String(name.to_owned()).to_string();
        self.text.replace("\"@PIPELINE@\"", &quoted(file)).replace("\"@DOCUMENTS@\"", &quoted(documents))
    }

    /// What it needs and a registry does not have: kinds of stage, and fields of one.
    #[must_use]
    pub fn missing(&self, registry: &Registry) -> Vec<String> {
        let parsed: toml::Table = self.text.parse().unwrap_or_default();
        let stages = parsed.get("stages").and_then(toml::Value::as_table);
        let mut missing = Vec::new();
        for stage in stages.into_iter().flatten().filter_map(|(_, stage)| stage.as_table()) {
            let kind = stage.get("kind").and_then(toml::Value::as_str).unwrap_or_default();
            let Some(spec) = registry.get(kind).map(|factory| factory.spec()) else {
                missing.push(format!("stages of kind `{kind}`"));
                continue;
            };
            let engine = engine_fields(&spec);
            let known = |key: &str| {
                engine.iter().any(|field| field.name == key) || spec.fields.iter().any(|field| field.name == key)
            };
            missing.extend(stage.keys().filter(|key| !known(key)).map(|key| format!("`{key}` of kind `{kind}`")));
        }
        missing
    }
}

/// The templates whose kinds a registry knows, with all the fields that they set.
pub fn offered(registry: &Registry) -> impl Iterator<Item = &'static Template> + '_ {
    TEMPLATES.iter().filter(|template| template.missing(registry).is_empty())
}

/// Runs the command. What was written is told on `out`, a path a line; what to do next on `err`.
///
/// # Errors
/// `out` or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if args.list {
        let rows: Vec<Vec<String>> =
            offered(registry).map(|template| vec![template.name.to_owned(), template.summary.to_owned()]).collect();
        write!(out, "{}", columns(&rows))?;
        return Ok(0);
    }
    let template = match find(&args.template, registry) {
        Ok(template) => template,
        Err(message) => return refuse_usage(&message, err),
    };
    let file = pipeline_file(args.place.as_deref());
    match write_files(&file, template, registry, args.force) {
        Ok(written) => {
            for path in &written {
                writeln!(out, "{}", path.display())?;
            }
            write!(err, "{}", what_next(&file))?;
            Ok(0)
        }
        Err(Refused::Exists(path)) => {
            let message = format!("`{}` is there already; --force overwrites it", path.display());
            refuse_usage(&message, err)
        }
        Err(Refused::Unwritable(path, error)) => {
            writeln!(err, "error: cannot write `{}`: {error}", path.display())?;
            Ok(ENVIRONMENT)
        }
    }
}

fn find(name: &str, registry: &Registry) -> Result<&'static Template, String> {
    let names: Vec<&str> = offered(registry).map(|template| template.name).collect();
    match TEMPLATES.iter().find(|template| template.name == name) {
        Some(template) => match template.missing(registry) {
            missing if missing.is_empty() => Ok(template),
            missing => Err(format!(
                "template `{name}` needs {}, which this program does not have; the templates are {}",
                missing.join(", "),
                names.join(", ")
            )),
        },
        None => {
            let help = nearest_or_list(name, &names).unwrap_or_else(|| "this program can run none".to_owned());
            Err(format!("unknown template `{name}`; {help}"))
        }
    }
}

fn pipeline_file(place: Option<&Path>) -> PathBuf {
    match place {
        Some(file) if names_pipeline(file) && !file.is_dir() => file.to_owned(),
        Some(directory) => directory.join(DEFAULT_FILE),
        None => PathBuf::from(DEFAULT_FILE),
    }
}

/// Why nothing was written.
enum Refused {
    Exists(PathBuf),
    Unwritable(PathBuf, std::io::Error),
}

fn write_files(file: &Path, template: &Template, registry: &Registry, force: bool) -> Result<Vec<PathBuf>, Refused> {
    let directory = file.parent().unwrap_or(Path::new(""));
    let schema_file = directory.join(SCHEMA_FILE);
    // Looked at before anything is written, so that a refusal leaves nothing half done.
    let beside = template.files.iter().map(|(name, _)| directory.join(name));
    let there = |path: &PathBuf| path.symlink_metadata().is_ok() && !(*path == schema_file && is_our_schema(path));
    let exists = [file.to_owned(), schema_file.clone()].into_iter().chain(beside).find(there);
    if let Some(path) = exists.filter(|_| !force) {
        return Err(Refused::Exists(path));
    }
    if !directory.as_os_str().is_empty() {
        fs::create_dir_all(directory).map_err(|error| Refused::Unwritable(directory.to_owned(), error))?;
    }
    let documents = if directory.join(DOCUMENTS).is_dir() { DOCUMENTS } else { "." };
    let name = file.file_name().map_or_else(|| DEFAULT_FILE.to_owned(), |name| name.to_string_lossy().into_owned());
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written =
        options.open(file).and_then(|mut opened| opened.write_all(template.render(&name, documents).as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Refused::Exists(file.to_owned()),
        _ => Refused::Unwritable(file.to_owned(), error),
    })?;
    let mut all = vec![file.to_owned()];
    let schema = (SCHEMA_FILE, schema::text(registry));
    let beside = template.files.iter().map(|(name, text)| (*name, (*text).to_owned()));
    for (name, text) in std::iter::once(schema).chain(beside) {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| Refused::Unwritable(path.clone(), error))?;
        all.push(path);
    }
    Ok(all)
}

/// Whether a file is a schema of an earlier `init`: then it is brought up to date.
fn is_our_schema(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    parsed["title"] == schema::TITLE
}

fn what_next(file: &Path) -> String {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let go = directory.map_or(String::new(), |directory| format!("  cd {}\n", directory.display()));
    let name = file.file_name().filter(|name| *name != DEFAULT_FILE);
    let name = name.map_or(String::new(), |name| format!(" {}", name.to_string_lossy()));
    let named = if name.is_empty() { String::new() } else { format!(" --pipeline{name}") };
    format!(
        "\nNext:\n{go}  docmill doctor{name}    whether this machine has what it needs\n  docmill check{name}     what would run\n  \
         docmill run{name}       documents in, rows out\n  docmill search{named} \"a question\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::USAGE;
    use crate::cli::pipeline_args::testing::{registry, run_with};

    fn init(place: &Path, template: &str, force: bool) -> (u8, String, String) {
        let args = Args { place: Some(place.to_owned()), template: template.to_owned(), list: false, force };
        run_with(|out, err| run(&args, &registry(), out, err))
    }

    #[test]
    fn a_pipeline_is_written_with_its_schema_and_never_over_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("deep/mill");
        let (code, out, err) = init(&place, "local", false);
        assert_eq!(code, 0, "{err}");
        let (pipeline, schema) = (place.join("pipeline.toml"), place.join("pipeline.schema.json"));
        assert_eq!(out, format!("{}\n{}\n", pipeline.display(), schema.display()));
        assert!(err.contains("docmill run"), "{err}");
        let text = fs::read_to_string(&pipeline).expect("written");
        assert_eq!(text.lines().next(), Some("#:schema ./pipeline.schema.json"));
        assert!(text.contains("include = [\".\"]") && !text.contains('@'), "{text}");
        let written: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&schema).expect("written")).expect("JSON");
        assert_eq!(written, schema::document(&registry()));

        fs::write(&pipeline, "mine").expect("written");
        let (code, out, err) = init(&place, "local", false);
        assert_eq!((code, out.as_str()), (USAGE, ""));
        assert!(err.contains("--force"), "{err}");
        assert_eq!(fs::read_to_string(&pipeline).expect("there"), "mine");
        assert_eq!(init(&place, "local", true).0, 0);
        assert_eq!(fs::read_to_string(&pipeline).expect("there"), text);
    }

    #[test]
    fn a_schema_of_ours_is_renewed_and_another_file_of_its_name_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, schema) = (directory.path().join("a.toml"), directory.path().join("pipeline.schema.json"));
        fs::write(&schema, "{\"title\": \"somebody else's\"}").expect("written");
        assert_eq!(init(&file, "local", false).0, USAGE);
        assert!(!file.exists(), "nothing is half done");
        fs::write(&schema, format!("{{\"title\": \"{}\"}}", schema::TITLE)).expect("written");
        fs::create_dir(directory.path().join("documents")).expect("made");
        assert_eq!(init(&file, "local", false).0, 0);
        assert_eq!(fs::read_to_string(&schema).expect("there"), schema::text(&registry()));
        let text = fs::read_to_string(&file).expect("written");
        assert!(text.contains("include = [\"documents\"]") && text.contains("exclude = [\"a.toml\","), "{text}");
    }

    #[test]
    fn templates_without_their_stages_are_not_offered() {
        // The fakes have no `jsonl`.
        let args = Args { list: true, ..Args::default() };
        let (code, out, _) = run_with(|out, err| run(&args, &registry(), out, err));
        assert_eq!(code, 0);
        assert!(out.starts_with("local ") && !out.contains("jsonl"), "{out}");
        let directory = tempfile::tempdir().expect("a directory");
        let (code, _, err) = init(directory.path(), "jsonl", false);
        assert!(code == USAGE && err.contains("kind `jsonl`") && err.contains("local"), "{err}");
        let (code, _, err) = init(directory.path(), "locale", false);
        assert!(code == USAGE && err.contains("did you mean `local`?"), "{err}");
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    /// The program that `exec` begins with, spoken to in the frames that the engine speaks.
    #[test]
    fn the_program_in_python_is_a_stage() {
        use std::process::{Command, Stdio};

        use docmill_api::frames::{self, Message, PROTOCOL};
        use docmill_api::{Payload, TextKind};
        use docmill_testkit::records;

        if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
            // Nothing to run it with.
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let exec = TEMPLATES.iter().find(|template| template.name == "exec").expect("it is there");
        let (name, text) = exec.files[0];
        fs::write(directory.path().join(name), text).expect("written");
        let mut python = Command::new("python3");
        python.current_dir(directory.path()).arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python starts");
        let (mut to, mut from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));

        let hello =
            Message::Hello { protocol: PROTOCOL, kind: "exec".into(), config: serde_json::json!({}), memory: None };
        frames::write(&mut to, &hello, &[]).expect("sent");
        let mut read = || frames::read(&mut from).expect("a frame").expect("an answer");
        assert!(matches!(read().0, Message::Ready { protocol: PROTOCOL, .. }));
        for (text, wanted) in [("zorblax\nPage 3 of 7\nturns", Some("zorblax\nturns")), ("Page 1\n2", None)] {
            let record = records::text("file:///a.txt", TextKind::Plain, text);
            let (message, body) = frames::input(&record, 0);
            frames::write(&mut to, &message, body.as_ref()).expect("sent");
            if let Some(wanted) = wanted {
                let (Message::Output { payload, .. }, body) = read() else { panic!("no output") };
                let Payload::Text(text) = frames::join(payload, body).expect("a payload") else { panic!("no text") };
                assert_eq!(&*text.content, wanted);
            }
            let (Message::End { skip }, _) = read() else { panic!("no end") };
            assert_eq!(skip.is_none(), wanted.is_some());
        }
        drop(to);
        assert!(child.wait().expect("it ends").success());
    }

    #[test]
    fn every_template_is_toml_and_names_its_schema_first() {
        for template in TEMPLATES {
            let text = template.render("my \"own\".toml", "documents");
            let parsed: Result<toml::Table, _> = text.parse();
            assert!(parsed.is_ok(), "{}: {parsed:?}", template.name);
            assert!(text.starts_with("#:schema ./pipeline.schema.json\n"), "{}", template.name);
        }
    }
}
