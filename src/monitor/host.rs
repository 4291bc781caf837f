//! What the process and its children use of the machine, read from `/proc` where there is one.

use std::fs;

/// CPU time and memory of this process and its children.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostUse {
    /// CPU time of this process and of the children that ended, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that this process held at once, in bytes; 0 where the system does not tell.
    pub peak_rss_bytes: u64,
    /// What this process holds now, in bytes.
    pub rss_bytes: u64,
    /// What its children hold now, in bytes.
    pub children_rss_bytes: u64,
}

/// What is used now.
#[must_use]
pub fn host_use() -> HostUse {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces: count fields after it. 14 to 17 of the whole line are utime, stime, cutime
    // and cstime in clock ticks, which Linux fixes at 100 a second for user space.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.get(11..15).unwrap_or_default().iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    HostUse {
        cpu_seconds: ticks / 100.0,
        peak_rss_bytes: kilobytes(&status, "VmHWM:"),
        rss_bytes: kilobytes(&status, "VmRSS:"),
        children_rss_bytes: children().iter().map(|pid| rss_of(pid)).sum(),
    }
}

fn kilobytes(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// What a process holds now, in bytes; 0 where the system does not tell.
#[must_use]
pub fn rss_of_process(pid: u32) -> u64 {
    rss_of(&pid.to_string())
}

fn rss_of(pid: &str) -> u64 {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS:")
}

fn children() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
