//! The arguments by which every command names its pipeline, and the one way from them to a plan.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use docmill_api::Registry;

use crate::config::{self, Diagnostic, Diagnostics, RawPipeline};
use crate::plan::{Machine, Plan};

/// The exit code of a usage that cannot be.
pub const USAGE: u8 = 2;
/// The exit code of a configuration with errors.
pub const CONFIGURATION: u8 = 3;

/// Which pipeline, and what is changed of it for this command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PipelineArgs {
    /// The pipeline file [default: pipeline.toml in the current directory]
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Changes a value: KEY dotted, VALUE in TOML (stages.embed.width=8); may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// A pipeline that may run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged configuration.
    pub raw: RawPipeline,
    /// What it means.
    pub plan: Plan,
    /// What is not wrong, and not well either.
    pub warnings: Vec<Diagnostic>,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Whether a positional argument names a pipeline: its name ends in `.toml`.
#[must_use]
pub fn names_pipeline(argument: &Path) -> bool {
    argument.extension().is_some_and(|extension| extension == "toml")
}

/// How a document of the command line is read: a text as it is, a path that is not UTF-8 as the address of its file,
/// which keeps every byte (percent-encoded).
#[must_use]
pub fn input_parser() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(input)
}

fn input(given: OsString) -> Result<String, String> {
    let given = match given.into_string() {
        Ok(text) => return Ok(text),
        Err(bytes) => PathBuf::from(bytes),
    };
    let shown = given.display();
    if given.is_dir() {
        return Err(format!("the name of the directory `{shown}` is not UTF-8: go into it and name `.`"));
    }
    let path = std::path::absolute(&given).map_err(|error| format!("`{shown}`: {error}"))?;
    url::Url::from_file_path(path).map(String::from).map_err(|()| format!("`{shown}` is no path of a file"))
}

impl PipelineArgs {
    /// Takes the pipeline off the positional arguments, where the first one names it; the others are a command's
    /// inputs. `--pipeline` wins, and leaves them all.
    pub fn take_from(&mut self, positionals: &mut Vec<String>) {
        if self.pipeline.is_none() && positionals.first().is_some_and(|first| names_pipeline(Path::new(first))) {
            self.pipeline = Some(positionals.remove(0).into());
        }
    }

    /// The same arguments with the positional PIPELINE of a command that takes no inputs.
    ///
    /// # Errors
    /// What is wrong with the usage: a positional that names no pipeline, or two pipelines.
    pub fn with_positional(&self, positional: Option<&Path>) -> Result<Self, String> {
        match positional {
            None => Ok(self.clone()),
            Some(path) if !names_pipeline(path) => {
                Err(format!("`{}` is no pipeline: its name does not end in `.toml`", path.display()))
            }
            Some(path) if self.pipeline.is_some() => {
                Err(format!("two pipelines: `{}` and `--pipeline`; name one", path.display()))
            }
            Some(path) => Ok(Self { pipeline: Some(path.to_owned()), set: self.set.clone() }),
        }
    }

    /// Reads, merges and checks the pipeline, with this process's environment and CPUs.
    ///
    /// # Errors
    /// Every complaint.
    pub fn load(&self, registry: &Registry) -> Result<Loaded, Diagnostics> {
        // A variable that is not text is none of ours: our names and values are.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        self.load_with(registry, variables, machine())
    }

    /// The same with an environment and a machine of the caller's.
    ///
    /// # Errors
    /// Every complaint.
    pub fn load_with(
        &self,
        registry: &Registry,
        variables: impl Iterator<Item = (String, String)>,
        machine: Machine,
    ) -> Result<Loaded, Diagnostics> {
        let raw = config::load(self.pipeline.as_deref(), &self.set, variables, registry)?;
        let (plan, warnings) = Plan::from_raw(&raw, registry, machine)?;
        Ok(Loaded { raw, plan, warnings })
    }

