//! What each kind of a program's threads uses (Linux).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Sees what the threads of a process have used, ten times a second, until it has ended and was waited for.
pub(crate) struct Threads(JoinHandle<HashMap<OsString, (String, f64)>>);

impl Threads {
    pub(crate) fn of(process: u32) -> Self {
        Self(thread::spawn(move || {
            let mut used = HashMap::new();
            while look(&process.to_string(), &mut used).is_some() {
                thread::sleep(Duration::from_millis(100));
            }
            used
        }))
    }

    /// CPU seconds by the name of the threads, without their numbers; the first is `main`.
    pub(crate) fn seconds(self) -> HashMap<String, f64> {
        let mut by_name = HashMap::new();
        for (name, seconds) in self.0.join().unwrap().into_values() {
            *by_name.entry(name).or_default() += seconds;
        }
        by_name
    }
}

fn look(process: &str, used: &mut HashMap<OsString, (String, f64)>) -> Option<()> {
    for task in fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        // One that has just ended is as it was seen last.
        let (Some(name), Some(schedstat)) = (read("comm"), read("schedstat")) else { continue };
        let nanoseconds: f64 = schedstat.split(' ').next()?.parse().ok()?;
        let name = if task.file_name() == process { "main" } else { name.trim() };
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-').to_owned();
        used.insert(task.file_name(), (name, nanoseconds / 1e9));
    }
    Some(())
}
