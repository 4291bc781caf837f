//! Trials as rows, and what they brought, in words and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::super::width_file::Proposed;
use super::search::NINE_OF_TEN;
use super::show::limit;
use super::trial::Trial;
use super::trials::{Found, Made};
use crate::report::printable;
use crate::tune::Change;

/// Columns but the last, and how wide they are: rows are printed one after another, before the next is known.
const COLUMNS: [(&str, usize); 4] = [("TRIAL", 7), ("DOCUMENTS/S", 25), ("CPUS", 6), ("BOTTLENECK", 24)];

pub(super) fn head() -> String {
    let mut line: String = COLUMNS.iter().map(|(name, width)| format!("{name:<width$}")).collect();
    line.push_str("WIDTHS\n");
    line
}

/// One trial.
pub(super) fn row(number: usize, trial: &Trial, differs: &[Change]) -> String {
    let (rate, half) = (trial.measured.rate, NINE_OF_TEN * trial.measured.error);
    let narrow = &trial.measured.limit;
    let narrow = if narrow.stage.is_empty() {
        "-".to_owned()
    } else {
        format!("{} ({})", printable(&narrow.stage), narrow.resource)
    };
    let cells = [
        number.to_string(),
        format!("{rate:.1} ({:.1} to {:.1})", (rate - half).max(0.0), rate + half),
        format!("{:.1}", trial.cpus),
        narrow,
    ];
    let mut line = String::new();
    for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
        let _ = write!(line, "{cell:<width$}");
        if cell.chars().count() >= width {
            line.push(' ');
        }
    }
    line + &widths(differs) + "\n"
}

fn widths(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "as the pipeline has them".to_owned();
    }
    let all: Vec<String> =
        changes.iter().map(|change| format!("{} {}→{}", printable(&change.stage), change.from, change.to)).collect();
    all.join(", ")
}

/// The table, what bounds throughput, and what would change.
pub(super) fn text(found: &Found, proposed: Option<&Proposed>) -> String {
    let mut text = format!("\n{}\n\n{}", printable(&found.stop), head());
    for (index, made) in found.made.iter().enumerate() {
        text.push_str(&row(index + 1, &made.trial, &found.changes_of(made)));
    }
    let Some(best) = found.made.get(found.best) else { return text };
    let _ = writeln!(text, "\nbest: trial {} ({})", found.best + 1, printable(&best.candidate.why));
    if let Some(first) = found.made.first().filter(|first| found.best > 0 && first.trial.measured.rate > 0.0) {
        let gain = 100.0 * (best.trial.measured.rate / first.trial.measured.rate - 1.0);
        let _ = writeln!(text, "{gain:+.0} % over the pipeline as it is");
    }
    let _ = writeln!(text, "limit: {}", printable(&limit(&best.trial.measured.limit)));
    match proposed {
        None if found.changes().is_empty() => text.push_str("no change is worth making\n"),
        None => {}
        Some(proposed) => {
            let _ = writeln!(text, "\n{}", printable(&proposed.path.display().to_string()));
            for (number, before, after) in &proposed.rewritten.lines {
                if let Some(before) = before {
                    let _ = writeln!(text, "{number:>5} - {}", printable(before));
                }
                let _ = writeln!(text, "{number:>5} + {}", printable(after));
            }
        }
    }
    text
}

/// All of it, for programs.
pub(super) fn json(found: &Found, proposed: Option<&Proposed>, written: bool) -> Value {
    let lines = proposed.map(|proposed| &proposed.rewritten.lines).into_iter().flatten();
    let lines: Vec<Value> =
        lines.map(|(number, before, after)| json!({ "line": number, "before": before, "after": after })).collect();
    json!({
        "version": 1,
        "documents": found.documents,
        "trials": found.made.iter().map(|made| trial(found, made)).collect::<Vec<_>>(),
        "best": found.best,
        "stop": found.stop,
        "limit": found.made.get(found.best).map(|best| &best.trial.measured.limit),
        "changes": found.changes(),
        "lines": lines,
        "written": written,
    })
}

fn trial(found: &Found, made: &Made) -> Value {
    let Made { candidate, trial } = made;
    let (rate, half) = (trial.measured.rate, NINE_OF_TEN * trial.measured.error);
    let widths: serde_json::Map<String, Value> =
        found.stages.iter().zip(&candidate.widths).map(|(stage, width)| (stage.id.clone(), json!(width))).collect();
    json!({
        "widths": widths,
        "why": candidate.why,
        "documents_per_second": { "mean": rate, "low": (rate - half).max(0.0), "high": rate + half },
        "seconds": trial.seconds,
        "documents": trial.documents,
        "cpus": trial.cpus,
        "calls": trial.calls,
        "limit": trial.measured.limit,
    })
}

#[cfg(test)]
mod tests {
    use super::super::search::{Bounds, Candidate, Measured};
    use super::*;
    use crate::tune::Bottleneck;

    fn found() -> Found {
        let made = |rate: f64, embed: usize, why: &str| Made {
            candidate: Candidate { widths: vec![2, embed], why: why.into() },
            trial: Trial {
                measured: Measured {
                    rate,
                    error: 0.61,
                    limit: Bottleneck {
                        stage: "embed".into(),
                        resource: "cpu".into(),
                        because: "its workers are busy 97% of the time".into(),
                    },
                    proposed: Vec::new(),
                },
                seconds: 7.0,
                cpus: 1.93,
                ..Trial::default()
            },
        };
        let stage = |id: &str| Bounds { id: id.into(), start: 2, min: 1, max: 256 };
        Found {
            stages: vec![stage("parse"), stage("embed")],
            made: vec![made(20.0, 2, "as the pipeline has it"), made(30.0, 3, "embed, the bottleneck, wider")],
            best: 1,
            stop: "2 trials in a row brought no more than noise".into(),
            documents: 12,
        }
    }

    #[test]
    fn trials_in_words() {
        let rewritten = crate::config::set_widths("[stages.embed]\nwidth = 2\n", &[("embed".into(), 3)]).expect("good");
        let proposed = Proposed { path: "pipeline.toml".into(), rewritten, before: docmill_api::Digest::of(&[b""]) };
        insta::assert_snapshot!(text(&found(), Some(&proposed)).trim(), @"
        2 trials in a row brought no more than noise

        TRIAL  DOCUMENTS/S              CPUS  BOTTLENECK              WIDTHS
        1      20.0 (19.0 to 21.0)      1.9   embed (cpu)             as the pipeline has them
        2      30.0 (29.0 to 31.0)      1.9   embed (cpu)             embed 2→3

        best: trial 2 (embed, the bottleneck, wider)
        +50 % over the pipeline as it is
        limit: embed (cpu): its workers are busy 97% of the time

        pipeline.toml
            2 - width = 2
            2 + width = 3
        ");
        let mut same = found();
        same.best = 0;
        assert!(text(&same, None).ends_with("no change is worth making\n"));
    }

    #[test]
    fn trials_for_programs() {
        let told = json(&found(), None, false);
        assert_eq!((&told["version"], &told["best"], &told["written"]), (&json!(1), &json!(1), &json!(false)));
        assert_eq!(told["trials"][1]["widths"], json!({ "parse": 2, "embed": 3 }));
        assert_eq!(told["changes"], json!([{ "stage": "embed", "from": 2, "to": 3 }]));
        assert!(told["trials"][0]["documents_per_second"]["low"].as_f64().is_some_and(|low| (low - 19.0).abs() < 0.01));
    }
}
