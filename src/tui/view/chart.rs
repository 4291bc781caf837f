//! Throughput over time, with a mark where a width changed, and the lines to compare it with.
//!
//! ```text
//! │ 100┤                                                         ┄┄┄┄┄┄┄ 92.0 predicted │
//! │  50┤     ▂▄▅▅▆▆▅▆▆▅▆▆▅▆▆▆██████████████████████████████████                         │
//! │   0└──────────────────────────┴─────────────────────────────                        │
//! │     00:00                     ^ parse 8→12               now                        │
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::history;
use super::super::layout::Pane;
use super::super::model::{Model, WINDOWS};
use super::super::paint::{Pen, frame, short, sign};
use super::super::text::{cells, clock, columns, rate, size_float};
use super::super::theme::Theme;
use crate::report::printable;

/// Where figures of the axis stand.
const AXIS: u16 = 6;
/// Where lines to compare with are named.
const NAMES: u16 = 20;

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let seconds = WINDOWS[model.window.min(WINDOWS.len() - 1)];
    let title = format!("Run  doc/s, {:.0} min  [ ] zoom", seconds / 60.0);
    let note = if model.baseline.is_some() { "b no baseline" } else { "b baseline" };
    let inner = frame(buffer, area, &title, note, model.pane == Pane::Chart && !model.zoomed, theme);
    if inner.height < 3 || inner.width < AXIS + 10 {
        return;
    }
    let named = inner.width > 60 && (model.baseline.is_some() || model.predicted.is_some());
    let names = if named { NAMES } else { 1 };
    let plot = Rect::new(inner.x + AXIS, inner.y, inner.width - AXIS - names, inner.height - 2);
    let chart = Chart { model, theme, plot, seconds, top: top(model, seconds, plot.height) };
    chart.axis(inner, buffer);
    if theme.glyphs.braille {
        chart.dots(buffer);
    } else {
        chart.columns(buffer);
    }
    chart.lines(inner, buffer);
    chart.marks(inner, buffer);
}

/// The figure at the upper end: the least that is above all and gives every line a round figure.
fn top(model: &Model, seconds: f64, lines: u16) -> f64 {
    let from = model.moment() - seconds;
    let points = model.history.points.iter().filter(|point| point.at >= from && point.at <= model.moment());
    let most = points.map(|point| point.rate).fold(model.shown.rates.documents, f64::max);
    let others = [model.baseline.as_ref().map(|(_, rate)| *rate), model.predicted.as_ref().map(|(_, then)| then.then)];
    let most = others.into_iter().flatten().filter(|value| value.is_finite()).fold(most, f64::max);
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let lines = size_float(usize::from(lines.max(1)));
    let step = most * 1.02 / lines;
    let power = 10_f64.powf(step.log10().floor());
    let round = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().map(|round| round * power);
    lines * round.into_iter().find(|round| *round >= step).unwrap_or(20.0 * power)
}

struct Chart<'a> {
    model: &'a Model,
    theme: &'a Theme,
    plot: Rect,
    seconds: f64,
    top: f64,
}

