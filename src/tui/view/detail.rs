//! The selected stage: how long its calls take, its workers, its queue, its errors, its configuration.

mod errors;

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::Pane;
use super::super::model::{Model, TABS, Tab, memory};
use super::super::paint::{Pen, frame, short};
use super::super::text::{bytes, columns, float, millis, rate, size_float, span};
use super::super::theme::Theme;
use super::stages::workers;
use crate::monitor::{FleetSnapshot, StageSnapshot};
use crate::report::{count, place, printable};

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let at = TABS.iter().position(|(tab, _)| *tab == model.tab).unwrap_or(0);
    let (tab, name) = TABS[at];
    let title = match model.stage() {
        Some(stage) => format!("{}  {} {}: {name}", printable(&stage.id), stage.kind, stage.role),
        None => "no stage".into(),
    };
    let inner = frame(buffer, area, &title, "tabs 1-5", model.pane == Pane::Detail && !model.zoomed, theme);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let Some(stage) = model.stage() else { return };
    let mut lines = Lines { theme, inner, buffer, line: 0 };
    match tab {
        Tab::Latency => latency(stage, &mut lines),
        Tab::Workers if model.shown.fleet.stage == stage.id => fleet(&model.shown.fleet, &mut lines),
        Tab::Workers => hands(stage, &mut lines),
        Tab::Queue => queue(model, stage, &mut lines),
        Tab::Errors => errors::draw(model, stage, &mut lines),
        Tab::Settings => settings(model, stage, &mut lines),
    }
}

/// Line after line of a panel.
struct Lines<'a> {
    theme: &'a Theme,
    inner: Rect,
    buffer: &'a mut Buffer,
    line: u16,
}

impl Lines<'_> {
    /// The next line; nothing is written below the panel.
    fn next(&mut self) -> Pen<'_> {
        let line = self.line;
        self.line += 1;
        Pen::on(self.buffer, self.inner, line)
    }

    fn left(&self) -> u16 {
        self.inner.height.saturating_sub(self.line)
    }

    fn say(&mut self, text: &str) {
        let theme = self.theme;
        let mut pen = self.next();
        let room = pen.room();
        pen.left(text, room, theme.text, theme);
    }
}

fn latency(stage: &StageSnapshot, lines: &mut Lines<'_>) {
    let (theme, times) = (lines.theme, &stage.service_ms);
    let mut pen = lines.next();
    for (name, value) in [("p50 ", times.p50), ("p95 ", times.p95), ("p99 ", times.p99), ("max ", times.max)] {
        pen.put(name, theme.dim).put(&millis(value), theme.text).put("  ", theme.text);
    }
    if stage.now.service_ms > 0.0 {
        pen.whole("now ", theme.dim);
        pen.whole(&millis(stage.now.service_ms), theme.title);
    }
    if stage.service_buckets.iter().all(|times| *times == 0) {
        lines.say("no call has ended yet");
        return;
    }
    let rows = lines.left().saturating_sub(2).clamp(1, 12);
    histogram(stage, rows, lines);
    let mut pen = lines.next();
    pen.put(&format!("{} calls, {}/s", count(stage.calls), rate(stage.now.calls)), theme.text);
    pen.whole(&format!("; busy {}", span(stage.busy_seconds)), theme.text);
    pen.whole("; each bar twice the time", theme.dim);
}

/// How many calls took how long: a bar for each doubling of the time.
fn histogram(stage: &StageSnapshot, rows: u16, lines: &mut Lines<'_>) {
    let (theme, buckets) = (lines.theme, &stage.service_buckets);
    let first = buckets.iter().position(|calls| *calls > 0).unwrap_or(0);
    let shown = &buckets[first..];
    let most = float(shown.iter().copied().max().unwrap_or(1).max(1));
    let wide = (usize::from(lines.inner.width) / shown.len().max(1)).clamp(1, 4);
    for row in (0..usize::from(rows)).rev() {
        let mut pen = lines.next();
        for calls in shown {
            let all = usize::from(rows) * 8;
            let eighths = super::super::text::cells(float(*calls) / most, all).max(usize::from(*calls > 0));
            let level = eighths.saturating_sub(row * 8).min(8);
            for _ in 0..wide.saturating_sub(1).max(1) {
                pen.put(theme.glyphs.levels[level], theme.bar);
            }
            if wide > 1 {
                pen.skip(1);
            }
        }
    }
    // A time under every so many bars: as many as their words have room.
    let mut pen = lines.next();
    let every = 8_usize.div_ceil(wide);
    let start = pen.x;
    for (at, _) in shown.iter().enumerate().step_by(every) {
        let power = i32::try_from(first + at).unwrap_or(i32::MAX).min(60);
        pen.to(start + short(at * wide));
        if pen.room() >= 6 {
            pen.put(&under_second(2_f64.powi(power)), theme.dim);
        }
    }
}

