//! Finding a recorded run: a file by its path, or a run that is kept in the state directory by the beginning of its id.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::pipeline_args::PipelineArgs;
use crate::config::{self, Diagnostics};
use crate::monitor::{Line, Recording, RecordingError, RunState, Snapshot};
use crate::plan::nearest_or_list;
use docmill_api::Registry;

/// The newest run of a state directory.
pub(super) const LAST: &str = "last";

/// How many known runs an error names.
const NAMED: usize = 5;

/// Why there is no recording to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotFound {
    /// The pipeline that says where runs are kept.
    #[error("{}", config::render_all(.0).trim_end())]
    Pipeline(Diagnostics),
    /// A path of nothing.
    #[error("there is no file `{0}`\nhint: `docmill report --list` lists the runs that are kept; name one by its id")]
    File(String),
    /// No run has such an id.
    #[error("no run `{name}` in `{directory}`{known}\nhint: `docmill report --list` lists the runs that are kept")]
    Run {
        /// What was asked for.
        name: String,
        /// Where.
        directory: String,
        /// `: did you mean …?`, or all there are.
        known: String,
    },
    /// Several ids begin so.
    #[error("several runs begin with `{name}`: {runs}\nhint: name more of the id")]
    Several {
        /// What was asked for.
        name: String,
        /// Some of them.
        runs: String,
    },
    /// None was ever kept.
    #[error("no run is kept in `{0}`\nhint: `docmill run` keeps one; or name a file that `docmill run --record` wrote")]
    None(String),
    /// It is there and cannot be read.
    #[error("`{path}`: {error}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why not.
        error: RecordingError,
    },
}

/// Where a pipeline keeps the recordings of its runs.
pub(super) fn directory(state: &Path) -> PathBuf {
    state.join("runs")
}

/// Finds and reads a recording. The pipeline is asked only where a run is named and no file.
///
/// # Errors
/// There is none, there are several, or it cannot be read.
pub(super) fn read(name: &str, pipeline: &PipelineArgs, registry: &Registry) -> Result<Recording, NotFound> {
    let path = find(name, pipeline, registry)?;
    let unreadable = |error| NotFound::Unreadable { path: path.display().to_string(), error };
    let file = File::open(&path).map_err(|error| unreadable(error.into()))?;
    Recording::read(BufReader::new(file)).map_err(unreadable)
}

fn find(name: &str, pipeline: &PipelineArgs, registry: &Registry) -> Result<PathBuf, NotFound> {
    let path = Path::new(name);
    // A pipe is read as well.
    if path.exists() && !path.is_dir() {
        return Ok(path.to_owned());
    }
    if path.components().count() > 1 || path.extension().is_some() {
        return Err(NotFound::File(name.to_owned()));
    }
    let loaded = pipeline.load(registry).map_err(NotFound::Pipeline)?;
    let directory = directory(&loaded.plan.run.state);
    let run = choose(name, &ids(&directory), &directory)?;
    Ok(directory.join(format!("{run}.jsonl")))
}

/// The ids of the runs that are kept, the oldest first: an id begins with the time at which its run did.
fn ids(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let id = |path: &Path| Some(path.file_name()?.to_str()?.strip_suffix(".jsonl")?.to_owned());
    let mut ids: Vec<String> = entries.filter_map(|entry| id(&entry.path())).collect();
    ids.sort();
    ids
}

fn choose(name: &str, ids: &[String], directory: &Path) -> Result<String, NotFound> {
    let directory = || directory.display().to_string();
    let Some(last) = ids.last() else { return Err(NotFound::None(directory())) };
    if name == LAST {
        return Ok(last.clone());
    }
    let begins: Vec<&String> = ids.iter().filter(|id| id.starts_with(name)).collect();
    match begins.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let recent: Vec<&str> = ids.iter().rev().map(String::as_str).take(NAMED).collect();
            let known = nearest_or_list(name, &recent).map_or_else(String::new, |known| format!(": {known}"));
            Err(NotFound::Run { name: name.to_owned(), directory: directory(), known })
        }
        several if several.iter().any(|id| *id == name) => Ok(name.to_owned()),
        several => {
            let runs: Vec<String> = several.iter().rev().take(NAMED).map(|id| format!("`{id}`")).collect();
            Err(NotFound::Several { name: name.to_owned(), runs: runs.join(", ") })
        }
    }
}

/// A run that is kept, as a list has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Its id: the name of its file.
    pub(super) id: String,
    /// Its last snapshot; none where it ended before the first, or the file is no recording.
    pub(super) last: Option<Box<Snapshot>>,
    /// Whether its report is in the recording.
    pub(super) finished: bool,
}

impl Kept {
    /// How it ended: a run whose report is missing either goes on or came to a sudden end.
    pub(super) fn end(&self) -> &'static str {
        let state = self.last.as_ref().map_or(RunState::Running, |last| last.state);
        match (self.finished || state.is_over(), &self.last) {
            (_, None) => "nothing recorded",
            (true, Some(_)) => crate::report::recorded::end(state),
            (false, Some(_)) => "going on, or cut off",
        }
    }
}

/// The runs that are kept in a directory, the newest first. Only the last snapshot of each is read as such: a recording of
/// hours is some tens of megabytes.
pub(super) fn kept(directory: &Path) -> Vec<Kept> {
    let read = |id: String| {
        let (last, finished) = end_of(&directory.join(format!("{id}.jsonl"))).unwrap_or((None, false));
        Kept { id, last, finished }
    };
    ids(directory).into_iter().rev().map(read).collect()
}

fn end_of(path: &Path) -> io::Result<(Option<Box<Snapshot>>, bool)> {
    let mut file = BufReader::new(File::open(path)?);
    // The last line may be cut off: then the one before it is the last.
    let (mut last, mut before, mut line) = (Vec::new(), Vec::new(), Vec::new());
    let mut finished = false;
    while file.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"{\"snapshot\"") {
            std::mem::swap(&mut before, &mut last);
            std::mem::swap(&mut last, &mut line);
        }
        finished = line.starts_with(b"{\"report\"") && line.ends_with(b"\n");
        line.clear();
    }
    let snapshot = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(Line::Snapshot(snapshot)) => Some(snapshot),
        _ => None,
    };
    Ok((snapshot(&last).or_else(|| snapshot(&before)), finished))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(name: &str, ids: &[&str]) -> Result<String, String> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        choose(name, &ids, Path::new("state/runs")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_is_named_by_what_its_id_alone_begins_with() {
        let ids = ["20260301T1015-7", "20260301T1015-71", "20260302T0900-9"];
        assert_eq!(chosen("last", &ids).as_deref(), Ok("20260302T0900-9"));
        assert_eq!(chosen("20260302", &ids).as_deref(), Ok("20260302T0900-9"));
        assert_eq!(chosen("20260301T1015-7", &ids).as_deref(), Ok("20260301T1015-7"));
        let several = chosen("20260301", &ids).expect_err("two begin so");
        assert!(several.contains("`20260301T1015-71`") && several.contains("hint: "), "{several}");
        let nearest = chosen("20260302T0901-9", &ids).expect_err("none begins so");
        assert!(nearest.contains("did you mean `20260302T0900-9`?") && nearest.contains("--list"), "{nearest}");
        assert!(chosen("zebra", &ids).expect_err("nothing like it").contains("known: "));
        assert!(chosen("last", &[]).expect_err("none at all").contains("no run is kept in `state/runs`"));
    }
}
