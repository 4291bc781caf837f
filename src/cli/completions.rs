//! `docmill completions`: a script by which a shell asks docmill itself what may stand here. So what is proposed comes
//! from the pipeline at hand and from the kinds that this program has: stage names, keys of `--set`, kinds, templates.
//!
//! The script and the program speak a dialect that clap may change with a version: a script is made anew when a shell
//! starts, or with each release where it is installed as a file.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap_complete::CompletionCandidate;
use clap_complete::engine::{ArgValueCompleter, PathCompleter};
use clap_complete::env::Shells;
use docmill_api::{FieldSpec, FieldType, Registry};
use serde_json::Value;

use super::{init, pipeline_args};
use crate::config::{self, DEFAULT_FILE};
use crate::plan;

/// The variable by which a script asks.
pub(super) const VARIABLE: &str = "DOCMILL_COMPLETE";

/// Prints a completion script.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Put one line where your shell starts; the script asks docmill itself, so it knows your stages:
  bash         source <(docmill completions bash)                 in ~/.bashrc
  zsh          source <(docmill completions zsh)                  in ~/.zshrc, after compinit
  fish         docmill completions fish | source                  in ~/.config/fish/config.fish
  elvish       eval (docmill completions elvish | slurp)          in ~/.config/elvish/rc.elv
  powershell   docmill completions powershell | Out-String | Invoke-Expression     in $PROFILE

It completes commands, options and their values, pipelines, kinds, templates, and the keys of --set for the
pipeline.toml here: docmill run --set stages.em<TAB>")]
pub struct Args {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Writes the script to `out`.
///
/// # Errors
/// `out` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    let shell = args.shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&shell).ok_or_else(|| anyhow::anyhow!("no script for `{shell}`"))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "docmill", "docmill", &program(), &mut script)?;
    out.write_all(&script)?;
    Ok(0)
}

/// How the script calls this program: by name where it was called so, since it then is in the search path.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_else(|| "docmill".into());
    let by_path = called.components().count() > 1;
    let path = if by_path { std::path::absolute(&called).unwrap_or(called) } else { called };
    path.to_string_lossy().into_owned()
}

/// The command line with what is proposed for its values; `directory` is where the user is.
pub(super) fn command(registry: &Registry, directory: &Path) -> clap::Command {
    let mut command = super::plain_command();
    let names: Vec<String> = command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |subcommand| propose(subcommand, registry, directory));
    }
    command
}

fn propose(command: clap::Command, registry: &Registry, directory: &Path) -> clap::Command {
    let (owned, at) = (registry.clone(), directory.to_owned());
    let pipelines = PathCompleter::file().filter(pipeline_args::names_pipeline).current_dir(directory);
    let set = ArgValueCompleter::new(move |typed: &OsStr| settings(typed, &owned, &at));
    let name = command.get_name().to_owned();
    let pipelines = ArgValueCompleter::new(pipelines);
    command.mut_args(|arg| match (name.as_str(), arg.get_id().as_str()) {
        (_, "set") => arg.add(set.clone()),
        (_, "pipeline" | "file") => arg.add(pipelines.clone()),
        ("run", "positionals") => arg.value_hint(clap::ValueHint::AnyPath),
        ("stages", "kind") => arg.add(among(kinds(registry))),
        ("init", "template") => {
            arg.add(among(init::offered(registry).map(|one| (one.name.to_owned(), one.summary.to_owned())).collect()))
        }
        ("embed", "stage") => arg.add(among(stages(registry, directory))),
        _ => arg,
    })
}

/// Proposes those of some words that begin as typed.
fn among(words: Vec<(String, String)>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| candidates(typed, words.iter().cloned()))
}

fn candidates(typed: &OsStr, words: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let fitting = words.filter(|(word, _)| word.starts_with(typed));
    fitting.map(|(word, help)| CompletionCandidate::new(word).help(Some(help.into()))).collect()
}

fn kinds(registry: &Registry) -> Vec<(String, String)> {
    let summary = |kind: &str| registry.get(kind).map_or(String::new(), |factory| factory.spec().summary.to_owned());
    registry.kinds().map(|kind| (kind.to_owned(), summary(kind))).collect()
}