/// Microseconds, with their unit.
fn under_second(micros: f64) -> String {
    if micros < 1000.0 { format!("{micros:.0}us") } else { millis(micros / 1000.0) }
}

/// The workers on other machines, where the stage stands for what they do.
fn fleet(fleet: &FleetSnapshot, lines: &mut Lines<'_>) {
    let theme = lines.theme;
    let gone = if fleet.gone > 0 { format!(", {} gone", fleet.gone) } else { String::new() };
    let text = format!(
        "{} elsewhere{gone}  in hand {}  {} docs/s",
        fleet.alive,
        fleet.in_hand,
        rate(fleet.documents_per_second)
    );
    lines.say(&text);
    for worker in &fleet.workers {
        if lines.left() == 0 {
            break;
        }
        let mut pen = lines.next();
        let style = if worker.alive { theme.text } else { theme.dim };
        pen.left(&printable(&worker.id), 18, style, theme);
        if !worker.alive {
            pen.whole(&format!("  gone for {}", span(worker.heard_seconds)), theme.dim);
            continue;
        }
        let hand = format!("  {:>2}/{:<3}", worker.in_hand, worker.at_once);
        pen.put(&hand, style).right(&format!("{}/s", rate(worker.documents_per_second)), 8, theme.title);
        for text in [
            format!("  CPUs {:.1}/{:.0}", worker.cpus_used, worker.cpus),
            format!("  {}", bytes(worker.rss_bytes)),
            format!("  {} done", count(worker.documents - worker.failed.min(worker.documents))),
        ] {
            pen.whole(&text, theme.dim);
        }
        if worker.failed > 0 {
            pen.whole(&format!("  {} failed", count(worker.failed)), theme.bad);
        }
        let widths: Vec<String> = worker.stages.iter().map(|stage| format!("{} {}", stage.id, stage.width)).collect();
        pen.whole(&format!("  {}", printable(&widths.join(", "))), theme.dim);
    }
}

fn hands(stage: &StageSnapshot, lines: &mut Lines<'_>) {
    let theme = lines.theme;
    let mut text = format!("workers {}", workers(stage, false, theme));
    let coming = stage.width.saturating_sub(stage.workers_alive);
    let going = stage.workers_alive.saturating_sub(stage.width);
    if stage.role == "stage" && coming > 0 {
        text.push_str(&format!(" ({coming} to start)"));
    } else if stage.role == "stage" && going > 0 {
        text.push_str(&format!(" ({going} finish and go)"));
    }
    text.push_str(&format!("  at work {}  CPUs {:.1}", stage.in_hand, stage.now.cpus));
    if stage.isolated {
        text.push_str("  in processes of their own");
    }
    lines.say(&text);
    let ends = &stage.workers;
    if ends.crashed + ends.timed_out + ends.out_of_memory > 0 {
        let text = format!(
            "ended: {} crashed, {} out of time, {} out of memory",
            ends.crashed, ends.timed_out, ends.out_of_memory
        );
        lines.next().put(&text, theme.bad);
    }
    if stage.now.held > 0.0 && !stage.now.held_by.is_empty() {
        let text =
            format!("held {:.0}% of the time, most by {}", 100.0 * stage.now.held, printable(&stage.now.held_by));
        lines.next().put(&text, theme.held);
    }
    if stage.hands.is_empty() {
        lines.say("nothing is in hand");
        return;
    }
    for hand in &stage.hands {
        if lines.left() == 0 {
            break;
        }
        let document = printable(&place(&hand.document));
        let mut pen = lines.next();
        pen.right(&millis(hand.seconds * 1000.0), 7, theme.title).put("  ", theme.text);
        let room = pen.room();
        pen.left(&tail(&document, room, theme), room, theme.text, theme);
    }
}

