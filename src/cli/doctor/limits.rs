//! What the machine and its cgroup allow: CPUs, memory, open files.

use std::fs;
use std::path::{Path, PathBuf};

use docmill_api::units::Size;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::plan::{Plan, bound};

/// Where Linux mounts the second version of control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What a run keeps open: documents, sockets, children and the store's own files. Most systems allow 1,024.
const LEAST_FILES: u64 = 1024;

/// The process itself, beside the documents: code, the model, vocabularies and the store's buffers.
const PROGRAM: u64 = 256 << 20;

pub(super) fn cpu() -> Finding {
    let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let online = fs::read_to_string("/proc/cpuinfo")
        .map_or(usable, |text| text.lines().filter(|line| line.starts_with("processor")).count().max(usable));
    let quota = least(&groups(), "cpu.max", cpu_quota);
    let shown = quota.map_or("no cgroup quota".to_owned(), |quota| format!("cgroup quota {quota:.1}"));
    let message = format!("{usable} of {online} CPUs usable, {shown}");
    let finding = match quota {
        Some(quota) if quota < 1.0 => {
            Finding::warning("cpu", message).mend("give the container a CPU: docker run --cpus 2 …")
        }
        _ => Finding::ok("cpu", message),
    };
    finding.value("usable", usable).value("online", online).value("quota", quota)
}

/// `max 100000`, or microseconds of CPU time in a period.
fn cpu_quota(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let (allowed, period) = (words.next()?.parse::<f64>().ok()?, words.next()?.parse::<f64>().ok()?);
    (period > 0.0).then_some(allowed / period)
}

pub(super) fn memory(plan: Option<&Plan>) -> Finding {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (total, free) = (kilobytes(&text, "MemTotal:"), kilobytes(&text, "MemAvailable:"));
    let limit = least(&groups(), "memory.max", |text| text.trim().parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit in whole bytes")]
    let limit = limit.map(|limit| limit as u64);
    let may = limit.into_iter().chain(total).min();
    let mut message = match (total, free) {
        (Some(total), Some(free)) => format!("{}, {} of it free", Size(total), Size(free)),
        _ => "the system does not tell how much there is".to_owned(),
    };
    message.push_str(&limit.map_or(", no cgroup limit".to_owned(), |limit| format!(", cgroup limit {}", Size(limit))));
    let needs = plan.map(|plan| bound(plan).total);
    if let Some(needs) = needs {
        message.push_str(&format!("; the pipeline takes at most {} for documents", Size(needs)));
    }
    let short = needs.zip(may).is_some_and(|(needs, may)| needs.saturating_add(PROGRAM) > may);
    let finding = if short {
        Finding::warning("memory", message).mend(
            "docmill check shows the sum: lower run.memory, or memory and width of \
                                                  the stages in child processes",
        )
    } else {
        Finding::ok("memory", message)
    };
    finding.value("total", total).value("free", free).value("cgroup_limit", limit).value("pipeline", needs)
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|number| number * 1024)
}

pub(super) fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let shown = |limit: Option<u64>| limit.map_or("any number of".to_owned(), |limit| limit.to_string());
    let message = format!("{} open files (at most {})", shown(limit.current), shown(limit.maximum));
    let finding = match limit.current {
        Some(soft) if soft < LEAST_FILES => {
            let may = limit.maximum.map_or(LEAST_FILES, |hard| hard.min(4 * LEAST_FILES));
            Finding::warning("open_files", message).mend(format!("ulimit -n {may}"))
        }
        _ => Finding::ok("open_files", message),
    };
    finding.value("soft", limit.current).value("hard", limit.maximum)
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
        assert_eq!(least(&groups, "cpu.max", cpu_quota), None);
        fs::write(inner.join("cpu.max"), "max 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", cpu_quota), None);
        fs::write(outer.join("cpu.max"), "150000 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", cpu_quota), Some(1.5));
        fs::write(inner.join("cpu.max"), "50000 100000\n").expect("written");
        assert_eq!(least(&groups, "cpu.max", cpu_quota), Some(0.5));
        assert_eq!(kilobytes("MemTotal:  12 kB\nMemAvailable: 3 kB\n", "MemAvailable:"), Some(3072));
    }
}
