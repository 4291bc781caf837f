//! What the machine and its cgroup allow: CPUs, memory, open files.

use std::fs;

use docmill_api::units::Size;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::cli::pipeline_args::machine;
use crate::monitor::{cpu_quota, memory_limit};
use crate::plan::{Plan, bound};

/// What a run keeps open: documents, sockets, children and the store's own files. Most systems allow 1,024.
const LEAST_FILES: u64 = 1024;

/// The process itself, beside the documents: code, the model, vocabularies and the store's buffers.
const PROGRAM: u64 = 256 << 20;

pub(super) fn cpu() -> Finding {
    let usable = machine().cpus;
    let online = fs::read_to_string("/proc/cpuinfo")
        .map_or(usable, |text| text.lines().filter(|line| line.starts_with("processor")).count().max(usable));
    let quota = cpu_quota();
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

pub(super) fn memory(plan: Option<&Plan>) -> Finding {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (total, free) = (kilobytes(&text, "MemTotal:"), kilobytes(&text, "MemAvailable:"));
    let limit = memory_limit();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_meminfo() {
        assert_eq!(kilobytes("MemTotal:  12 kB\nMemAvailable: 3 kB\n", "MemAvailable:"), Some(3072));
    }
}
