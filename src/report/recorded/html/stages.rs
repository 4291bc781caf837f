//! The charts that have a row for each stage: how its workers spent their time, and how full its queue was.

use std::fmt::Write;

use super::super::digest::Digest;
use super::super::stages::StageDigest;
use super::super::words::{clock, number, percent, span};
use super::charts::{WIDE, marks};
use super::escape::escape;
use super::svg::Frame;

/// Room for the names at the left, and for figures at the right.
const NAMES: f64 = 140.0;
const FIGURES: f64 = 92.0;
/// Where the first row begins, and how high rows are, with the gap below each.
const FIRST: f64 = 24.0;
const ROW: f64 = 44.0;
const QUEUE_ROW: f64 = 24.0;
const GAP: f64 = 8.0;
/// How many shades a queue's fill has.
const SHADES: f64 = 9.0;

/// What workers do, with the class that draws it, from the bottom up.
pub(super) const DOING: [(&str, &str); 4] =
    [("busy", "busy"), ("held", "held"), ("blocked", "blocked"), ("starved", "starved")];

/// Busy, held, blocked and starved of each stage over time.
pub(super) fn shares(run: &Digest) -> String {
    let height = FIRST + (ROW + GAP) * number(run.stages.len()) + 26.0;
    let mut frame = Frame::new((WIDE, height), run.seconds, 1.0).with_sides(NAMES, FIGURES);
    for (index, stage) in run.stages.iter().enumerate() {
        let top = FIRST + number(index) * (ROW + GAP);
        name(&mut frame, stage, top + ROW / 2.0);
        bands(&mut frame, run, stage, top);
        let shares = stage.shares;
        let figures = [("busy", shares.busy), ("held", shares.held), ("blocked", shares.blocked)];
        let (x, bound) = (WIDE - FIGURES + 8.0, run.verdict.bottleneck.stage == stage.id);
        let most = figures.into_iter().chain([("starved", shares.starved)]).max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((what, share)) = most.filter(|(_, share)| *share > 0.0) {
            frame.text(
                (x, top + ROW / 2.0 + if bound { -3.0 } else { 4.0 }),
                "label",
                &format!("{what} {}", percent(share)),
            );
        }
        if bound {
            frame.text((x, top + ROW / 2.0 + 12.0), "label strong", "bottleneck");
        }
    }
    frame.times();
    marks(&mut frame, run);
    let told = |stage: &StageDigest| {
        let shares = stage.shares;
        let [busy, held, blocked, starved] = [shares.busy, shares.held, shares.blocked, shares.starved].map(percent);
        format!("{}: busy {busy}, held {held}, blocked {blocked}, starved {starved}", stage.id)
    };
    let description = run.stages.iter().map(told).collect::<Vec<_>>().join("; ");
    frame.finish("shares", "How each stage's workers spent their time", &description)
}

fn name(frame: &mut Frame, stage: &StageDigest, y: f64) {
    let width = match (stage.width_before, stage.width) {
        (before, after) if before == after => format!("{} × {after}", stage.tier),
        (before, after) => format!("{} × {before} → {after}", stage.tier),
    };
    frame.text((0.0, y - 3.0), "label strong", &short(&stage.id));
    frame.text((0.0, y + 12.0), "tick", &width);
}

/// A name that fits beside its row.
fn short(id: &str) -> String {
    if id.chars().count() <= 17 { id.to_owned() } else { id.chars().take(16).chain(['…']).collect() }
}

