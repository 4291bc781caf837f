//! A digest as Markdown: short enough for a comment under a pull request.

use std::fmt::{self, Write};

use super::super::{count, place, size};
use super::compare::{Comparison, Row};
use super::digest::Digest;
use super::words::{clock, millis, percent, rate, signed, span, whole};
use super::{RecordedRun, verdict};

/// How many changes, failures and slow documents are listed; the HTML report has more.
const LISTED: usize = 10;

/// Prints a digest.
pub(super) fn render(run: &RecordedRun) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = page(&mut text, run);
    text
}

fn page(out: &mut String, recorded: &RecordedRun) -> fmt::Result {
    let run = &recorded.run;
    match &recorded.comparison {
        Some(comparison) => writeln!(out, "### docmill: {}\n", comparison.verdict)?,
        None => writeln!(out, "### docmill: {}\n", verdict::in_short(run))?,
    }
    writeln!(out, "{}\n", run.verdict.headline)?;
    let notes = recorded.comparison.iter().flat_map(|comparison| &comparison.notes);
    let incomplete = Some(&run.incomplete).filter(|text| !text.is_empty());
    for line in run.verdict.findings.iter().chain(&run.verdict.advice).chain(notes).chain(incomplete) {
        writeln!(out, "- {line}")?;
    }
    match (&recorded.comparison, &recorded.vs) {
        (Some(comparison), Some(vs)) => {
            writeln!(out, "\n{}\n", comparison.throughput.words())?;
            compared(out, run, vs, comparison)?;
        }
        _ => totals(out, run)?,
    }
    changes(out, run)?;
    stages(out, recorded)?;
    failures(out, run)?;
    slowest(out, run)?;
    writeln!(out, "\nRun {} of {}, {}, {}.", code(&run.run), code(&run.pipeline), run.started, run.end())?;
    if let Some(vs) = &recorded.vs {
        writeln!(out, "Compared with {} of {}, {}, {}.", code(&vs.run), code(&vs.pipeline), vs.started, vs.end())?;
    }
    Ok(())
}

/// A text of somebody's as code, so that nothing in it is a link, a mention or markup. A `|` would end the cell.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let gap = if longest > 0 || text.is_empty() { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

fn totals(out: &mut String, run: &Digest) -> fmt::Result {
    let totals = &run.totals;
    writeln!(out, "\n| | |\n|---|---:|")?;
    for (name, value) in rows(run) {
        writeln!(out, "| {name} | {value} |")?;
    }
    if totals.cost > 0.0 {
        writeln!(out, "| Cost | {:.2} |", totals.cost)?;
    }
    Ok(())
}

/// The figures of a run by themselves.
fn rows(run: &Digest) -> Vec<(&'static str, String)> {
    let (totals, documents) = (&run.totals, &run.totals.documents);
    let mut rows = vec![
        ("Documents a second", rate(totals.documents_per_second)),
        ("Time", span(run.seconds)),
        ("Documents", count(documents.seen)),
    ];
    let states = [
        ("Done", documents.done),
        ("Unchanged", documents.unchanged),
        ("Skipped", documents.skipped),
        ("Failed", documents.failed),
        ("Cancelled", documents.cancelled),
        ("Unfinished", documents.unfinished),
    ];
    rows.extend(states.into_iter().filter(|(_, number)| *number > 0).map(|(name, number)| (name, count(number))));
    rows.extend([
        ("Chunks", count(totals.chunks)),
        ("Tokens", count(totals.tokens)),
        ("Document, median", millis(totals.document_ms.p50)),
        ("Document, 95 of 100", millis(totals.document_ms.p95)),
        ("CPU time", span(totals.cpu_seconds)),
        ("Peak memory", size(totals.peak_rss)),
        ("Peak in flight", format!("{} of {}", size(totals.memory_peak), size(totals.memory_budget))),
    ]);
    rows
}

