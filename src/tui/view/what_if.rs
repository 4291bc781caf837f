//! Widths tried on paper: a slider a stage, and what it would bring.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::model::Model;
use super::super::paint::{Pen, clear, frame, middle, scrolled, short};
use super::super::text::{size_float, wrap};
use super::super::theme::Theme;
use super::advisor::{lines, predicted};
use crate::report::printable;
use crate::tune::{Change, Prediction};

/// What is tried.
pub(super) struct Content<'a> {
    pub(super) changes: &'a [Change],
    pub(super) at: usize,
    pub(super) prediction: Option<&'a Prediction>,
}

pub(super) fn draw(model: &Model, content: &Content<'_>, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let told = match content.prediction {
        Some(prediction) => predicted(prediction, model, theme),
        None => "too little was measured to predict anything".to_owned(),
    };
    let told = printable(&told);
    let width = 78.min(area.width);
    let below = lines(&told, usize::from(width.saturating_sub(4))) + 2;
    let place = middle(area, width, (short(content.changes.len()) + below + 2).min(area.height));
    clear(buffer, place, theme);
    let inner = frame(buffer, place, "What if", "nothing is changed until Enter", true, theme);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let shown = usize::from(inner.height.saturating_sub(below).max(1));
    let first = scrolled(content.at, content.changes.len(), shown);
    for (line, (row, change)) in (0..).zip(content.changes.iter().enumerate().skip(first).take(shown)) {
        let selected = row == content.at;
        if selected {
            buffer.set_style(Rect { y: inner.y + line, height: 1, ..inner }, theme.selected);
        }
        let mut pen = Pen::on(buffer, inner, line);
        pen.put(if selected { theme.glyphs.select } else { " " }, theme.key).put(" ", theme.text);
        pen.left(&printable(&change.stage), 14, theme.text, theme).put(" ", theme.text);
        let most = model.newest.stage(&change.stage).map_or(change.to, |stage| stage.max);
        // A slider over all that is allowed would not move for a stage that may have thousands.
        let whole = most.min(change.from.max(change.to).max(4) * 2);
        let room = pen.room().saturating_sub(18);
        pen.bar(size_float(change.to) / size_float(whole.max(1)), room, theme.bar, theme);
        let moved = change.from != change.to;
        let figures =
            if moved { format!(" {}{}{}", change.from, theme.glyphs.to, change.to) } else { format!(" {}", change.to) };
        pen.put(&figures, if moved { theme.warn } else { theme.text });
        pen.last(&format!("most {most}"), theme.dim);
    }
    let from = short(shown.min(content.changes.len())) + 1;
    for (line, text) in (from..).zip(wrap(&told, usize::from(inner.width))) {
        Pen::on(buffer, inner, line).put(&text, if content.prediction.is_some() { theme.good } else { theme.dim });
    }
    let (left, right) = (theme.glyphs.left, theme.glyphs.right);
    Pen::on(buffer, inner, inner.height.saturating_sub(1))
        .put(&format!("{left}/{right} by one  < > halve, double  Enter does it  Esc leaves it"), theme.dim);
}
