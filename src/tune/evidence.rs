//! The evidence for a bottleneck, in words. What is found is decided elsewhere; here is only how it is said.

use super::bottleneck::{Bottleneck, Case, Suspect};
use super::shares::{is_source, neighbours};
use crate::monitor::StageSnapshot;

/// A stage, and what of it is scarce.
pub(super) fn stage(case: &Case<'_>, suspect: Suspect, resource: &str) -> Bottleneck {
    let stage = &case.snapshot.stages[suspect.index];
    let mut parts = vec![time(case, suspect.index)];
    parts.extend(queue(case, suspect.index));
    let (before, after) = neighbours(case.snapshot, suspect.index);
    if let Some((waits, name)) = suspect.before.zip(names(case, &before)).filter(|(waits, _)| *waits >= 0.01) {
        parts.push(format!("{name} before it {} {} for room", wait(before.len()), percent(waits)));
    }
    if let Some((waits, name)) = suspect.after.zip(names(case, &after)).filter(|(waits, _)| *waits >= 0.01) {
        parts.push(format!("{name} after it {} {} for input", wait(after.len()), percent(waits)));
    }
    let mut because = parts.join(", ");
    if let Some(more) = cause(case, suspect.index, resource) {
        because.push_str("; ");
        because.push_str(&more);
    }
    Bottleneck { stage: stage.id.clone(), resource: resource.to_owned(), because }
}

/// The memory budget, by who waits for it.
pub(super) fn memory(case: &Case<'_>, index: usize) -> Bottleneck {
    let (stage, shares, snapshot) = (&case.snapshot.stages[index], &case.shares[index], case.snapshot);
    let mib = |bytes: u64| format!("{:.0}MiB", bytes as f64 / f64::from(1 << 20));
    let because = format!(
        "{} waits {} of the time for memory, and no stage is busy all the time; {} of {} are in flight",
        stage.id,
        percent(shares.held),
        mib(snapshot.memory_used),
        mib(snapshot.memory_budget)
    );
    Bottleneck { stage: stage.id.clone(), resource: "memory".into(), because }
}

/// One document that everything waits for.
pub(super) fn document(case: &Case<'_>, seconds: f64, index: usize) -> Bottleneck {
    let stage = &case.snapshot.stages[index];
    let document = stage.hands.first().map(|hand| hand.document.as_str()).unwrap_or_default();
    let because = format!(
        "`{document}` has been in the hands of one worker for {seconds:.0}s, where 95 of 100 calls take {}; nothing else \
         goes on",
        time_of(stage.service_ms.p95 / 1000.0)
    );
    Bottleneck { stage: stage.id.clone(), resource: "document".into(), because }
}

fn time(case: &Case<'_>, index: usize) -> String {
    let (stage, shares) = (&case.snapshot.stages[index], &case.shares[index]);
    let mut text = if is_source(stage) {
        format!("listing takes {} of the time", percent(shares.busy))
    } else {
        format!("{} busy {} of the time", workers(stage), percent(shares.busy))
    };
    if shares.held >= 0.01 {
        let by = match shares.held_by.as_str() {
            "provider" => " by the model service",
            "cpu" => " until a CPU is free",
            "memory" => " until memory is free",
            "retry" => " until another attempt",
            _ => "",
        };
        text.push_str(&format!(" and held {}{by}", percent(shares.held)));
    }
    text
}

fn queue(case: &Case<'_>, index: usize) -> Option<String> {
    let queue = &case.snapshot.stages[index].queue;
    let held = case.shares[index].fill * queue.capacity as f64;
    let average = if case.now { "" } else { " on average" };
    (queue.capacity > 0).then(|| format!("its queue holds {held:.0} of {}{average}", queue.capacity))
}

fn names(case: &Case<'_>, of: &[usize]) -> Option<String> {
    let names: Vec<&str> = of.iter().map(|index| case.snapshot.stages[*index].id.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

fn wait(many: usize) -> &'static str {
    if many == 1 { "waits" } else { "wait" }
}

/// What is known of the scarce thing itself.
fn cause(case: &Case<'_>, index: usize, resource: &str) -> Option<String> {
    let (snapshot, stage) = (case.snapshot, &case.snapshot.stages[index]);
    match resource {
        "cpu" if snapshot.host.cpus > 0.0 => {
            Some(format!("{:.1} of {:.1} CPUs are in use", case.cpus.max(case.shares[index].cpus), snapshot.host.cpus))
        }
        "width" if stage.width >= stage.max && stage.max > 0 => {
            Some(format!("its width of {} is the most it may have", stage.width))
        }
        "sink" => Some("it writes one batch at a time".to_owned()),
        "source" => Some("every stage waits for documents".to_owned()),
        "provider" => {
            let service = snapshot.services.get(&stage.service)?;
            let refused: u64 =
                ["rate_limited", "overloaded"].iter().filter_map(|class| service.errors.get(*class)).sum();
            let mut parts = Vec::new();
            if service.breaker == "open" {
                parts.push("it is left alone because it does not answer".to_owned());
            }
            if service.concurrency > 0 {
                parts.push(format!("{} of {} calls at once", service.in_flight, service.concurrency));
            }
            if service.requests_per_minute > 0.0 {
                parts.push(format!("{:.0} requests a minute at most", service.requests_per_minute));
            }
            if refused > 0 {
                parts.push(format!("{refused} refused so far"));
            }
            (!parts.is_empty()).then(|| format!("{}: {}", stage.service, parts.join(", ")))
        }
        _ => None,
    }
}

fn workers(stage: &StageSnapshot) -> String {
    if stage.width == 1 { "its worker is".to_owned() } else { format!("its {} workers are", stage.width) }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share.clamp(0.0, 1.0))
}

fn time_of(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0}ms", seconds * 1000.0) } else { format!("{seconds:.1}s") }
}
