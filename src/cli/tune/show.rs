//! A projection in words.

use std::fmt::Write;

use docmill_api::units::Size;

use super::super::pipeline_args::columns;
use crate::report::{count, printable};
use crate::tune::Bottleneck;
use crate::tune::project::{Check, Footprint, Interval, ProjectedStage, Projection, Scaled};

/// A text of several lines, each harmless to a terminal.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// The whole projection.
pub(super) fn projection(told: &Projection) -> String {
    let mut text = String::new();
    let mut line = |one: String| text.push_str(&(printable(one.trim_end()) + "\n"));
    line(format!("run {} of {}: {}", told.run, told.pipeline, looked_at(&told.check)));
    line(checked(&told.check));
    line(String::new());
    line(asked(told));
    line(format!("  {} documents/s", range(told.documents_per_second, rate)));
    if let Some((hours, documents)) = told.hours.zip(told.target.documents) {
        line(format!("  {} for {} documents", range(hours, span), count(documents)));
    }
    let each = if told.target.machines > 1 { " each" } else { "" };
    line(format!("  {:.1} of {} CPUs in use{each}", told.cpus_used, short(told.target.cores)));
    line(format!("  {}{each}", memory(&told.memory)));
    line(format!("  limit: {}", limit(&told.limit)));
    if let Some(next) = &told.next {
        let then = rate(next.documents_per_second);
        line(format!("  with eight times as much of that: {then} documents/s; limit: {}", limit(&next.limit)));
    }
    text.push('\n');
    text.push_str(&stages(&told.stages));
    if !told.machines.is_empty() {
        text.push('\n');
        text.push_str(&scaled(&told.machines));
    }
    text.push_str("\nAssumed:\n");
    for assumption in &told.assumptions {
        text.push_str(&format!("- {}\n", printable(assumption)));
    }
    text
}

fn looked_at(check: &Check) -> String {
    let part = if check.steady { "of its steady part" } else { "in all" };
    let memory = if check.memory > 0 { format!(", {}", Size(check.memory)) } else { String::new() };
    format!(
        "{} documents in {:.1}s {part}, on {} CPUs{memory}",
        count(check.documents),
        check.seconds,
        short(check.cores)
    )
}

fn checked(check: &Check) -> String {
    format!(
        "the model gives {:.1} documents/s where the run did {:.1} ({:+.1} %), and {:.1} CPUs in use where it had {:.1}",
        check.model,
        check.run,
        100.0 * check.difference,
        check.model_cpus,
        check.run_cpus
    )
}

fn asked(told: &Projection) -> String {
    let target = &told.target;
    let mut text = match target.machines {
        1 => "one machine".to_owned(),
        many => format!("{many} machines"),
    };
    let _ = write!(text, " of {} CPUs", short(target.cores));
    if target.memory > 0 {
        let _ = write!(text, " and {}", Size(target.memory));
    }
    text + ":"
}

fn range(interval: Interval, as_text: impl Fn(f64) -> String) -> String {
    format!("{} ({} to {})", as_text(interval.mean), as_text(interval.low), as_text(interval.high))
}

/// Three figures that count.
fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 100.0 => count(rate.round() as u64),
        rate if rate >= 10.0 => format!("{rate:.1}"),
        rate => format!("{rate:.2}"),
    }
}

/// Hours, as one speaks of them.
fn span(hours: f64) -> String {
    match hours {
        hours if hours >= 72.0 => format!("{} days", rate(hours / 24.0)),
        hours if hours >= 1.0 => format!("{hours:.1} hours"),
        hours => format!("{:.1} minutes", hours * 60.0),
    }
}

fn short(number: f64) -> String {
    if number.fract().abs() < 1e-9 { format!("{number:.0}") } else { format!("{number:.1}") }
}

fn memory(memory: &Footprint) -> String {
    let bytes = |bytes: f64| Size(bytes.round() as u64).to_string();
    let mut text = format!("{} of memory", bytes(memory.process + memory.children));
    if memory.children > 0.0 {
        let _ = write!(text, ", {} of it in child processes", bytes(memory.children));
    }
    let _ = write!(text, "; {} of documents in flight", bytes(memory.in_flight));
    if memory.budget > 0 {
        let _ = write!(text, " of {} at most", Size(memory.budget));
    }
    text
}

pub(super) fn limit(limit: &Bottleneck) -> String {
    match (limit.stage.as_str(), limit.resource.as_str()) {
        ("", "") => "none found".to_owned(),
        ("", resource) => format!("{resource}: {}", limit.because),
        (stage, resource) => format!("{stage} ({resource}): {}", limit.because),
    }
}

