//! The tables of the page. Each has a caption and heads; figures are aligned, and all texts escaped.

use super::super::super::{count, place, size};
use super::super::RecordedRun;
use super::super::compare::StageRow;
use super::super::digest::Digest;
use super::super::markdown::figure;
use super::super::stages::Shares;
use super::super::words::{clock, float, millis, percent, rate, signed, span};
use super::escape::{escape, sentence};
use super::stages::bar;
use crate::monitor::EventKind;

/// A cell: its text, as HTML, and how it is laid out.
pub(super) struct Cell(String, &'static str);

/// A text of anybody's.
pub(super) fn text(text: &str) -> Cell {
    Cell(escape(text), "")
}

/// A name or an address of anybody's.
fn code(text: &str) -> Cell {
    Cell(format!("<code>{}</code>", escape(text)), "")
}

/// A figure.
fn figure_cell(text: impl AsRef<str>) -> Cell {
    Cell(escape(text.as_ref()), r#" class="number""#)
}

/// HTML that was made safe already.
fn ready(html: String) -> Cell {
    Cell(html, "")
}

/// A table. The first cell of a row is its head; `heads` that begin with `#` stand over figures.
pub(super) fn table(caption: &str, heads: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let label = escape(caption);
    let mut html = format!(
        r#"<div class="wide" role="region" aria-label="{label}" tabindex="0"><table><caption>{label}</caption><thead><tr>"#
    );
    for head in heads {
        match head.strip_prefix('#') {
            Some(head) => html.push_str(&format!(r#"<th scope="col" class="number">{}</th>"#, escape(head))),
            None => html.push_str(&format!(r#"<th scope="col">{}</th>"#, escape(head))),
        }
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (index, Cell(content, layout)) in row.into_iter().enumerate() {
            match index {
                0 => html.push_str(&format!(r#"<th scope="row"{layout}>{content}</th>"#)),
                _ => html.push_str(&format!("<td{layout}>{content}</td>")),
            }
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

/// Both runs' figures.
pub(super) fn comparison(recorded: &RecordedRun) -> String {
    let (Some(comparison), Some(vs)) = (&recorded.comparison, &recorded.vs) else { return String::new() };
    let change = |change: Option<f64>| figure_cell(change.map_or_else(|| "–".to_owned(), signed));
    let rows = comparison.rows.iter().map(|row| {
        let (run, vs) = (figure(row, row.run), figure(row, row.vs));
        vec![text(row.name), figure_cell(vs), figure_cell(run), change(row.change)]
    });
    let heads = ["", &format!("#other run {}", vs.run), &format!("#this run {}", recorded.run.run), "#difference"];
    let figures = table("Both runs", &heads, rows);
    let rows = comparison.stages.iter().map(|row| {
        let both = |of: (Option<f64>, Option<f64>)| {
            [of.1, of.0].map(|ms| figure_cell(ms.map_or_else(|| "–".to_owned(), millis)))
        };
        let ([p50_vs, p50], [p95_vs, p95]) = (both(row.p50_ms), both(row.p95_ms));
        vec![text(&row.id), widths(row), p50_vs, p50, change(row.change), p95_vs, p95, busy(row)]
    });
    let heads = ["Stage", "#width", "#p50, other", "#p50", "#difference", "#p95, other", "#p95", "#busy"];
    format!("{figures}{}", table("Stages of both runs: width, service times, share of time at work", &heads, rows))
}

fn widths(row: &StageRow) -> Cell {
    let word = |width: Option<usize>| width.map_or_else(|| "–".to_owned(), |width| width.to_string());
    match row.width {
        (run, vs) if run == vs => figure_cell(word(run)),
        (run, vs) => figure_cell(format!("{} → {}", word(vs), word(run))),
    }
}

fn busy(row: &StageRow) -> Cell {
    let word = |shares: Option<Shares>| shares.map_or_else(|| "–".to_owned(), |shares| percent(shares.busy));
    figure_cell(format!("{} → {}", word(row.shares.1), word(row.shares.0)))
}

/// What each change of a width brought.
pub(super) fn changes(run: &Digest) -> String {
    let rows = run.changes.iter().map(|change| {
        let who = match change.why.as_str() {
            "" => escape(&change.by),
            why => format!("{}: {}", escape(&change.by), escape(why)),
        };
        let mut brought = escape(&change.outcome());
        for advice in &change.advice {
            brought.push_str(&format!(r#"<br><span class="quiet">{}</span>"#, escape(advice)));
        }
        vec![
            figure_cell(change.number.to_string()),
            figure_cell(clock(change.at)),
            text(&change.stage),
            figure_cell(format!("{} → {}", change.from, change.to)),
            ready(who),
            ready(brought),
        ]
    });
    table("Each change, and what it brought", &["#No.", "#at", "Stage", "#width", "Who, why", "What it brought"], rows)
}

/// What each stage did.
pub(super) fn stages(run: &Digest) -> String {
    let rows = run.stages.iter().map(|stage| {
        let shares = stage.shares;
        let held = match stage.most_held_by() {
            Some(cause) if shares.held >= 0.005 => format!("{} ({cause})", percent(shares.held)),
            _ => percent(shares.held),
        };
        let width = match (stage.width_before, stage.width) {
            (before, after) if before == after => after.to_string(),
            (before, after) => format!("{before} → {after}"),
        };
        vec![
            text(&stage.id),
            text(&format!("{}, {}", stage.kind, stage.tier)),
            figure_cell(width),
            figure_cell(count(stage.input)),
            figure_cell(count(stage.output)),
            ready(bar(stage)),
            figure_cell(percent(shares.busy)),
            figure_cell(held),
            figure_cell(percent(shares.blocked)),
            figure_cell(percent(shares.starved)),
        ]
    });
    let heads = ["Stage", "Kind", "#width", "#in", "#out", "Time", "#busy", "#held", "#blocked", "#starved"];
    table("Stages, and how their workers spent their time", &heads, rows)
}

/// How long calls take, and what went wrong in them.
pub(super) fn service_times(run: &Digest) -> String {
    let rows = run.stages.iter().map(|stage| {
        let ms = stage.service_ms;
        let workers = stage.workers;
        let ends = workers.crashed + workers.timed_out + workers.out_of_memory;
        let [p50, p95, p99, max] = [ms.p50, ms.p95, ms.p99, ms.max].map(|ms| figure_cell(millis(ms)));
        let [calls, failed, retries, timeouts, ends] =
            [stage.calls, stage.failed, stage.retries, stage.timeouts, ends].map(|number| figure_cell(count(number)));
        let cpu = figure_cell(span(stage.cpu_seconds));
        vec![text(&stage.id), calls, p50, p95, p99, max, cpu, failed, retries, timeouts, ends]
    });
    let heads = [
        "Stage",
        "#calls",
        "#p50",
        "#p95",
        "#p99",
        "#slowest",
        "#CPU time",
        "#failed",
        "#retries",
        "#timeouts",
        "#children lost",
    ];
    table("How long one call takes", &heads, rows)
}

/// The documents that took longest.
pub(super) fn slowest(run: &Digest) -> String {
    let rows = run.slowest.iter().map(|slow| {
        vec![
            figure_cell(span(slow.seconds)),
            figure_cell(count(slow.chunks)),
            figure_cell(size(slow.bytes)),
            code(&place(&slow.document)),
        ]
    });
    table("Slowest documents", &["#from admission to end", "#chunks", "#memory", "Document"], rows)
}

/// What failed, with examples.
pub(super) fn failures(run: &Digest) -> String {
    let rows = run.failures.iter().map(|group| {
        let example = |one: &super::super::Example| {
            let tried = if one.attempts > 1 { format!(" (tried {}×)", one.attempts) } else { String::new() };
            format!("<li><code>{}</code>: {}{tried}</li>", escape(&place(&one.document)), escape(&one.error))
        };
        let examples: String = group.examples.iter().map(example).collect();
        vec![
            text(&group.stage),
            text(&group.class),
            figure_cell(count(group.documents)),
            ready(format!("<ul>{examples}</ul>")),
        ]
    });
    table("Documents that failed", &["Stage", "Class", "#documents", "For example"], rows)
}

/// What was skipped.
pub(super) fn skips(run: &Digest) -> String {
    let rows = run
        .skips
        .iter()
        .map(|group| vec![text(&group.stage), figure_cell(count(group.documents)), text(&group.reason)]);
    table("Documents that were skipped", &["Stage", "#documents", "Reason"], rows)
}

/// Model services.
pub(super) fn services(run: &Digest) -> String {
    let rows = run.services.iter().map(|(name, service)| {
        let errors: Vec<String> = service.errors.iter().map(|(class, times)| format!("{times} {class}")).collect();
        let limits = [
            (service.concurrency > 0).then(|| format!("{} at once", service.concurrency)),
            (service.requests_per_minute > 0.0).then(|| format!("{} a minute", rate(service.requests_per_minute))),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        vec![
            text(name),
            figure_cell(count(service.calls)),
            figure_cell(rate(float(service.calls) / run.seconds.max(0.001))),
            text(if errors.is_empty() { "none".to_owned() } else { errors.join(", ") }.as_str()),
            figure_cell(count(service.tokens)),
            figure_cell(if service.cost > 0.0 { format!("{:.2}", service.cost) } else { "–".to_owned() }),
            text(if limits.is_empty() { "none".to_owned() } else { limits.join(", ") }.as_str()),
            figure_cell(count(service.breaker_opened)),
        ]
    });
    let heads = ["Service", "#calls", "#a second", "Errors", "#tokens", "#cost", "Limits", "#left alone"];
    table("Calls, errors and cost of model services", &heads, rows)
}

/// What happened.
pub(super) fn events(run: &Digest) -> String {
    let kind = |kind: EventKind| match kind {
        EventKind::Width => "width",
        EventKind::Run => "run",
        EventKind::Failure => "failure",
        EventKind::Alert => "alert",
        EventKind::HandOver => "handed over",
        EventKind::Advice => "advice",
        EventKind::Note => "note",
    };
    let rows = run.events.iter().map(|event| {
        let width = event.from.zip(event.to).map(|(from, to)| format!("{from} → {to} "));
        let told = format!("{}{}", width.unwrap_or_default(), event.text);
        vec![figure_cell(clock(event.at)), text(kind(event.kind)), text(&event.stage), text(&event.by), text(&told)]
    });
    let mut html = table("Events, single failures left out", &["#at", "Kind", "Stage", "By", "What"], rows);
    if run.events_left_out > 0 {
        html.push_str(&format!("<p>{}</p>", sentence(&format!("… and {} more.", run.events_left_out))));
    }
    html
}
