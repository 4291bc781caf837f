//! The graph: stages from left to right, on each edge how full its queue is, the bottleneck marked.
//!
//! ```text
//!  list×1 ─▁──▶ download×64 ═█══▶ parse×12 ─▁──▶ chunk×4 ─▁┬─▶ summarize×8 ─▃┬─▶ store×1
//!                                 ▲ BOTTLENECK             └▅▶ embed×6 ──▂───┘
//! ```
//! A graph that is wider than the screen is told stage by stage instead, line after line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::layout::Pane;
use super::super::model::Model;
use super::super::paint::{Pen, frame, scrolled, share, short, sign};
use super::super::text::{cells, columns, fit};
use super::super::theme::Theme;
use crate::monitor::{EdgeSnapshot, FULL, StageSnapshot};
use crate::report::printable;

/// How many cells lie between two columns of stages.
const BETWEEN: u16 = 7;
/// Which of them shows how full the queue is, and where lines fork and meet.
const FILL: u16 = 2;
const JOIN: u16 = 3;
/// The longest name that is drawn.
const NAME: usize = 20;

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let note = if area.width >= 100 { "v hide  V full screen" } else { "" };
    let inner = frame(buffer, area, "Graph", note, model.pane == Pane::Graph && !model.zoomed, theme);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let labels: Vec<String> = model.shown.stages.iter().map(|stage| label(stage, theme)).collect();
    let mut widths = vec![0; model.graph.columns];
    for (label, (column, _)) in labels.iter().zip(&model.graph.places) {
        widths[*column] = widths[*column].max(columns(label));
    }
    let whole = widths.iter().sum::<usize>() + usize::from(BETWEEN) * widths.len().saturating_sub(1);
    let lines = model.graph.places.iter().map(|(_, line)| line + 1).max().unwrap_or(0);
    let fits = whole <= usize::from(inner.width) && lines <= usize::from(inner.height);
    if !fits || model.graph.places.len() != labels.len() {
        listed(model, &labels, theme, inner, buffer);
        return;
    }
    let mut left = Vec::with_capacity(widths.len());
    let mut x = inner.x;
    for width in &widths {
        left.push((x, x + short(*width)));
        x += short(*width) + BETWEEN;
    }
    let mut canvas = Canvas { model, theme, inner, buffer, columns: &left };
    canvas.stages(&labels);
    canvas.edges();
    canvas.captions();
}

fn label(stage: &StageSnapshot, theme: &Theme) -> String {
    let name = printable(&stage.id);
    format!("{}{}{}", fit(&name, NAME, theme.glyphs.dots), theme.glyphs.times, stage.width)
}

fn style_of(model: &Model, id: &str, theme: &Theme) -> Style {
    let style = if model.is_bottleneck(id) { theme.warn } else { theme.text };
    if id == model.selected { style.patch(theme.selected) } else { style }
}

struct Canvas<'a> {
    model: &'a Model,
    theme: &'a Theme,
    inner: Rect,
    buffer: &'a mut Buffer,
    /// Where the stages of each column begin, and where the space behind them does.
    columns: &'a [(u16, u16)],
}