/// The four bands of a row, one upon the other.
fn bands(frame: &mut Frame, run: &Digest, stage: &StageDigest, top: f64) {
    let series = &stage.series;
    let mut below = vec![0.0; series.busy.len()];
    let times = edges(run, series.busy.len());
    let height = |share: f64| top + ROW * (1.0 - share.clamp(0.0, 1.0));
    for ((_, class), values) in DOING.iter().zip([&series.busy, &series.held, &series.blocked, &series.starved]) {
        if values.iter().all(|share| *share < 0.001) {
            continue;
        }
        let above: Vec<f64> = below.iter().zip(values).map(|(below, share)| below + share).collect();
        // Steps, not slopes: a share holds over its piece of time, and pieces without any of it stay empty.
        let mut path = String::new();
        for (index, value) in above.iter().enumerate() {
            let (left, right, y) = (frame.x(times[index]), frame.x(times[index + 1]), height(*value));
            let _ = write!(path, "{}{left:.1} {y:.1}H{right:.1}", if index == 0 { 'M' } else { 'L' });
        }
        for (index, value) in below.iter().enumerate().rev() {
            let (left, right, y) = (frame.x(times[index]), frame.x(times[index + 1]), height(*value));
            let _ = write!(path, "L{right:.1} {y:.1}H{left:.1}");
        }
        frame.raw(&format!(r#"<path class="{class}" d="{path}Z"/>"#));
        if *class != "busy" {
            // The pattern tells them apart where colours do not.
            frame.raw(&format!(r#"<path class="pattern-{class}" d="{path}Z"/>"#));
        }
        below = above;
    }
    let (x, width) = (frame.x(0.0), frame.x(run.seconds) - frame.x(0.0));
    frame.raw(&format!(r#"<rect class="frame" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{ROW}"/>"#));
}

/// Where pieces of time begin and end.
fn edges(run: &Digest, pieces: usize) -> Vec<f64> {
    let begin = |index: usize| number(index) * run.series.step;
    (0..pieces).map(begin).chain([run.seconds]).collect()
}

/// How full each stage's queue was over time.
pub(super) fn queues(run: &Digest) -> String {
    let stages: Vec<&StageDigest> = run.stages.iter().filter(|stage| stage.queue_capacity > 0).collect();
    let height = FIRST + (QUEUE_ROW + GAP) * number(stages.len()) + 26.0;
    let mut frame = Frame::new((WIDE, height), run.seconds, 1.0).with_sides(NAMES, FIGURES);
    for (index, stage) in stages.iter().enumerate() {
        let top = FIRST + number(index) * (QUEUE_ROW + GAP);
        let middle = top + QUEUE_ROW / 2.0 + 4.0;
        frame.text((0.0, middle), "label strong", &short(&stage.id));
        cells(&mut frame, run, stage, top);
        let full = stage.fill().map(percent).unwrap_or_default();
        frame.text((WIDE - FIGURES + 8.0, middle), "label", &format!("{full} of {}", stage.queue_capacity));
    }
    frame.times();
    marks(&mut frame, run);
    let told = |stage: &&StageDigest| {
        let full = stage.fill().map(percent).unwrap_or_default();
        format!("{}: {full} of {} on average, {} at most", stage.id, stage.queue_capacity, stage.queue_max)
    };
    let description = stages.iter().map(told).collect::<Vec<_>>().join("; ");
    frame.finish("queues", "How full each stage's queue was", &description)
}

/// A row of a heat map; neighbours of the same shade are one.
fn cells(frame: &mut Frame, run: &Digest, stage: &StageDigest, top: f64) {
    let times = edges(run, stage.series.queue.len());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share as one of ten shades")]
    let shade = |fill: f64| (fill.clamp(0.0, 1.0) * SHADES).ceil() as usize;
    let mut from = 0;
    for end in 1..=stage.series.queue.len() {
        let ends = stage.series.queue.get(end).is_none_or(|fill| shade(*fill) != shade(stage.series.queue[from]));
        if !ends {
            continue;
        }
        let of = &stage.series.queue[from..end];
        let mean = of.iter().sum::<f64>() / number(of.len());
        let (left, right) = (frame.x(times[from]), frame.x(times[end]));
        let title = format!("{} to {}: {} full", clock(times[from]), span(times[end]), percent(mean));
        frame.raw(&format!(
            r#"<rect class="heat-{}" x="{left:.1}" y="{top:.1}" width="{:.1}" height="{QUEUE_ROW}"><title>{}</title></rect>"#,
            shade(of[0]),
            (right - left).max(0.1),
            escape(&title)
        ));
        from = end;
    }
    let (x, width) = (frame.x(0.0), frame.x(run.seconds) - frame.x(0.0));
    frame.raw(&format!(r#"<rect class="frame" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{QUEUE_ROW}"/>"#));
}

/// A bar of the four shares, for a cell of a table.
pub(super) fn bar(stage: &StageDigest) -> String {
    let shares = [stage.shares.busy, stage.shares.held, stage.shares.blocked, stage.shares.starved];
    let mut svg = String::from(r#"<svg class="bar" aria-hidden="true" viewBox="0 0 120 12">"#);
    let mut x = 0.0;
    for ((_, class), share) in DOING.iter().zip(shares) {
        let width = 120.0 * share;
        for class in [(*class).to_owned(), format!("pattern-{class}")].iter().filter(|class| *class != "pattern-busy") {
            let _ = write!(svg, r#"<rect class="{class}" x="{x:.1}" y="0" width="{width:.1}" height="12"/>"#);
        }
        x += width;
    }
    svg.push_str("</svg>");
    svg
}
