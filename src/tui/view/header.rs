//! The lines at the top: which run and what it does, how far it is and how fast, what it uses of the machine.
//!
//! ```text
//!  docmill  handbook*2  RUN 00:04:12  ● live  window 5s        docs 18,402/50,000  ETA 7m12s  failed 41 (0.22%)  !1
//!  █████████████▎░░░░░░░░░░░░ 36.8%   73.1 doc/s ▃▅▆▇▇▆▇▇   1.92k chunk/s   1.02M tok/s    document p95 4.8s
//!  CPU ████▎░░░░░ 13.8/32  RSS 3.1/8.0G ███▉░░░░░░  in flight 1.3/4.0G  net ↓41M ↑3M  disk w88M           UI 0.2%
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::model::Model;
use super::super::paint::{Pen, share};
use super::super::text::{byte_rate, bytes_of, clock, columns, fit, float, millis, percent, rate, span};
use super::super::theme::Theme;
use crate::monitor::RunState;
use crate::report::{count, printable};

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let wide = area.width >= 100;
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    first(model, theme, &mut Pen::on(buffer, inner, 0), wide);
    if wide {
        second(model, theme, &mut Pen::on(buffer, inner, 1));
        third(model, theme, &mut Pen::on(buffer, inner, 2));
    } else {
        both(model, theme, &mut Pen::on(buffer, inner, 1));
    }
}

fn state(model: &Model, theme: &Theme) -> (&'static str, Style) {
    match model.shown.state {
        RunState::Running => ("RUN", theme.good),
        RunState::Paused => ("PAUSED", theme.warn),
        RunState::Draining => ("DRAINING", theme.warn),
        RunState::Indexing => ("INDEXING", theme.good),
        RunState::Completed => ("DONE", theme.good),
        RunState::Drained => ("DRAINED", theme.warn),
        RunState::Stopped => ("STOPPED", theme.bad),
        RunState::Failed => ("FAILED", theme.bad),
    }
}

fn first(model: &Model, theme: &Theme, pen: &mut Pen<'_>, wide: bool) {
    let snapshot = &*model.shown;
    let width = pen.room();
    // The state and the moment stand before all else; the right takes what they leave, the most important first.
    let least = if width < 60 {
        11
    } else if model.playback.is_some() {
        31
    } else {
        20
    };
    for (text, bad) in right(model, wide).iter().rev() {
        if pen.room() >= columns(text) + least {
            pen.last(text, if *bad { theme.bad } else { theme.text });
            pen.last("  ", theme.text);
        }
    }
    let name = printable(&snapshot.pipeline);
    let unsaved = model.unsaved();
    let star = if unsaved > 0 { format!("*{unsaved}") } else { String::new() };
    let most = if wide { 24 } else { pen.room().saturating_sub(least + star.len() + 2).min(14) };
    if wide {
        pen.put("docmill  ", theme.title);
    }
    if most >= 4 && !name.is_empty() {
        pen.put(&fit(&name, most, theme.glyphs.dots), theme.title).put(&star, theme.warn).put("  ", theme.text);
    }
    let (word, style) = state(model, theme);
    if let Some(playback) = &model.playback {
        let moment = format!("REPLAY {}/{}", clock(playback.at), clock(playback.end));
        pen.put(&moment, theme.warn);
        let speed =
            if playback.playing { format!(" {}{}", playback.speed, theme.glyphs.times) } else { " stands".into() };
        pen.whole(&speed, theme.text);
        pen.whole(&format!("  {word}"), style);
        return;
    }
    pen.put(word, style).put(" ", theme.text).put(&clock(snapshot.seconds), theme.text).put("  ", theme.text);
    match model.frozen {
        Some(since) => {
            pen.put(&format!("FROZEN {}", span(model.clock - since)), theme.warn);
        }
        None if snapshot.state.is_over() => {}
        None if model.live => {
            pen.whole(&format!("{} live", theme.glyphs.live), theme.good);
        }
        None => {
            pen.whole(&format!("{} no answer", theme.glyphs.dead), theme.bad);
        }
    }
    if wide && snapshot.window > 0.0 {
        pen.whole(&format!("  window {}", span(snapshot.window)), theme.dim);
    }
    if model.options.read_only {
        pen.whole("  read only", theme.dim);
    }
}

/// The figures at the right end, the most important last; the second says whether they are alarming.
fn right(model: &Model, wide: bool) -> Vec<(String, bool)> {
    let snapshot = &*model.shown;
    let documents = &snapshot.documents;
    let ended = documents.seen.saturating_sub(documents.unfinished);
    let docs = if wide { "docs " } else { "" };
    let mut parts = Vec::new();
    if snapshot.listed {
        parts.push((format!("{docs}{}/{}", count(ended), count(documents.seen)), false));
    } else {
        parts.push((format!("{docs}{} and {} in hand", count(ended), count(documents.unfinished)), false));
    }
    // Before all is listed nobody knows how much is left.
    if snapshot.listed && !snapshot.state.is_over() && documents.unfinished > 0 {
        let left = float(documents.unfinished) / snapshot.rates.documents;
        let left = if snapshot.rates.documents > 0.0 { span(left) } else { "?".into() };
        parts.push((format!("ETA {left}"), false));
    }
    if documents.failed > 0 {
        let part = if wide { format!(" ({})", percent(share(documents.failed, ended))) } else { String::new() };
        parts.push((format!("failed {}{part}", count(documents.failed)), true));
    }
    if !model.alerts.is_empty() {
        parts.push((format!("!{}", model.alerts.len()), true));
    }
    parts
}

