//! What the process and its children use of the machine, read from `/proc` where there is one.

use std::fs;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use serde::{Deserialize, Serialize};

use super::limits::{cpu_quota, memory_limit};

/// CPU time and memory of this process and its children.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostUse {
    /// CPU time of this process and of its children, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that this process held at once, in bytes; 0 where the system does not tell.
    pub peak_rss_bytes: u64,
    /// What this process holds now, in bytes.
    pub rss_bytes: u64,
    /// What its children hold now, in bytes.
    pub children_rss_bytes: u64,
    /// Its children.
    pub children: u64,
}

/// The machine, as far as this process and its children use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSnapshot {
    /// The CPUs that the process may use: those of the machine, or what its control group allows.
    pub cpus: f64,
    /// CPUs in use now by the process and its children.
    pub cpus_used: f64,
    /// CPU time of the process and its children from the run's start, in seconds.
    pub cpu_seconds: f64,
    /// Memory of the process, in bytes.
    pub rss_bytes: u64,
    /// Memory of its children, in bytes.
    pub children_rss_bytes: u64,
    /// The most that process and children held together whenever it was looked.
    pub peak_rss_bytes: u64,
    /// Its children.
    pub children: u64,
    /// The memory that may be used: the control group's limit, or all that the machine has; 0 where the system does not
    /// tell.
    pub memory_limit: u64,
    /// Bytes that the process reads from storage in a second.
    pub disk_read: f64,
    /// Bytes that the process has written to storage in a second.
    pub disk_written: f64,
    /// Bytes that the machine receives from other machines in a second.
    pub network_in: f64,
    /// Bytes that the machine sends to other machines in a second.
    pub network_out: f64,
    /// CPU time that the dashboard used so far, in seconds.
    pub ui_cpu_seconds: f64,
}

/// What is used now.
#[must_use]
pub fn host_use() -> HostUse {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let children = children();
    HostUse {
        cpu_seconds: cpu_seconds("self") + children.iter().map(|pid| cpu_seconds(pid)).sum::<f64>(),
        peak_rss_bytes: kilobytes(&status, "VmHWM:"),
        rss_bytes: kilobytes(&status, "VmRSS:"),
        children_rss_bytes: children.iter().map(|pid| rss_of(pid)).sum(),
        children: children.len() as u64,
    }
}

/// Looks at the machine again and again, for what it does in a second.
#[derive(Debug, Default)]
pub struct HostSampler {
    last: Option<(f64, Used)>,
    limits: Option<(f64, u64)>,
    peak: u64,
    /// CPU time that was used before the first look.
    before: Option<f64>,
    /// The most CPU time that was seen.
    cpu_seconds: f64,
}

/// How many seconds pass before rates are reckoned anew: `/proc` counts CPU time in hundredths of a second.
const RATES_AFTER: f64 = 0.9;

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    cpu_seconds: f64,
    disk: (f64, f64),
    network: (f64, f64),
    rates: HostSnapshot,
}

impl HostSampler {
    /// The machine now, `at` seconds from any fixed moment.
    pub fn sample(&mut self, at: f64) -> HostSnapshot {
        let mut used = host_use();
        // What this process did before it was looked at, as opening a model, is not of what is looked at.
        used.cpu_seconds -= *self.before.get_or_insert(used.cpu_seconds);
        // A child that ends between two files that are read is in neither: a total that went back would be read as a
        // process that began anew.
        self.cpu_seconds = self.cpu_seconds.max(used.cpu_seconds);
        used.cpu_seconds = self.cpu_seconds;
        let (cpus, memory_limit) = *self.limits.get_or_insert_with(limits);
        self.peak = self.peak.max(used.rss_bytes + used.children_rss_bytes);
        let snapshot = HostSnapshot {
            cpus,
            cpu_seconds: used.cpu_seconds,
            rss_bytes: used.rss_bytes,
            children_rss_bytes: used.children_rss_bytes,
            peak_rss_bytes: self.peak,
            children: used.children,
            memory_limit,
            ..self.last.map(|(_, last)| last.rates).unwrap_or_default()
        };
        if self.last.is_some_and(|(before, _)| at - before < RATES_AFTER) {
            return snapshot;
        }
        let mut now = Used { cpu_seconds: used.cpu_seconds, disk: disk(), network: network(), rates: snapshot };
        if let Some((before, last)) = self.last {
            // An interface that goes takes its bytes along: never below nothing.
            let rate = |now: f64, last: f64| ((now - last) / (at - before)).max(0.0);
            now.rates.cpus_used = rate(now.cpu_seconds, last.cpu_seconds);
            now.rates.disk_read = rate(now.disk.0, last.disk.0);
            now.rates.disk_written = rate(now.disk.1, last.disk.1);
            now.rates.network_in = rate(now.network.0, last.network.0);
            now.rates.network_out = rate(now.network.1, last.network.1);
        }
        self.last = Some((at, now));
        now.rates
    }
}

fn limits() -> (f64, u64) {
    let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::cast_precision_loss, reason = "some hundred CPUs at most")]
    let usable = usable as f64;
    let total = kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:");
    (cpu_quota().map_or(usable, |quota| quota.min(usable)), memory_limit().map_or(total, |limit| limit.min(total)))
}

/// CPU time of a process and of those of its children that have ended and were waited for.
fn cpu_seconds(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold spaces: count fields after it. 14 to 17 of the whole line are utime, stime, cutime
    // and cstime in clock ticks, which Linux fixes at 100 a second for user space.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.get(11..15).unwrap_or_default().iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Bytes that this process read from storage, and those it had written.
fn disk() -> (f64, f64) {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let of =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok()).unwrap_or(0.0);
    (of("read_bytes:"), of("write_bytes:"))
}

/// Bytes that this machine received and sent, loopback left out.
fn network() -> (f64, f64) {
    network_in(&fs::read_to_string("/proc/net/dev").unwrap_or_default())
}

fn network_in(text: &str) -> (f64, f64) {
    let interfaces = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    interfaces.filter(|(name, _)| name.trim() != "lo").fold((0.0, 0.0), |sum, (_, figures)| {
        // Eight figures of what was received, then those of what was sent; bytes are the first of each.
        let mut figures = figures.split_whitespace().map(|figure| figure.parse::<f64>().unwrap_or(0.0));
        (sum.0 + figures.next().unwrap_or(0.0), sum.1 + figures.nth(7).unwrap_or(0.0))
    })
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

/// CPU time of a process, in seconds; 0 where the system does not tell.
#[must_use]
pub fn cpu_of_process(pid: u32) -> f64 {
    cpu_seconds(&pid.to_string())
}

fn rss_of(pid: &str) -> u64 {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS:")
}

fn children() -> Vec<String> {
    // The list is one file for each thread; that there are none, the system says at once.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if matches!(waitid(WaitId::All, look), Err(Errno::CHILD)) {
        return Vec::new();
    }
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_never_goes_back() {
        let mut sampler = HostSampler { before: Some(0.0), cpu_seconds: 1e9, ..HostSampler::default() };
        assert_eq!(sampler.sample(0.0).cpu_seconds, 1e9);
    }

    #[test]
    fn children_are_seen_until_they_are_waited_for() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("a child");
        let pid = child.id().to_string();
        assert!(children().contains(&pid));
        drop(child.stdin.take());
        child.wait().expect("ended");
        assert!(!children().contains(&pid));
    }

    #[test]
    fn loopback_is_no_network() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n  \
                    eth0: 70 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n";
        assert_eq!(network_in(text), (70.0, 30.0));
    }
}