/// The end of a long place: what tells one document from another.
fn tail<'a>(text: &'a str, room: usize, theme: &Theme) -> Cow<'a, str> {
    if columns(text) <= room || room < 4 {
        return text.into();
    }
    let mut left = room - columns(theme.glyphs.dots);
    let mut letter_of = [0; 4];
    let mut from = text.len();
    for (at, letter) in text.char_indices().rev() {
        let wide = columns(letter.encode_utf8(&mut letter_of));
        if wide > left {
            break;
        }
        left -= wide;
        from = at;
    }
    format!("{}{}", theme.glyphs.dots, &text[from..]).into()
}

fn queue(model: &Model, stage: &StageSnapshot, lines: &mut Lines<'_>) {
    let (theme, queue) = (lines.theme, &stage.queue);
    if queue.capacity == 0 {
        lines.say("a source has no queue: it lists when there is room");
    } else {
        let text = format!(
            "holds {} of {}, {}; mean {:.1}, most {}; oldest {}",
            queue.length,
            queue.capacity,
            bytes(queue.bytes),
            queue.mean,
            queue.max,
            millis(queue.oldest_seconds * 1000.0)
        );
        lines.say(&text);
        lines.say(&format!("in hands of workers {}, together {}", bytes(stage.held_bytes), bytes(memory(stage))));
    }
    for edge in model.shown.edges.iter().filter(|edge| edge.to == stage.id || edge.from == stage.id) {
        if lines.left() == 0 {
            break;
        }
        let name = format!("{} {} {}", printable(&edge.from), theme.glyphs.to, printable(&edge.to));
        let mut pen = lines.next();
        pen.left(&name, 22, theme.text, theme).put(" ", theme.text);
        pen.bar(super::super::paint::share(edge.length, edge.capacity), 6, theme.bar, theme);
        pen.put(&format!(" {}/{}", edge.length, edge.capacity), theme.text);
        for text in [format!("  {}", bytes(edge.bytes)), format!("  oldest {}", millis(edge.oldest_seconds * 1000.0))] {
            pen.whole(&text, theme.dim);
        }
        pen.whole(&format!("  sent {}", count(edge.sent)), theme.dim);
    }
}

fn settings(model: &Model, stage: &StageSnapshot, lines: &mut Lines<'_>) {
    let theme = lines.theme;
    let auto = if stage.auto { ", the tuner may change it" } else { "" };
    let range = if stage.min == stage.max { "fixed".to_owned() } else { format!("{} to {}", stage.min, stage.max) };
    lines.say(&format!("width {} ({range}{auto})  tier {}", stage.width, stage.tier));
    for (name, value) in &stage.settings {
        let mut pen = lines.next();
        pen.left(&printable(name), 10, theme.dim, theme).put(" ", theme.text);
        let room = pen.room();
        pen.left(&printable(value), room, theme.text, theme);
    }
    if let Some(service) = model.shown.services.get(&stage.service) {
        let limit = if service.concurrency == 0 { String::new() } else { format!(" of {}", service.concurrency) };
        let mut text = format!(
            "{} calls, {} tokens, {}{limit} under way",
            count(service.calls),
            count(service.tokens),
            service.in_flight
        );
        if service.requests_per_minute > 0.0 {
            text.push_str(&format!(", {:.0} a minute at most", service.requests_per_minute));
        }
        if service.cost > 0.0 {
            text.push_str(&format!(", cost {:.2}", service.cost));
        }
        lines.say(&text);
        let errors: Vec<String> = service.errors.iter().map(|(class, times)| format!("{times} {class}")).collect();
        if !errors.is_empty() || service.breaker != "ok" && !service.breaker.is_empty() {
            lines.say(&format!("service {}; {}", service.breaker, errors.join(", ")));
        }
    }
    let share = |seconds: f64| 100.0 * seconds / (model.moment() * size_float(stage.width)).max(0.001);
    lines.say(&format!("whole run: busy {:.0}%, CPU {}", share(stage.busy_seconds), span(stage.cpu_seconds)));
}
