//! A digest as one HTML file: no script that runs, no font, image or style of elsewhere, so that it opens anywhere and
//! stays what it is. Charts are inline SVG; each says in words what it draws. The digest itself is in the page as JSON.

mod charts;
mod escape;
mod stages;
mod svg;
mod tables;

use super::RecordedRun;
use super::digest::Digest;
use super::verdict::in_short;
use super::words::{documents, millis, percent, rate, span};
use crate::report::{count, size};
use escape::{escape, json, sentence};

const STYLE: &str = include_str!("style.css");

/// Nothing is asked of any network, and nothing runs. What is inline is ours.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Patterns that tell areas apart where colours do not, as on paper. Drawn once, used by all charts.
const PATTERNS: &str = concat!(
    r#"<svg class="patterns" aria-hidden="true" width="0" height="0"><defs>"#,
    r#"<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">"#,
    r#"<path class="ink" d="M0 0V6"/></pattern>"#,
    r#"<pattern id="lines" width="5" height="5" patternUnits="userSpaceOnUse"><path class="ink" d="M0 2.5H5"/></pattern>"#,
    r#"<pattern id="dots" width="7" height="7" patternUnits="userSpaceOnUse"><circle class="dot" cx="2" cy="2" r="0.9"/>"#,
    "</pattern></defs></svg>"
);

/// Prints a digest.
pub(super) fn render(recorded: &RecordedRun) -> String {
    let run = &recorded.run;
    let title = escape(&format!("docmill: run {} of {}", run.run, run.pipeline));
    let sections = sections(recorded);
    let links: String = sections
        .iter()
        .map(|section| format!(r##"<li><a href="#{}">{}</a></li>"##, section.id, escape(section.title)))
        .collect();
    let parts: String = sections.iter().map(Section::html).collect();
    let data = json(&serde_json::to_string(recorded).expect("a digest is plain data"));
    let head = head(recorded);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
{PATTERNS}
{head}
<nav aria-label="Parts of this report"><ul>{links}</ul></nav>
<main>
{parts}</main>
<footer><p>Written by docmill from a recording of the run. Shares are of workers' time: <b>busy</b> works, <b>held</b> waits for what the engine grants (CPU, memory, a retry, a model service), <b>blocked</b> waits for room behind it, <b>starved</b> waits for input. The figures are in this file as JSON as well.</p></footer>
<script type="application/json" id="digest">{data}</script>
</body>
</html>
"#
    )
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    html: String,
}

impl Section {
    fn html(&self) -> String {
        let (id, title, html) = (self.id, escape(self.title), &self.html);
        format!("<section id=\"{id}\" aria-labelledby=\"{id}-h\"><h2 id=\"{id}-h\">{title}</h2>\n{html}\n</section>\n")
    }
}

/// The parts that a run has something to say in.
fn sections(recorded: &RecordedRun) -> Vec<Section> {
    let run = &recorded.run;
    let section = |id, title, html| Section { id, title, html };
    let mut sections = Vec::new();
    if recorded.comparison.is_some() {
        sections.push(section("comparison", "Compared", tables::comparison(recorded)));
    }
    sections.push(section("speed", "Throughput", throughput(recorded)));
    if !run.changes.is_empty() {
        sections.push(section("changes", "Changes of widths", changes(run)));
    }
    if !run.stages.is_empty() {
        let shares = figure(&legend(), &stages::shares(run));
        sections.push(section("stages", "Stages", format!("{shares}{}", tables::stages(run))));
        sections.push(section("queue", "Queues", queues(run)));
        sections.push(section("times", "Service times", tables::service_times(run)));
    }
    sections.push(section("machine", "Memory and CPU", machine(run)));
    if !run.slowest.is_empty() {
        sections.push(section("slow", "Slow documents", tables::slowest(run)));
    }
    if !run.failures.is_empty() {
        sections.push(section("failed", "Failures", failures(run)));
    }
    if !run.skips.is_empty() {
        sections.push(section("skipped", "Skipped", tables::skips(run)));
    }
    if !run.services.is_empty() {
        sections.push(section("services", "Model services", tables::services(run)));
    }
    if !run.events.is_empty() {
        sections.push(section("events", "Events", tables::events(run)));
    }
    sections
}

/// What the run was, what it comes to, and its figures.
fn head(recorded: &RecordedRun) -> String {
    let run = &recorded.run;
    let about = format!(
        "Run <code>{}</code> of <code>{}</code>, started {}, {}.",
        escape(&run.run),
        escape(&run.pipeline),
        escape(&run.started),
        run.end()
    );
    let verdict = &run.verdict;
    let mut told = String::new();
    if let (Some(comparison), Some(vs)) = (&recorded.comparison, &recorded.vs) {
        told.push_str(&format!(
            "<p class=\"headline\">Compared with <code>{}</code>: {}.</p><p>{}.</p>{}",
            escape(&vs.run),
            escape(&comparison.verdict),
            escape(&comparison.throughput.words()),
            list(&comparison.notes)
        ));
    }
    told.push_str(&format!("<p class=\"headline\">{}</p>{}", sentence(&verdict.headline), list(&verdict.findings)));
    if !verdict.advice.is_empty() {
        told.push_str(&format!("<p class=\"advice\"><b>What to do.</b> {}</p>", sentence(&verdict.advice.join(" "))));
    }
    if !run.incomplete.is_empty() {
        told.push_str(&format!("<p class=\"warning\"><b>Incomplete.</b> {}</p>", sentence(&run.incomplete)));
    }
    let (short, tiles) = (escape(&in_short(run)), tiles(run));
    format!(
        "<header><h1>{short}</h1><p class=\"quiet\">{about}</p><div class=\"verdict\">{told}</div><dl class=\"tiles\">{tiles}</dl></header>"
    )
}

fn list(sentences: &[String]) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    let items: String = sentences.iter().map(|one| format!("<li>{}</li>", sentence(one))).collect();
    format!("<ul>{items}</ul>")
}

