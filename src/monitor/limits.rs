//! What the control groups of this process allow it. Linux only: elsewhere there are no limits to read.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Linux mounts the second version of control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// The CPUs that a control group allows, where one says so: `1.5` for three half CPUs.
#[must_use]
pub fn cpu_quota() -> Option<f64> {
    least(&groups(), "cpu.max", quota_of)
}

/// The memory that a control group allows, in bytes, where one says so.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    let limit = least(&groups(), "memory.max", |text| text.trim().parse::<f64>().ok())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit in whole bytes")]
    let limit = limit as u64;
    Some(limit)
}

/// `max 100000`, or microseconds of CPU time in a period.
fn quota_of(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let (allowed, period) = (words.next()?.parse::<f64>().ok()?, words.next()?.parse::<f64>().ok()?);
    (period > 0.0).then_some(allowed / period)
}

/// The directories of this process's control group and of those around it; in a container its own is the root.
fn groups() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").trim_start_matches('/').to_owned();
    Path::new(&own).ancestors().map(|group| Path::new(CGROUPS).join(group)).collect()
}

/// The narrowest limit of all groups; one that says `max` sets none.
fn least(groups: &[PathBuf], file: &str, read: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let limits = groups.iter().filter_map(|group| read(&fs::read_to_string(group.join(file)).ok()?));
    limits.min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_limit_of_all_groups_holds() {
        let directory = tempfile::tempdir().expect("a directory");
        let (outer, inner) = (directory.path().join("outer"), directory.path().join("outer/inner"));
        fs::create_dir_all(&inner).expect("made");
        let groups = [inner.clone(), outer.clone(), directory.path().to_owned()];
        assert_eq!(least(&groups, "cpu.max", quota_of), None);
        fs::write(inner.join("cpu.max"), "max 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", quota_of), None);
        fs::write(outer.join("cpu.max"), "150000 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", quota_of), Some(1.5));
        fs::write(inner.join("cpu.max"), "50000 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", quota_of), Some(0.5));
    }
}
