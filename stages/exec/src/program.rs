//! What is started: the program's file, its arguments, its directory and the variables that it gets.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::frames::{Message, PROTOCOL};
use docmill_api::{BuildContext, StageError, StageFactory};
use serde_json::Value;
use tokio::process::Command;

use crate::factory::{Config, ExecFactory};

/// The variables that every program gets: where to find programs, libraries, its home and temporary files, and how to
/// speak. Any other may hold a secret, and is passed on only where it is named.
const INHERITED: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
];

/// A program that was found.
#[derive(Debug)]
pub(crate) struct Program {
    /// The stage's id, for logs.
    pub(crate) stage: Arc<str>,
    /// What the user calls the program.
    pub(crate) name: Arc<str>,
    pub(crate) start_timeout: Duration,
    file: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    variables: Vec<String>,
    config: Value,
}

impl Program {
    /// Looks for the program and its directory.
    pub(crate) fn find(config: &Config, cx: &BuildContext) -> Result<Self, StageError> {
        let (name, arguments) =
            config.command.split_first().ok_or_else(|| StageError::fatal("`command` is empty".to_owned()))?;
        let base = if cx.base.as_os_str().is_empty() { Path::new(".") } else { &cx.base };
        // The working directory is another than ours, so every path has to be whole.
        let base = std::path::absolute(base)
            .map_err(|error| StageError::fatal(format!("no directory `{}`: {error}", base.display())))?;
        let directory = if config.directory.is_empty() { base.clone() } else { base.join(&config.directory) };
        if !directory.is_dir() {
            let message = format!("no directory `{}`: `directory` is where the program works", directory.display());
            return Err(StageError::fatal(message));
        }
        Ok(Self {
            stage: cx.stage.as_str().into(),
            name: name.as_str().into(),
            start_timeout: config.start_timeout.0,
            file: file_of(name, &base)?,
            arguments: arguments.to_vec(),
            directory,
            variables: config.env.clone(),
            config: Value::Object(config.config.clone()),
        })
    }

    /// The command that starts a child, in a process group of its own: Ctrl-C on a terminal is for the engine, which
    /// drains, and a program that starts others is killed with them.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// What it is greeted with.
    pub(crate) fn hello(&self) -> Message {
        let kind = ExecFactory::KIND.to_owned();
        Message::Hello { protocol: PROTOCOL, kind, config: self.config.clone(), memory: None }
    }

    fn environment(&self) -> Vec<(String, OsString)> {
        let named = INHERITED.iter().copied().chain(self.variables.iter().map(String::as_str));
        named.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect()
    }
}

/// Whether a variable can have this name.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn file_of(name: &str, base: &Path) -> Result<PathBuf, StageError> {
    if name.contains('/') {
        let path = base.join(name);
        return match path.metadata() {
            Ok(found) if found.is_file() && is_executable(&path) => Ok(path),
            Ok(_) => Err(StageError::fatal(format!("`{}` is no program that may be executed", path.display()))),
            Err(error) => Err(StageError::fatal(format!("no program `{}`: {error}", path.display()))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter_map(|directory| std::path::absolute(directory.join(name)).ok())
        .find(|file| is_executable(file))
        .ok_or_else(|| {
            let hint = "install it, or name it by a path with a slash";
            StageError::fatal(format!("no program `{name}` in PATH; {hint}"))
        })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