fn compared(out: &mut String, run: &Digest, vs: &Digest, comparison: &Comparison) -> fmt::Result {
    writeln!(out, "| | {} | {} | |\n|---|---:|---:|---:|", code(&vs.run), code(&run.run))?;
    for row in &comparison.rows {
        let change = row.change.map_or_else(|| "–".to_owned(), signed);
        writeln!(out, "| {} | {} | {} | {change} |", row.name, figure(row, row.vs), figure(row, row.run))?;
    }
    Ok(())
}

/// A figure of a row with its unit.
pub(super) fn figure(row: &Row, value: f64) -> String {
    match row.unit {
        "per_second" => rate(value),
        "seconds" => span(value),
        "ms" => millis(value),
        "bytes" => size(whole(value)),
        "cost" => format!("{value:.2}"),
        _ => count(whole(value)),
    }
}

fn changes(out: &mut String, run: &Digest) -> fmt::Result {
    if run.changes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| At | Width | By | Brought |\n|---|---|---|---|")?;
    for change in run.changes.iter().take(LISTED) {
        let (stage, outcome) = (code(&change.stage), change.outcome());
        let (at, from, to, by) = (clock(change.at), change.from, change.to, code(&change.by));
        writeln!(out, "| {at} | {stage} {from} → {to} | {by} | {outcome} |")?;
    }
    more(out, run.changes.len(), "changes")
}

fn stages(out: &mut String, recorded: &RecordedRun) -> fmt::Result {
    let with = recorded.comparison.as_ref();
    writeln!(out, "\n| Stage | Width | Busy | Held | Blocked | Starved | Queue | p50 | p95 | Failed |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for stage in &recorded.run.stages {
        let other = with.and_then(|comparison| comparison.stages.iter().find(|row| row.id == stage.id));
        let was = other.and_then(|row| row.width.1).filter(|width| *width != stage.width);
        let width = was.map_or_else(|| stage.width.to_string(), |was| format!("{was} → {}", stage.width));
        let change =
            other.and_then(|row| row.change).map_or_else(String::new, |change| format!(" ({})", signed(change)));
        let shares = stage.shares;
        let [busy, held, blocked, starved] = [shares.busy, shares.held, shares.blocked, shares.starved].map(percent);
        let queue = stage.fill().map_or_else(|| "–".to_owned(), percent);
        let (p50, p95) = (millis(stage.service_ms.p50), millis(stage.service_ms.p95));
        let (id, failed) = (code(&stage.id), count(stage.failed));
        writeln!(
            out,
            "| {id} | {width} | {busy} | {held} | {blocked} | {starved} | {queue} | {p50}{change} | {p95} | {failed} |"
        )?;
    }
    Ok(())
}

fn failures(out: &mut String, run: &Digest) -> fmt::Result {
    if run.failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| Failed in | Class | Documents | For example |\n|---|---|---:|---|")?;
    for group in run.failures.iter().take(LISTED) {
        let example = group.examples.first();
        let example =
            example.map_or_else(String::new, |one| format!("{}: {}", code(&place(&one.document)), code(&one.error)));
        let documents = count(group.documents);
        writeln!(out, "| {} | {} | {documents} | {example} |", code(&group.stage), code(&group.class))?;
    }
    more(out, run.failures.len(), "kinds of failure")
}

fn slowest(out: &mut String, run: &Digest) -> fmt::Result {
    if run.slowest.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n<details><summary>Slowest documents</summary>\n")?;
    writeln!(out, "| Time | Chunks | Memory | Document |\n|---:|---:|---:|---|")?;
    for slow in run.slowest.iter().take(LISTED) {
        let (time, chunks, bytes) = (span(slow.seconds), count(slow.chunks), size(slow.bytes));
        writeln!(out, "| {time} | {chunks} | {bytes} | {} |", code(&place(&slow.document)))?;
    }
    writeln!(out, "\n</details>")
}

fn more(out: &mut String, all: usize, what: &str) -> fmt::Result {
    if all > LISTED { writeln!(out, "\n… and {} more {what}.", all - LISTED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn nothing_of_a_document_is_markup() {
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("@everyone <b>"), "`@everyone <b>`");
        assert_eq!(code("a``b"), "``` a``b ```");
        assert_eq!(code(""), "`  `");
    }
}