fn second(model: &Model, theme: &Theme, pen: &mut Pen<'_>) {
    let snapshot = &*model.shown;
    progress(model, theme, pen, 34);
    pen.put("   ", theme.text);
    throughput(model, theme, pen, 8);
    for (value, unit) in [(snapshot.rates.chunks, "chunk/s"), (snapshot.rates.tokens, "tok/s")] {
        if value > 0.0 {
            pen.whole(&format!("   {} {unit}", rate(value)), theme.text);
        }
    }
    if snapshot.document_ms.p95 > 0.0 {
        pen.whole(&format!("   document p95 {}", millis(snapshot.document_ms.p95)), theme.text);
    }
    let cost: f64 = snapshot.services.values().map(|service| service.cost).sum();
    if cost > 0.0 {
        pen.whole(&format!("   cost {cost:.2}"), theme.text);
    }
}

/// How much is done, once it is known how much there is.
fn progress(model: &Model, theme: &Theme, pen: &mut Pen<'_>, width: usize) {
    let documents = &model.shown.documents;
    if !model.shown.listed {
        pen.fill(theme.glyphs.dot, width, theme.dim).put(" lists", theme.dim);
        return;
    }
    let part = share(documents.seen.saturating_sub(documents.unfinished), documents.seen);
    pen.bar(part, width, theme.bar, theme).put(" ", theme.text).right(&percent(part), 5, theme.title);
}

fn throughput(model: &Model, theme: &Theme, pen: &mut Pen<'_>, width: usize) {
    // Of a run that is over nothing goes on now: what it did as a whole, as its report says.
    let shown = &model.shown;
    let documents = if shown.state.is_over() { shown.documents_per_second() } else { shown.rates.documents };
    pen.put(&rate(documents), theme.title).put(" doc/s ", theme.text);
    pen.curve(&model.history.columns(model.moment(), 60.0, width), theme.bar, theme);
}

fn third(model: &Model, theme: &Theme, pen: &mut Pen<'_>) {
    let (snapshot, glyphs) = (&*model.shown, theme.glyphs);
    let host = &snapshot.host;
    pen.last(&format!("UI {}", percent(model.cpu)), theme.dim);
    cpu(model, theme, pen, 10);
    pen.put("  RSS ", theme.text);
    let rss = host.rss_bytes + host.children_rss_bytes;
    pen.put(&bytes_of(rss, host.memory_limit), alarming(share(rss, host.memory_limit), theme)).put(" ", theme.text);
    pen.bar(share(rss, host.memory_limit), 8, theme.bar, theme);
    let used = share(snapshot.memory_used, snapshot.memory_budget);
    pen.put("  in flight ", theme.text);
    pen.put(&bytes_of(snapshot.memory_used, snapshot.memory_budget), alarming(used, theme));
    pen.put(" ", theme.text).bar(used, 6, theme.bar, theme);
    if host.network_in + host.network_out >= 1.0 {
        let (received, sent) = (byte_rate(host.network_in), byte_rate(host.network_out));
        pen.whole(&format!("  net {}{received} {}{sent}", glyphs.down, glyphs.up), theme.text);
    }
    if host.disk_read + host.disk_written >= 1.0 {
        let (read, written) = (byte_rate(host.disk_read), byte_rate(host.disk_written));
        pen.whole(&format!("  disk r{read} w{written}"), theme.text);
    }
}

fn cpu(model: &Model, theme: &Theme, pen: &mut Pen<'_>, width: usize) {
    let host = &model.shown.host;
    let used = if host.cpus > 0.0 { host.cpus_used / host.cpus } else { 0.0 };
    pen.put("CPU ", theme.text).bar(used, width, theme.bar, theme);
    pen.put(&format!(" {:.0}%/{}c", 100.0 * used, round(host.cpus)), alarming(used, theme));
}

/// CPUs without a point where there are whole ones.
fn round(cpus: f64) -> String {
    if (cpus - cpus.round()).abs() < 0.05 { format!("{cpus:.0}") } else { format!("{cpus:.1}") }
}

/// Nearly all of it.
fn alarming(share: f64, theme: &Theme) -> Style {
    if share > 0.85 { theme.warn } else { theme.text }
}

/// The second and third line in one.
fn both(model: &Model, theme: &Theme, pen: &mut Pen<'_>) {
    let snapshot = &*model.shown;
    let host = &snapshot.host;
    if pen.room() >= 50 {
        pen.last(&format!("  UI {}", percent(model.cpu)), theme.dim);
    }
    progress(model, theme, pen, 8);
    pen.put(" ", theme.text);
    throughput(model, theme, pen, if pen.room() >= 50 { 4 } else { 0 });
    let rss = host.rss_bytes + host.children_rss_bytes;
    let used = if host.cpus > 0.0 { host.cpus_used / host.cpus } else { 0.0 };
    let in_flight = share(snapshot.memory_used, snapshot.memory_budget);
    for (text, part) in [
        (format!("CPU {:.0}%", 100.0 * used), used),
        (format!("RSS {}", bytes_of(rss, host.memory_limit)), share(rss, host.memory_limit)),
        (format!("mem {}", bytes_of(snapshot.memory_used, snapshot.memory_budget)), in_flight),
    ] {
        if pen.room() > text.len() + 1 {
            pen.put("  ", theme.text).put(&text, alarming(part, theme));
        }
    }
}
