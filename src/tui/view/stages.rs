//! The table of stages: a line each, with as many columns as fit.
//!
//! ```text
//! ┌ Stages (7)  sort: graph ─────────────────────────────────────────────────── * changed, not yet in the file ┐
//! │   STAGE         TIER          W   IN/S  OUT/S    P50    P95  IN-QUEUE          BUSY█ HELD▓ BLOCK▒ …        │
//! │▶▲ parse         cpu      12→16*   76.0   73.1  152ms  480ms  ██████ 256/256 !  ███████████████░   1.1G   3 │
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::Pane;
use super::super::model::{Model, Sort, memory};
use super::super::paint::{Pen, frame, scrolled, share, short};
use super::super::text::{bytes, float, millis, rate};
use super::super::theme::Theme;
use crate::monitor::{FULL, StageSnapshot};
use crate::report::printable;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Mark,
    Name,
    Tier,
    Width,
    Input,
    Output,
    P50,
    P95,
    Queue,
    Time,
    Memory,
    Errors,
    Curve,
}

/// A column and its width.
type Columns = [(Column, usize)];

const FULL_TABLE: &Columns = &[
    (Column::Mark, 2),
    (Column::Name, 11),
    (Column::Tier, 7),
    (Column::Width, 8),
    (Column::Input, 5),
    (Column::Output, 5),
    (Column::P50, 6),
    (Column::P95, 6),
    (Column::Queue, 18),
    (Column::Time, 20),
    (Column::Memory, 5),
    (Column::Errors, 5),
    (Column::Curve, 8),
];
const WIDE_TABLE: &Columns = &[
    (Column::Mark, 2),
    (Column::Name, 12),
    (Column::Width, 8),
    (Column::Input, 5),
    (Column::Output, 5),
    (Column::P95, 6),
    (Column::Queue, 18),
    (Column::Time, 20),
    (Column::Errors, 5),
    (Column::Curve, 8),
];
const COMPACT_TABLE: &Columns = &[
    (Column::Mark, 2),
    (Column::Name, 11),
    (Column::Width, 7),
    (Column::Output, 5),
    (Column::P95, 6),
    (Column::Queue, 16),
    (Column::Time, 11),
    (Column::Errors, 5),
    (Column::Curve, 5),
];

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let glyphs = theme.glyphs;
    let changed = if area.width >= 100 { "* changed, not yet in the file" } else { "* not in the file" };
    let any = model.unsaved() > 0;
    let inner = frame(
        buffer,
        area,
        &title(model, theme),
        if any { changed } else { "" },
        model.pane == Pane::Stages && !model.zoomed,
        theme,
    );
    let columns = match inner.width {
        118.. => FULL_TABLE,
        98.. => WIDE_TABLE,
        _ => COMPACT_TABLE,
    };
    let used: usize = columns.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
    let spare = usize::from(inner.width).saturating_sub(used);
    head(columns, spare, theme, &mut Pen::on(buffer, inner, 0));
    let lines = usize::from(inner.height.saturating_sub(1));
    if model.rows.is_empty() {
        let why = if model.shown.stages.is_empty() { "no stage is known yet" } else { "no stage passes the filter" };
        Pen::on(buffer, inner, 1).skip(3).put(why, theme.dim);
        return;
    }
    let first = scrolled(model.row(), model.rows.len(), lines);
    for (line, stage) in model.listed().skip(first).take(lines).enumerate() {
        let line = short(line + 1);
        let selected = stage.id == model.selected;
        if selected {
            buffer.set_style(Rect { y: inner.y + line, height: 1, ..inner }, theme.selected);
        }
        let mut pen = Pen::on(buffer, inner, line);
        for (at, (column, width)) in columns.iter().enumerate() {
            let width = if *column == Column::Name { width + spare } else { *width };
            let next = pen.x + short(width) + 1;
            cell(model, stage, *column, width, theme, &mut pen);
            if at + 1 < columns.len() {
                pen.to(next);
            }
        }
    }
    let below = model.rows.len().saturating_sub(first + lines);
    if first + below > 0 {
        let note = format!(" {}{first} {}{below} ", glyphs.up, glyphs.down);
        let bottom = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
        Pen::on(buffer, bottom, area.height - 1).put(&note, theme.dim);
    }
}

fn title(model: &Model, theme: &Theme) -> String {
    let (listed, all) = (model.rows.len(), model.shown.stages.len());
    let number = if listed == all { all.to_string() } else { format!("{listed} of {all}") };
    let mut title = format!("Stages ({number})");
    if model.locked.is_some() {
        title.push_str("  order kept");
    } else if model.sort != Sort::Graph || model.reversed {
        let way = if model.reversed { theme.glyphs.rises } else { theme.glyphs.falls };
        title.push_str(&format!("  sort: {}{way}", model.sort.name()));
    }
    if !model.filter.is_empty() {
        title.push_str(&format!("  filter: {}", printable(&model.filter)));
    }
    title
}