fn stages(stages: &[ProjectedStage]) -> String {
    let head = ["STAGE", "WIDTH", "THERE", "BUSY", "MODEL", "THERE"].map(str::to_owned).to_vec();
    let percent = |share: f64| format!("{:.0}%", 100.0 * share);
    let rows = stages.iter().map(|stage| {
        let (from, to) = (stage.from.to_string(), stage.to.to_string());
        let busy = [stage.busy_run, stage.busy_model, stage.busy].map(percent);
        [vec![printable(&stage.stage), from, to], busy.to_vec()].concat()
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn scaled(rows: &[Scaled]) -> String {
    let head = ["MACHINES", "DOCUMENTS/S", "TIMES", "LIMIT"].map(str::to_owned).to_vec();
    let rows = rows.iter().map(|row| {
        let limit = &row.limit;
        let limit = if limit.stage.is_empty() {
            "-".to_owned()
        } else {
            format!("{} ({})", printable(&limit.stage), limit.resource)
        };
        let rates = range(row.documents_per_second, rate);
        vec![row.machines.to_string(), rates, format!("{:.2}", row.times), limit]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::project::{Target, WithoutLimit};

    fn told() -> Projection {
        let limit = |stage: &str, resource: &str| Bottleneck {
            stage: stage.into(),
            resource: resource.into(),
            because: "its worker is busy 99% of the time".into(),
        };
        let interval = |mean: f64| Interval { mean, low: 0.8 * mean, high: 1.2 * mean };
        let row = |machines: usize, mean: f64| Scaled {
            machines,
            documents_per_second: interval(mean),
            times: mean / 1640.0,
            limit: limit("store", "sink"),
        };
        Projection {
            version: 1,
            run: "20260301T101502113-7".into(),
            pipeline: "papers\u{1b}[2J".into(),
            check: Check {
                cores: 2.0,
                memory: 8 << 30,
                documents: 2412,
                seconds: 34.3,
                steady: true,
                run: 70.3,
                model: 72.1,
                difference: 0.0256,
                run_cpus: 1.9,
                model_cpus: 1.94,
                limit: limit("parse", "cpu"),
            },
            target: Target { cores: 64.0, memory: 256 << 30, machines: 2, documents: Some(1_000_000_000) },
            documents_per_second: interval(1702.4),
            hours: Some(interval(163.2)),
            cpus_used: 41.3,
            memory: Footprint { in_flight: 3e8, budget: 16 << 30, process: 1e9, children: 4e9 },
            stages: vec![ProjectedStage {
                stage: "parse".into(),
                from: 2,
                to: 65,
                busy_run: 0.98,
                busy_model: 0.97,
                busy: 0.6,
            }],
            limit: limit("store", "sink"),
            next: Some(WithoutLimit { documents_per_second: 4410.0, limit: limit("parse", "cpu") }),
            machines: vec![row(1, 1640.0), row(2, 1702.4)],
            assumptions: vec!["disk and network do not become the limit".into()],
            ..Projection::default()
        }
    }

    #[test]
    fn a_projection_in_words() {
        insta::assert_snapshot!(projection(&told()), @r#"
        run 20260301T101502113-7 of papers�[2J: 2,412 documents in 34.3s of its steady part, on 2 CPUs, 8GiB
        the model gives 72.1 documents/s where the run did 70.3 (+2.6 %), and 1.9 CPUs in use where it had 1.9

        2 machines of 64 CPUs and 256GiB:
          1,702 (1,362 to 2,043) documents/s
          6.80 days (5.44 days to 8.16 days) for 1,000,000,000 documents
          41.3 of 64 CPUs in use each
          4.7GiB of memory, 3.7GiB of it in child processes; 286.1MiB of documents in flight of 16GiB at most each
          limit: store (sink): its worker is busy 99% of the time
          with eight times as much of that: 4,410 documents/s; limit: parse (cpu): its worker is busy 99% of the time

        STAGE  WIDTH  THERE  BUSY  MODEL  THERE
        parse  2      65     98%   97%    60%

        MACHINES  DOCUMENTS/S             TIMES  LIMIT
        1         1,640 (1,312 to 1,968)  1.00   store (sink)
        2         1,702 (1,362 to 2,043)  1.04   store (sink)

        Assumed:
        - disk and network do not become the limit
        "#);
    }

    #[test]
    fn a_projection_for_programs() {
        let json = serde_json::to_value(told()).expect("it is JSON");
        let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
        insta::assert_snapshot!(format!("{keys:?}"), @r#"["version", "run", "pipeline", "check", "target", "documents_per_second", "hours", "cpus_used", "memory", "stages", "widths", "limit", "next", "machines", "assumptions", "warnings"]"#);
        assert_eq!(json["limit"]["resource"], "sink");
        assert_eq!(json["machines"][1]["documents_per_second"]["mean"], 1702.4);
    }
}
