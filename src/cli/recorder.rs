//! Records a run while it runs: in the state directory, where the last runs are kept, and to a file where that is wanted.
//! On a thread of its own, so that a slow disk holds up nobody; a disk that fails ends the recording, not the run.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::watch;

use super::recorded::directory;
use crate::monitor::{Recorder, Snapshot};
use crate::report::Report;

/// How many recorded runs a state directory keeps.
const KEPT: usize = 20;

type Files = Vec<(PathBuf, Recorder<BufWriter<File>>)>;

/// A recording under way.
pub(super) struct Recording {
    thread: Option<JoinHandle<Files>>,
}

/// Where a run is recorded, opened before it begins: what cannot be written is not to be found out after a night.
#[derive(Default)]
pub(super) struct Records {
    files: Files,
    state: Option<PathBuf>,
}

impl Records {
    /// Opens the file that was asked for; the state directory's own is opened when the run has its id.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn open(state: &Path, file: Option<&Path>) -> anyhow::Result<Self> {
        let files = file.map(|file| {
            let recorder = begin(file).with_context(|| format!("cannot write the recording `{}`", file.display()))?;
            Ok::<_, anyhow::Error>((file.to_owned(), recorder))
        });
        Ok(Self { files: files.transpose()?.into_iter().collect(), state: Some(state.to_owned()) })
    }

    /// The same for a run that is kept nowhere else.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn passing(file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self { state: None, ..Self::open(Path::new(""), file)? })
    }

    /// Records what is published until the run is over.
    pub(super) fn follow(mut self, run: &str, published: watch::Receiver<Arc<Snapshot>>) -> Recording {
        if let Some(state) = self.state.take() {
            match keep(&directory(&state), run) {
                Ok(kept) => self.files.push(kept),
                Err(error) => tracing::warn!(%error, "this run is not kept for `docmill report`"),
            }
        }
        let recording = std::thread::Builder::new().name("recorder".into());
        let thread = recording.spawn(move || record(self.files, published));
        Recording { thread: thread.map_err(|error| tracing::warn!(%error, "no thread to record the run")).ok() }
    }
}

impl Recording {
    /// Ends it with the run's report.
    pub(super) fn finish(mut self, report: &Report) {
        let Some(Ok(files)) = self.thread.take().map(JoinHandle::join) else { return };
        for (path, recorder) in files {
            if let Err(error) = recorder.finish(report) {
                tracing::warn!(path = %path.display(), %error, "the recording is not finished");
            }
        }
    }
}

fn begin(path: &Path) -> io::Result<Recorder<BufWriter<File>>> {
    Recorder::begin(BufWriter::new(File::create(path)?))
}

/// Begins the recording that a state directory keeps, and lets the oldest go.
fn keep(directory: &Path, run: &str) -> io::Result<(PathBuf, Recorder<BufWriter<File>>)> {
    fs::create_dir_all(directory)?;
    let mut kept: Vec<PathBuf> = fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    // Their names begin with when they began.
    kept.sort();
    let too_many = (kept.len() + 1).saturating_sub(KEPT);
    for old in kept.iter().take(too_many) {
        // One that cannot be removed is no reason not to record.
        let _ = fs::remove_file(old);
    }
    let path = directory.join(format!("{run}.jsonl"));
    let recorder = begin(&path)?;
    Ok((path, recorder))
}

fn record(mut files: Files, mut published: watch::Receiver<Arc<Snapshot>>) -> Files {
    loop {
        // Asked before it is read: what is read after that is the last.
        let closed = published.has_changed().is_err();
        let snapshot = Arc::clone(&published.borrow_and_update());
        files.retain_mut(|(path, recorder)| match recorder.add(&snapshot) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the recording ends here");
                false
            }
        });
        if closed || snapshot.state.is_over() || files.is_empty() {
            return files;
        }
        // Woken, not asked again and again: a run would end when its recorder looks next.
        let _ = futures::executor::block_on(published.changed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        for run in 0..KEPT + 3 {
            keep(directory.path(), &format!("run-{run:02}")).expect("kept");
        }
        let mut names: Vec<String> = fs::read_dir(directory.path())
            .expect("read")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names.len(), KEPT);
        assert_eq!(names[0], "run-03.jsonl");
    }
}