fn tiles(run: &Digest) -> String {
    let (totals, counts) = (&run.totals, &run.totals.documents);
    let mut states = vec![format!("{} done", count(counts.done))];
    let others = [
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
        (counts.unfinished, "unfinished"),
    ];
    states.extend(others.iter().filter(|(many, _)| *many > 0).map(|(many, state)| format!("{} {state}", count(*many))));
    let share = percent(super::words::float(counts.failed) / super::words::float(counts.seen.max(1)));
    let tiles = [
        (
            "Documents a second",
            rate(totals.documents_per_second),
            format!("{} in {}", documents(counts.ended()), span(run.seconds)),
        ),
        ("Documents", count(counts.seen), states.join(", ")),
        ("Failed", count(counts.failed), format!("{share} of all")),
        (
            "A document takes",
            millis(totals.document_ms.p50),
            format!("95 of 100 under {}", millis(totals.document_ms.p95)),
        ),
        ("Chunks", count(totals.chunks), format!("{} tokens", count(totals.tokens))),
        ("CPU time", span(totals.cpu_seconds), format!("of {:.1} CPUs", totals.cpus)),
        ("Peak memory", size(totals.peak_rss), format!("{} in flight", size(totals.memory_peak))),
    ];
    let cost = (totals.cost > 0.0).then(|| ("Cost", format!("{:.2}", totals.cost), "of model services".to_owned()));
    let tile = |(name, value, more): (&str, String, String)| {
        format!("<div><dt>{name}</dt><dd><b>{}</b><span>{}</span></dd></div>", escape(&value), escape(&more))
    };
    tiles.into_iter().chain(cost).map(tile).collect()
}

/// A chart with what its colours mean. Where it is wider than the window it can be moved, by keys as well.
fn figure(legend: &str, chart: &str) -> String {
    format!(
        r#"<figure><figcaption>{legend}</figcaption><div class="wide" tabindex="0" role="group" aria-label="Chart">{chart}</div></figure>"#
    )
}

fn key(class: &str, name: &str) -> String {
    format!(r#"<span class="key"><svg aria-hidden="true" viewBox="0 0 18 12">{class}</svg>{name}</span>"#)
}

fn line_key(class: &str, name: &str) -> String {
    key(&format!(r#"<path class="line {class}" d="M0 6H18"/>"#), name)
}

/// What the bands of the stages' charts mean.
fn legend() -> String {
    let band = |(name, class): &(&str, &str)| {
        let pattern = if *class == "busy" {
            String::new()
        } else {
            format!(r#"<rect class="pattern-{class}" width="18" height="12"/>"#)
        };
        key(&format!(r#"<rect class="{class}" width="18" height="12"/>{pattern}"#), name)
    };
    stages::DOING.iter().map(band).collect()
}

fn throughput(recorded: &RecordedRun) -> String {
    let mut legend = line_key("line-1", "documents a second");
    if let Some(vs) = &recorded.vs {
        legend.push_str(&line_key("line-2 dashed", &format!("the same of run {}", escape(&vs.run))));
    }
    if !recorded.run.changes.is_empty() {
        legend.push_str(r#"<span class="key">numbers mark changes of widths</span>"#);
    }
    let phases = tables::table(
        "What bounded throughput when",
        &["Time", "Stage", "What was scarce"],
        recorded.run.verdict.phases.iter().map(|phase| {
            let (from, to) = (super::words::clock(phase.from), super::words::clock(phase.to));
            let stage = if phase.stage.is_empty() { "none" } else { &phase.stage };
            vec![tables::text(&format!("{from} to {to}")), tables::text(stage), tables::text(&phase.resource)]
        }),
    );
    format!(
        "{}<details><summary>What bounded throughput when</summary>{phases}</details>",
        figure(&legend, &charts::throughput(recorded))
    )
}

fn changes(run: &Digest) -> String {
    format!(
        "<p>Documents a second up to a minute before each change and up to a minute after it, with the interval that the \
         difference lies in 95 times of 100. Documents of different sizes come at different times: that is in it too.</p>{}",
        tables::changes(run)
    )
}

fn queues(run: &Digest) -> String {
    let shades: String = (0..10)
        .map(|shade| format!(r#"<rect class="heat-{shade}" x="{}" width="6" height="12"/>"#, shade * 6))
        .collect();
    let legend = format!(
        r#"<span class="key">empty <svg class="shades" aria-hidden="true" viewBox="0 0 60 12">{shades}</svg> full</span><span class="key">at the right: mean fill, and what the queue can hold in records</span>"#
    );
    figure(&legend, &stages::queues(run))
}

fn machine(run: &Digest) -> String {
    let memory =
        format!("{}{}", line_key("line-1", "documents in flight"), line_key("line-2 dashed", "process and children"));
    format!(
        r#"<div class="pair">{}{}</div><p class="quiet">Budget for documents in flight: {}. Memory that may be used: {}.</p>"#,
        figure(&memory, &charts::memory(run)),
        figure(&line_key("line-1", "CPUs in use"), &charts::cpu(run)),
        size(run.totals.memory_budget),
        if run.totals.memory_limit > 0 { size(run.totals.memory_limit) } else { "not known".to_owned() }
    )
}

fn failures(run: &Digest) -> String {
    let known: u64 = run.failures.iter().map(|group| group.documents).sum();
    let all = run.totals.documents.failed;
    let note = if known < all {
        format!("<p>{} of {} failures are known one by one.</p>", count(known), count(all))
    } else {
        String::new()
    };
    format!("{note}{}", tables::failures(run))
}
