//! Stages on a narrow terminal: two lines a stage from 60 columns, one figure a stage from 40.
//!
//! ```text
//! │▶▲ parse 12→16*   73.1/s  p95 480ms  !3    │
//! │   in ████ 256/256 !  ██████████░  ▃▅▆▇▇   │
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::Pane;
use super::super::model::{Model, TABS, Tab};
use super::super::paint::{Pen, frame, scrolled, share, short};
use super::super::text::{millis, percent, rate};
use super::super::theme::Theme;
use super::stages::{mark, queue, times, workers};
use crate::monitor::{FULL, StageSnapshot};
use crate::report::printable;

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let inner = panel(model, theme, area, &format!("Stages ({})", model.rows.len()), buffer);
    let shown = usize::from(inner.height / 2);
    let first = scrolled(model.row(), model.rows.len(), shown);
    for (at, stage) in model.listed().skip(first).take(shown).enumerate() {
        let line = short(at * 2);
        if stage.id == model.selected {
            buffer.set_style(Rect { y: inner.y + line, height: 2, ..inner }, theme.selected);
        }
        let mut pen = Pen::on(buffer, inner, line);
        mark(model, stage, theme, &mut pen);
        let errors = if stage.failed > 0 { format!("!{} ", stage.failed) } else { String::new() };
        pen.last(&errors, theme.bad);
        pen.last(&format!("{:>8}/s  p95 {:>6}  ", rate(stage.now.output), millis(stage.service_ms.p95)), theme.text);
        let changed = model.is_unsaved(stage);
        let width = workers(stage, changed, theme);
        let room = pen.room().saturating_sub(width.chars().count() + 2);
        let style = if model.is_bottleneck(&stage.id) { theme.warn } else { theme.text };
        pen.put(" ", theme.text).left(&printable(&stage.id), room, style, theme);
        pen.put(" ", theme.text).put(&width, if changed { theme.warn } else { theme.text });
        let mut pen = Pen::on(buffer, inner, line + 1);
        pen.skip(3).put("in ", theme.dim);
        queue(stage, 18, theme, &mut pen);
        pen.put("  ", theme.text).time(times(stage), 12, theme).put("  ", theme.text);
        let columns = pen.room().min(12);
        pen.curve(&model.history.stage(&stage.id, model.moment(), 60.0, columns), theme.bar, theme);
    }
}

/// One figure of each stage, chosen by the keys that choose a tab elsewhere.
pub(in super::super) fn single(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let figure = TABS.iter().position(|(tab, _)| *tab == model.tab).unwrap_or(0);
    let name = ["out/s", "p95", "queue", "errors", "busy"][figure];
    let inner = panel(model, theme, area, &format!("Stages: {name}  (1-5)"), buffer);
    let shown = usize::from(inner.height);
    let first = scrolled(model.row(), model.rows.len(), shown);
    for (at, stage) in model.listed().skip(first).take(shown).enumerate() {
        let line = short(at);
        if stage.id == model.selected {
            buffer.set_style(Rect { y: inner.y + line, height: 1, ..inner }, theme.selected);
        }
        let mut pen = Pen::on(buffer, inner, line);
        mark(model, stage, theme, &mut pen);
        let (text, alarming) = value(stage, model.tab);
        let width = workers(stage, model.is_unsaved(stage), theme);
        pen.last(&format!("{text:>9} "), if alarming { theme.bad } else { theme.text });
        pen.last(&format!(" {width:>6}"), theme.text);
        let room = pen.room().saturating_sub(1);
        pen.put(" ", theme.text).left(&printable(&stage.id), room, theme.text, theme);
    }
}

fn value(stage: &StageSnapshot, tab: Tab) -> (String, bool) {
    match tab {
        Tab::Latency => (rate(stage.now.output), false),
        Tab::Workers => (millis(stage.service_ms.p95), false),
        Tab::Queue => {
            let full = share(stage.queue.length, stage.queue.capacity) >= FULL;
            let none = stage.queue.capacity == 0;
            let text = if none { "none".into() } else { format!("{}/{}", stage.queue.length, stage.queue.capacity) };
            (if full { format!("!{text}") } else { text }, full)
        }
        Tab::Errors => (stage.failed.to_string(), stage.failed > 0),
        Tab::Settings => (percent(stage.now.busy), false),
    }
}

fn panel(model: &Model, theme: &Theme, area: Rect, title: &str, buffer: &mut Buffer) -> Rect {
    let filter = if model.filter.is_empty() { String::new() } else { format!("/{}", printable(&model.filter)) };
    let inner = frame(buffer, area, title, &filter, model.pane == Pane::Stages, theme);
    if model.rows.is_empty() {
        let why = if model.shown.stages.is_empty() { "no stage is known yet" } else { "no stage passes the filter" };
        Pen::on(buffer, inner, 0).skip(3).put(why, theme.dim);
    }
    inner
}