/// The stages of the pipeline here with their kinds; none where there is no pipeline that can be read.
fn stages(registry: &Registry, directory: &Path) -> Vec<(String, String)> {
    let file = directory.join(DEFAULT_FILE);
    let Ok(raw) = config::load(Some(&file), &[], std::iter::empty(), registry) else { return Vec::new() };
    let stages = raw.values.get("stages").and_then(Value::as_object);
    let kind = |stage: &Value| stage.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    stages.into_iter().flatten().map(|(id, stage)| (id.clone(), kind(stage))).collect()
}

/// `stages.embed.wi` becomes `stages.embed.width=`, and after the `=` the words of a choice follow.
fn settings(typed: &OsStr, registry: &Registry, directory: &Path) -> Vec<CompletionCandidate> {
    let mut all: Vec<(String, String)> = Vec::new();
    for field in plan::run_fields() {
        keys("run", &field, &mut all);
    }
    all.push(("run.cpu_threads=".into(), "Threads of the CPU pool.".into()));
    for (id, kind) in stages(registry, directory) {
        let Some(spec) = registry.get(&kind).map(|factory| factory.spec()) else { continue };
        let prefix = format!("stages.{id}");
        all.push((format!("{prefix}.width="), "Records or batches worked on at once.".into()));
        for field in spec.fields.iter().chain(&plan::engine_specs(&spec)) {
            keys(&prefix, field, &mut all);
        }
    }
    // Keys first; the words of a value once there is a key.
    let has_key = typed.to_string_lossy().contains('=');
    candidates(typed, all.into_iter().filter(|(word, _)| word.ends_with('=') != has_key))
}

fn keys(prefix: &str, field: &FieldSpec, all: &mut Vec<(String, String)>) {
    let name = format!("{prefix}.{}", field.name);
    match &field.ty {
        FieldType::Table(nested) => nested.iter().for_each(|field| keys(&name, field, all)),
        ty => {
            all.push((format!("{name}="), field.doc.to_owned()));
            let words: &[&str] = match ty {
                FieldType::Choice(words) => words,
                FieldType::Bool => &["true", "false"],
                _ => &[],
            };
            all.extend(words.iter().map(|word| (format!("{name}={word}"), field.doc.to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::pipeline_args::testing::{registry, run_with};
    use crate::plan::fakes::PIPELINE;

    /// What is proposed for the last word of a line, in a directory with the fakes' pipeline.
    fn proposed(line: &[&str]) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("pipeline.toml"), PIPELINE).expect("written");
        std::fs::write(directory.path().join("notes.md"), "").expect("written");
        let mut command = command(&registry(), directory.path());
        let words: Vec<_> = std::iter::once("docmill").chain(line.iter().copied()).map(Into::into).collect();
        let all = clap_complete::engine::complete(&mut command, words, line.len(), Some(directory.path()));
        all.expect("proposals").iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_kinds_templates_stages_and_pipelines_are_proposed() {
        assert_eq!(proposed(&["comp"]), ["completions"]);
        assert!(!proposed(&[""]).contains(&"stage-worker".to_owned()), "it is hidden");
        assert_eq!(proposed(&["stages", "s"]), ["summarize"]);
        assert_eq!(proposed(&["init", "--template", "l"]), ["local"]);
        assert_eq!(proposed(&["embed", "--stage", "em"]), ["embed"]);
        assert_eq!(proposed(&["check", "p"]), ["pipeline.toml"]);
        assert!(proposed(&["check", "n"]).is_empty(), "a pipeline ends in .toml");
        assert_eq!(proposed(&["search", "words", "--mode", "h"]), ["hybrid"]);
    }

    #[test]
    fn keys_of_set_are_those_of_the_pipeline_here() {
        assert_eq!(
            proposed(&["run", "--set", "stages.chunk.t"]),
            ["stages.chunk.tokens=", "stages.chunk.types=", "stages.chunk.timeout="]
        );
        assert_eq!(proposed(&["check", "--set", "stages.embed.batch."]).len(), 3);
        assert_eq!(proposed(&["check", "--set", "run.me"]), ["run.memory="]);
        let encodings = proposed(&["check", "--set", "stages.chunk.encoding=o"]);
        assert_eq!(encodings, ["stages.chunk.encoding=o200k_base"]);
        assert!(proposed(&["check", "--set", "stages.none."]).is_empty());
    }

    #[test]
    fn a_script_of_every_shell_asks_the_program() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let (code, script, _) = run_with(|out, _| run(&Args { shell: *shell }, out));
            assert!(code == 0 && script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