    /// Loads the pipeline and writes warnings and complaints to `err`, stderr outside tests. `None` where there are
    /// errors: the command then ends with [`CONFIGURATION`].
    ///
    /// # Errors
    /// `err` cannot be written.
    pub fn load_or_complain(&self, registry: &Registry, err: &mut dyn Write) -> anyhow::Result<Option<Loaded>> {
        match self.load(registry) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    writeln!(err, "{}", config::render(warning))?;
                }
                Ok(Some(loaded))
            }
            Err(complaints) => {
                write!(err, "{}", config::render_all(&complaints))?;
                Ok(None)
            }
        }
    }
}

/// This machine as a plan has to know it: the CPUs that this process may use, cgroup limits included.
#[must_use]
pub fn machine() -> Machine {
    Machine { cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get) }
}

/// Complains about a usage that clap cannot know of.
///
/// # Errors
/// `err` cannot be written.
pub fn refuse_usage(message: &str, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {message}")?;
    Ok(USAGE)
}

/// Lays rows out in columns, the first row being their heads. The last column is not padded.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// What the tests of several commands need.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) use crate::plan::fakes::registry;

    /// A pipeline file in a directory of its own, and the arguments that name it. Keep the directory.
    pub(crate) fn pipeline(text: &str, sets: &[&str]) -> (tempfile::TempDir, PipelineArgs) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pipeline.toml");
        std::fs::write(&file, text).expect("written");
        let set = sets.iter().map(|set| (*set).to_owned()).collect();
        (directory, PipelineArgs { pipeline: Some(file), set })
    }

    /// Runs a command and returns its code, stdout and stderr.
    pub(crate) fn run_with(
        command: impl FnOnce(&mut dyn Write, &mut dyn Write) -> anyhow::Result<u8>,
    ) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = command(&mut out, &mut err).expect("a buffer can be written");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (code, text(out), text(err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pipeline: Option<&str>, positionals: &[&str]) -> (Option<PathBuf>, Vec<String>) {
        let mut args = PipelineArgs { pipeline: pipeline.map(PathBuf::from), set: Vec::new() };
        let mut left: Vec<String> = positionals.iter().map(|one| (*one).to_owned()).collect();
        args.take_from(&mut left);
        (args.pipeline, left)
    }

    #[test]
    fn the_first_positional_is_the_pipeline_if_it_ends_in_toml() {
        assert_eq!(taken(None, &["my.toml", "docs"]), (Some("my.toml".into()), vec!["docs".into()]));
        assert_eq!(taken(None, &["docs", "my.toml"]), (None, vec!["docs".into(), "my.toml".into()]));
        assert_eq!(taken(Some("a.toml"), &["b.toml"]), (Some("a.toml".into()), vec!["b.toml".into()]));
        assert_eq!(taken(None, &[]), (None, vec![]));
    }

    #[test]
    fn an_input_that_is_not_utf_8_is_the_address_of_its_file() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        assert_eq!(input("notes über.md".into()), Ok("notes über.md".to_owned()));
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join(OsString::from_vec(b"zorblax-\xff.md".to_vec()));
        let address = input(file.clone().into_os_string()).expect("a file");
        assert!(address.starts_with("file:///") && address.ends_with("/zorblax-%FF.md"), "{address}");
        let back = url::Url::parse(&address).expect("an address").to_file_path().expect("a path");
        assert_eq!(back.as_os_str().as_bytes(), file.as_os_str().as_bytes());
        std::fs::create_dir(&file).expect("made");
        assert!(input(file.into_os_string()).is_err_and(|error| error.contains("not UTF-8")));
    }

    #[test]
    fn two_pipelines_are_refused() {
        let args = PipelineArgs { pipeline: Some("a.toml".into()), set: Vec::new() };
        assert!(args.with_positional(Some(Path::new("b.toml"))).is_err());
        assert!(args.with_positional(None).is_ok());
    }

    #[test]
    fn the_arguments_are_what_the_design_says() {
        use clap::Parser;
        #[derive(Parser)]
        struct Program {
            #[command(flatten)]
            args: PipelineArgs,
        }
        let line = ["docmill", "--pipeline", "x.toml", "--set", "a.b=1", "--set", "a.c=[1]"];
        let args = Program::try_parse_from(line).expect("a good line").args;
        assert_eq!((args.pipeline, args.set), (Some("x.toml".into()), vec!["a.b=1".into(), "a.c=[1]".into()]));
    }
}
