//! Where a run writes: the state directory and the stores. Whether it may, whether another run holds it, and how much
//! room is left.

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

use docmill_api::units::Size;
use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::plan::{Plan, Role, StagePlan};

/// Below it a run of some size ends with a full disk.
const LEAST_ROOM: u64 = 1 << 30;

/// The state directory where no pipeline names one.
const STATE: &str = ".docmill";

/// The fields by which stores name the place that they write.
const PLACES: [&str; 2] = ["uri", "dir"];

pub(super) fn state(plan: Option<&Plan>) -> Finding {
    let directory = state_directory(plan);
    let name = directory.display().to_string();
    let finding = match (holder(&directory), writable(&directory)) {
        (Some(pid), _) => {
            let message = format!("`{name}` is held by a running docmill (process {pid})");
            Finding::warning("state", message)
                .mend("wait for it, or name another directory: --set run.state=…")
                .value("holder", pid)
        }
        (None, Err(why)) => Finding::error("state", format!("`{name}` cannot be written: {why}"))
            .mend("name another directory: --set run.state=…, or chown it"),
        (None, Ok(())) if directory.exists() => {
            Finding::ok("state", format!("`{name}` can be written, nobody holds it"))
        }
        (None, Ok(())) => Finding::ok("state", format!("`{name}` is not there yet and can be made")),
    };
    finding.value("directory", name)
}

fn state_directory(plan: Option<&Plan>) -> PathBuf {
    plan.map_or_else(|| std::path::absolute(STATE).unwrap_or_else(|_| STATE.into()), |plan| plan.run.state.clone())
}

/// The process that holds the directory's lock. Looked at by a shared lock that is given up at once: a run that begins
/// in that very moment is refused, and begins when it is started again.
fn holder(directory: &Path) -> Option<String> {
    let mut file = File::open(directory.join("lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.by_ref().take(32).read_to_string(&mut pid);
            Some(pid.trim().to_owned()).filter(|pid| read.is_ok() && !pid.is_empty()).or(Some("unknown".to_owned()))
        }
        Ok(()) => {
            // Said for the sake of processes being started, which have the same open file for a moment.
            let _ = file.unlock();
            None
        }
        Err(TryLockError::Error(_)) => None,
    }
}

/// Whether a directory, or where it is missing the one that it would be made in, can be written.
fn writable(directory: &Path) -> Result<(), String> {
    let there = existing(directory);
    if !there.is_dir() {
        return Err(format!("`{}` is not a directory", there.display()));
    }
    access(&there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| format!("`{}`: {error}", there.display()))
}

/// The path itself, or the nearest directory above it that is there.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| fs::symlink_metadata(above).is_ok());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// The free room where the state directory and the stores are; one finding a place.
pub(super) fn disks(plan: Option<&Plan>) -> Vec<Finding> {
    let state = state_directory(plan);
    let stores = plan.into_iter().flat_map(|plan| plan.stages.iter().filter_map(|stage| place(plan, stage)));
    let mut all = vec![room("disk.state", &state)];
    all.extend(stores.map(|(id, place)| room(&format!("disk.{id}"), &place)));
    all
}

/// Where a sink writes on this machine, if it says so by one of the usual fields.
fn place(plan: &Plan, stage: &StagePlan) -> Option<(String, PathBuf)> {
    let named = || PLACES.iter().find_map(|field| stage.config.get(field)?.as_str());
    let place = (stage.role == Role::Sink).then(named).flatten()?;
    (!place.is_empty() && !place.contains("://")).then(|| (stage.id.clone(), plan.base.join(place)))
}

fn room(id: &str, place: &Path) -> Finding {
    let name = place.display().to_string();
    let finding = match statvfs(existing(place)) {
        Err(error) => Finding::warning(id, format!("the free room of `{name}` cannot be told: {error}")),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let message = format!("{} free for `{name}`", Size(free));
            let finding = if free < LEAST_ROOM {
                Finding::warning(id, message).mend("make room: a run needs some GiB, and ends where the disk is full")
            } else {
                Finding::ok(id, message)
            };
            finding.value("free", free)
        }
    };
    finding.value("place", name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::StateLock;

    #[test]
    fn a_state_directory_is_free_held_or_in_the_way() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("deep/state");
        assert_eq!((holder(&state), writable(&state)), (None, Ok(())));
        assert!(!directory.path().join("deep").exists(), "looking makes nothing");
        let held = StateLock::take(&state).expect("nobody holds it");
        assert_eq!(holder(&state), Some(std::process::id().to_string()));
        drop(held);
        assert_eq!(holder(&state), None);
        let file = directory.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(writable(&file.join("state")).is_err_and(|why| why.contains("not a directory")));
    }
}