fn head(columns: &Columns, spare: usize, theme: &Theme, pen: &mut Pen<'_>) {
    let style = theme.dim;
    for (column, width) in columns {
        let left = |pen: &mut Pen<'_>, text: &str, width: usize| {
            pen.left(text, width, style, theme);
        };
        match column {
            Column::Mark => left(pen, "", *width),
            Column::Name => left(pen, "STAGE", width + spare),
            Column::Tier => left(pen, "TIER", *width),
            Column::Queue => left(pen, "IN-QUEUE", *width),
            Column::Time => time_head(*width, theme, pen),
            Column::Curve => left(pen, if *width < 8 { "60s" } else { "last 60s" }, *width),
            Column::Width => drop(pen.right("W", *width, style)),
            Column::Input => drop(pen.right("IN/S", *width, style)),
            Column::Output => drop(pen.right("OUT/S", *width, style)),
            Column::P50 => drop(pen.right("P50", *width, style)),
            Column::P95 => drop(pen.right("P95", *width, style)),
            Column::Memory => drop(pen.right("MEM", *width, style)),
            Column::Errors => drop(pen.right("ERR", *width, style)),
        }
        pen.skip(1);
    }
}

/// What the signs of the bar below mean.
fn time_head(width: usize, theme: &Theme, pen: &mut Pen<'_>) {
    let glyphs = theme.glyphs;
    let next = pen.x + short(width);
    let signs = [
        ("BUSY", glyphs.busy, theme.busy),
        ("HELD", glyphs.held, theme.held),
        ("BLKD", glyphs.blocked, theme.blocked),
        ("STRV", glyphs.starved, theme.starved),
    ];
    for (at, (word, sign, style)) in signs.into_iter().enumerate() {
        // Where there is no room for the words, the first stands for all; help tells the others.
        if at == 0 || width >= 20 {
            pen.put(word, theme.dim);
        }
        pen.put(sign, style);
    }
    pen.to(next);
}

fn cell(model: &Model, stage: &StageSnapshot, column: Column, width: usize, theme: &Theme, pen: &mut Pen<'_>) {
    match column {
        Column::Mark => mark(model, stage, theme, pen),
        Column::Name => {
            let style = if model.is_bottleneck(&stage.id) { theme.warn } else { theme.text };
            pen.left(&printable(&stage.id), width, style, theme);
        }
        Column::Tier => drop(pen.left(&stage.tier, width, theme.dim, theme)),
        Column::Width => {
            let changed = model.is_unsaved(stage);
            pen.right(&workers(stage, changed, theme), width, if changed { theme.warn } else { theme.text });
        }
        Column::Input if stage.role == "source" => drop(pen.right("-", width, theme.dim)),
        Column::Input => drop(pen.right(&rate(stage.now.input), width, theme.text)),
        Column::Output => drop(pen.right(&rate(stage.now.output), width, theme.text)),
        Column::P50 => drop(pen.right(&millis(stage.service_ms.p50), width, theme.text)),
        Column::P95 => drop(pen.right(&millis(stage.service_ms.p95), width, theme.text)),
        Column::Queue => queue(stage, width, theme, pen),
        Column::Time => drop(pen.time(times(stage), width, theme)),
        Column::Memory => drop(pen.right(&bytes(memory(stage)), width, theme.text)),
        Column::Errors => {
            let style = if stage.failed > 0 { theme.bad } else { theme.dim };
            let shown = if stage.failed < 100_000 { stage.failed.to_string() } else { rate(float(stage.failed)) };
            pen.right(&shown, width, style);
        }
        Column::Curve => {
            let values = model.history.stage(&stage.id, model.moment(), 60.0, width);
            pen.curve(&values, theme.bar, theme);
        }
    }
}

/// Which stage is selected, and which one bounds throughput.
pub(super) fn mark(model: &Model, stage: &StageSnapshot, theme: &Theme, pen: &mut Pen<'_>) {
    let glyphs = theme.glyphs;
    pen.put(if stage.id == model.selected { glyphs.select } else { " " }, theme.key);
    pen.put(if model.is_bottleneck(&stage.id) { glyphs.bottleneck } else { " " }, theme.bad);
}

/// The width: `6`, or `12→16` while workers come or go; with a star if the file says another.
pub(super) fn workers(stage: &StageSnapshot, changed: bool, theme: &Theme) -> String {
    let star = if changed { "*" } else { "" };
    if stage.role == "stage" && stage.workers_alive != stage.width {
        format!("{}{}{}{star}", stage.workers_alive, theme.glyphs.to, stage.width)
    } else {
        format!("{}{star}", stage.width)
    }
}

/// How workers spent the last seconds.
pub(super) fn times(stage: &StageSnapshot) -> [f64; 4] {
    [stage.now.busy, stage.now.held, stage.now.blocked, stage.now.starved]
}

/// A queue as a bar and in figures, marked when it is full.
pub(super) fn queue(stage: &StageSnapshot, width: usize, theme: &Theme, pen: &mut Pen<'_>) {
    let (queue, next) = (&stage.queue, pen.x + short(width));
    let bar = width.saturating_sub(12).max(4);
    if queue.capacity == 0 {
        pen.fill(theme.glyphs.line, bar, theme.dim).put(" none", theme.dim).to(next);
        return;
    }
    let fill = share(queue.length, queue.capacity);
    let style = if fill >= FULL { theme.warn } else { theme.bar };
    pen.bar(fill, bar, style, theme).put(" ", theme.text);
    let figures = format!("{}/{}", short_count(queue.length), short_count(queue.capacity));
    pen.left(&figures, width - bar - 3, theme.text, theme);
    pen.put(if fill >= FULL { " !" } else { "  " }, theme.bad).to(next);
}

fn short_count(number: u64) -> String {
    if number < 10_000 { number.to_string() } else { rate(float(number)) }
}