impl Canvas<'_> {
    fn put(&mut self, x: u16, line: usize, sign: &str, style: Style) {
        let y = self.inner.y.saturating_add(short(line));
        if x < self.inner.right() && y < self.inner.bottom() {
            self::sign(self.buffer, x, y, sign, style);
        }
    }

    /// What a cell shows; nothing beyond the panel.
    fn at(&self, x: u16, line: usize) -> &str {
        self.buffer.cell((x, self.inner.y.saturating_add(short(line)))).map_or("", |cell| cell.symbol())
    }

    fn blank(&self, x: u16, line: usize, width: usize) -> bool {
        line < usize::from(self.inner.height)
            && x + short(width) <= self.inner.right()
            && (x..x + short(width)).all(|x| self.at(x, line) == " ")
    }

    fn stages(&mut self, labels: &[String]) {
        for (stage, label) in labels.iter().enumerate() {
            let (column, line) = self.model.graph.places[stage];
            let style = style_of(self.model, &self.model.shown.stages[stage].id, self.theme);
            let mut pen = Pen::on(self.buffer, self.inner, short(line));
            pen.to(self.columns[column].0).put(label, style);
        }
    }

    fn edges(&mut self) {
        let joins = self.model.graph.joins.clone();
        let places = &self.model.graph.places;
        // Straight ones first: others fork off them and meet them.
        let (straight, bent): (Vec<_>, Vec<_>) =
            joins.into_iter().partition(|(from, to)| places[*from].1 == places[*to].1);
        for (from, to) in straight.into_iter().chain(bent) {
            self.edge(from, to);
        }
    }

    fn edge(&mut self, from: usize, to: usize) {
        let (glyphs, model) = (self.theme.glyphs, self.model);
        let places = &model.graph.places;
        let ((start, line), (end, to_line)) = (places[from], places[to]);
        let stages = &model.shown.stages;
        let joins = |edge: &&EdgeSnapshot| edge.from == stages[from].id && edge.to == stages[to].id;
        let fill = model.shown.edges.iter().find(joins).map_or(0.0, |edge| share(edge.length, edge.capacity));
        let (sign, style) = if fill >= FULL { (glyphs.heavy, self.theme.warn) } else { (glyphs.line, self.theme.dim) };
        let level = glyphs.levels[cells(fill, 8).max(1)];
        // Behind the label, which may be shorter than its column.
        let begin = self.behind(start, line);
        let arrow = self.columns[end].0 - 2;
        let bend = if line < to_line { self.columns[start].1 + JOIN } else { arrow + 2 - BETWEEN + JOIN };
        let level_at = if line < to_line { bend + 1 } else { self.columns[start].1 + FILL };
        if line >= to_line {
            let last = if line == to_line { arrow } else { bend };
            for x in begin..last {
                if self.at(x, line) == " " {
                    self.put(x, line, sign, style);
                }
            }
        } else {
            for x in bend + 1..arrow {
                if self.at(x, to_line) == " " {
                    self.put(x, to_line, sign, style);
                }
            }
        }
        if line != to_line {
            self.bend(bend, line, to_line, style);
        }
        self.put(
            level_at,
            if line < to_line { to_line } else { line },
            level,
            if fill >= FULL { style } else { self.theme.bar },
        );
        self.put(arrow, to_line, glyphs.arrow, style);
    }

    /// The first free cell behind the label that begins in a column, a space left out.
    fn behind(&self, column: usize, line: usize) -> u16 {
        let (start, end) = self.columns[column];
        let mut x = end;
        while x > start && self.at(x - 1, line) == " " {
            x -= 1;
        }
        x + 1
    }

    fn bend(&mut self, x: u16, line: usize, to_line: usize, style: Style) {
        let glyphs = self.theme.glyphs;
        let down = line < to_line;
        let (upper, lower) = (line.min(to_line), line.max(to_line));
        let above = if self.at(x, upper) == " " && down { glyphs.top_right } else { glyphs.tee_down };
        let below = match self.at(x, lower) {
            " " if down => glyphs.bottom_left,
            " " => glyphs.bottom_right,
            _ => glyphs.tee_up,
        };
        self.put(x, upper, above, style);
        for between in upper + 1..lower {
            if self.at(x, between) == " " {
                self.put(x, between, glyphs.vertical, style);
            }
        }
        self.put(x, lower, below, style);
    }

    /// What is said below: which stage is the bottleneck, and what signs mean. Only where nothing is drawn.
    fn captions(&mut self) {
        let glyphs = self.theme.glyphs;
        let bottleneck = self.model.shown.stages.iter().position(|stage| self.model.is_bottleneck(&stage.id));
        if let Some(stage) = bottleneck {
            let (column, line) = self.model.graph.places[stage];
            let text = format!("{} BOTTLENECK", glyphs.bottleneck);
            let x = self.columns[column].0;
            // Where something lies to the right of the mark, the word stands to its left.
            let before = x.saturating_sub(11);
            if self.blank(x, line + 1, columns(&text) + 1) {
                Pen::on(self.buffer, self.inner, short(line + 1)).to(x).put(&text, self.theme.bad);
            } else if before > self.inner.x && self.blank(before, line + 1, columns(&text)) {
                let text = format!("BOTTLENECK {}", glyphs.bottleneck);
                Pen::on(self.buffer, self.inner, short(line + 1)).to(before).put(&text, self.theme.bad);
            } else if x > self.inner.x && self.blank(x - 1, line, 1) {
                self.put(x - 1, line, glyphs.bottleneck, self.theme.bad);
            }
        }
        let legend = format!("{} backpressured  {} ok  {} queue fill", glyphs.heavy, glyphs.line, glyphs.levels[8]);
        let last = usize::from(self.inner.height.saturating_sub(1));
        let width = columns(&legend) + 2;
        let x = self.inner.right().saturating_sub(short(width));
        if x > self.inner.x && self.blank(x, last, width) {
            Pen::on(self.buffer, self.inner, short(last)).to(x + 2).put(&legend, self.theme.dim);
        }
    }
}

/// Stage by stage, each with its queue before it, as many a line as fit.
fn listed(model: &Model, labels: &[String], theme: &Theme, inner: Rect, buffer: &mut Buffer) {
    let glyphs = theme.glyphs;
    let mut lines: Vec<Vec<usize>> = vec![Vec::new()];
    let (mut used, mut chosen) = (0, 0);
    for (stage, label) in labels.iter().enumerate() {
        let width = columns(label) + 7;
        if used + width > usize::from(inner.width) && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += width;
        if model.shown.stages[stage].id == model.selected {
            chosen = lines.len() - 1;
        }
        if let Some(line) = lines.last_mut() {
            line.push(stage);
        }
    }
    let height = usize::from(inner.height);
    let first = scrolled(chosen, lines.len(), height);
    for (line, stages) in (0..).zip(lines.iter().skip(first).take(height)) {
        let mut pen = Pen::on(buffer, inner, line);
        for stage in stages {
            let (label, stage) = (&labels[*stage], &model.shown.stages[*stage]);
            let fill = share(stage.queue.length, stage.queue.capacity);
            let (sign, style) = if fill >= FULL { (glyphs.heavy, theme.warn) } else { (glyphs.line, theme.dim) };
            if stage.queue.capacity > 0 {
                pen.put(sign, style).put(glyphs.levels[cells(fill, 8).max(1)], theme.bar);
                pen.put(glyphs.arrow, style).put(" ", style);
            }
            if model.is_bottleneck(&stage.id) {
                pen.put(glyphs.bottleneck, theme.bad);
            }
            pen.put(label, style_of(model, &stage.id, theme)).put("  ", theme.text);
        }
    }
}