impl Chart<'_> {
    fn axis(&self, inner: Rect, buffer: &mut Buffer) {
        let (glyphs, rows) = (self.theme.glyphs, self.plot.height);
        for row in 0..rows {
            let mut pen = Pen::on(buffer, inner, row);
            let value = self.top * size_float(usize::from(rows - row)) / size_float(usize::from(rows));
            // Every line has its figure while there are few; then every second.
            let told = rows <= 4 || row % 2 == 0;
            pen.right(&if told { rate(value) } else { String::new() }, usize::from(AXIS) - 1, self.theme.dim);
            pen.put(glyphs.tee_left, self.theme.dim);
        }
        let mut pen = Pen::on(buffer, inner, rows);
        pen.right("0", usize::from(AXIS) - 1, self.theme.dim).put(glyphs.bottom_left, self.theme.dim);
        pen.fill(glyphs.line, usize::from(self.plot.width), self.theme.dim);
        let start = (self.model.moment() - self.seconds).max(0.0);
        let first = self.column(start).unwrap_or(0);
        let now = if self.model.frozen.is_some() || self.model.playback.is_some() {
            clock(self.model.moment())
        } else {
            "now".into()
        };
        let x = self.plot.right().saturating_sub(short(now.len()));
        Pen::on(buffer, inner, rows + 1).to(x).put(&now, self.theme.dim);
        // A run that has just begun has its start where now is.
        let (start, first) = (clock(start), self.plot.x + first);
        if first + short(start.len()) < x {
            Pen::on(buffer, inner, rows + 1).to(first).put(&start, self.theme.dim);
        }
    }

    /// The column of a moment.
    fn column(&self, at: f64) -> Option<u16> {
        let width = usize::from(self.plot.width);
        let share = (at - history::start(self.model.moment(), self.seconds, width)) / self.seconds;
        (0.0..=1.0).contains(&share).then(|| short(cells(share, width).min(width.saturating_sub(1))))
    }

    fn columns(&self, buffer: &mut Buffer) {
        let values = self.model.history.columns(self.model.moment(), self.seconds, usize::from(self.plot.width));
        let rows = usize::from(self.plot.height);
        for (column, value) in (0..).zip(values) {
            let Some(value) = value else { continue };
            // Something that is near nothing is not nothing.
            let eighths = cells(value / self.top, rows * 8).max(usize::from(value > 0.0));
            for row in 0..rows {
                let level = eighths.saturating_sub((rows - 1 - row) * 8).min(8);
                if level > 0 {
                    let (x, y) = (self.plot.x + column, self.plot.y + short(row));
                    sign(buffer, x, y, self.theme.glyphs.levels[level], self.theme.bar);
                }
            }
        }
    }

    /// Two columns and four lines a cell.
    fn dots(&self, buffer: &mut Buffer) {
        let width = usize::from(self.plot.width);
        let values = self.model.history.columns(self.model.moment(), self.seconds, width * 2);
        let rows = usize::from(self.plot.height);
        let height = |value: &Option<f64>| value.map_or(0, |value| cells(value / self.top, rows * 4).max(1));
        for (column, pair) in (0..).zip(values.chunks(2)) {
            let (left, right) = (height(&pair[0]), pair.get(1).map_or(0, height));
            for row in 0..rows {
                let below = (rows - 1 - row) * 4;
                let bits = [(left, [0x40, 0x04, 0x02, 0x01]), (right, [0x80, 0x20, 0x10, 0x08])]
                    .into_iter()
                    .flat_map(|(height, bits)| bits.into_iter().take(height.saturating_sub(below).min(4)))
                    .fold(0_u32, |all, bit| all | bit);
                if let Some(sign) = char::from_u32(0x2800 + bits).filter(|_| bits > 0) {
                    let mut letter = [0; 4];
                    let (x, y) = (self.plot.x + column, self.plot.y + short(row));
                    self::sign(buffer, x, y, sign.encode_utf8(&mut letter), self.theme.bar);
                }
            }
        }
    }

    /// What was predicted of the last change, from then on; and another throughput, all along.
    fn lines(&self, inner: Rect, buffer: &mut Buffer) {
        let glyphs = self.theme.glyphs;
        if let Some((name, value)) = &self.model.baseline {
            let text = format!("{} {}", rate(*value), printable(name));
            self.line(*value, 0, glyphs.baseline, &text, inner, buffer);
        }
        if let Some((at, prediction)) = &self.model.predicted {
            let from = self.column(*at).unwrap_or(0);
            let text = format!("{} predicted", rate(prediction.then));
            self.line(prediction.then, from, glyphs.predicted, &text, inner, buffer);
        }
    }

    fn line(&self, value: f64, from: u16, sign: &str, name: &str, inner: Rect, buffer: &mut Buffer) {
        let rows = usize::from(self.plot.height);
        let row = short(rows - 1 - cells(value / self.top, rows).min(rows - 1));
        for column in from..self.plot.width {
            self.sign(buffer, self.plot.x + column, self.plot.y + row, sign, self.theme.ghost);
        }
        // Two lines at one height: the second is named above or below the first.
        for row in [row, row.saturating_sub(1), row + 1] {
            let room = usize::from(inner.right().saturating_sub(self.plot.right()));
            let free = buffer.cell((self.plot.right() + 1, self.plot.y + row)).is_some_and(|cell| cell.symbol() == " ");
            if free && room > 2 && row < self.plot.height {
                let mut pen = Pen::on(buffer, inner, row);
                pen.to(self.plot.right() + 1).left(name, room - 1, self.theme.ghost, self.theme);
                return;
            }
        }
    }

    /// Draws over nothing.
    fn sign(&self, buffer: &mut Buffer, x: u16, y: u16, sign: &str, style: Style) {
        if buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ") {
            self::sign(buffer, x, y, sign, style);
        }
    }

    /// The latest changes of width first: what has no room beside them is only marked.
    fn marks(&self, inner: Rect, buffer: &mut Buffer) {
        let (glyphs, row) = (self.theme.glyphs, self.plot.height);
        for mark in self.model.history.marks.iter().rev().filter(|mark| mark.at <= self.model.moment()) {
            let Some(column) = self.column(mark.at) else { continue };
            let x = self.plot.x + column;
            sign(buffer, x, inner.y + row, glyphs.tee_up, self.theme.warn);
            let text = format!("^ {} {}{}{}", printable(&mark.stage), mark.from, glyphs.to, mark.to);
            let end = x + short(columns(&text));
            let y = inner.y + row + 1;
            let blank = |x: u16| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ");
            if end < inner.right() && (x.saturating_sub(1)..=end).all(blank) {
                Pen::on(buffer, inner, row + 1).to(x).put(&text, self.theme.warn);
            }
        }
    }
}
