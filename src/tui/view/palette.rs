//! All that can be done now, by name, with its key; what is typed narrows it down.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keys::Action;
use super::super::model::Model;
use super::super::paint::{Pen, clear, frame, middle, scrolled, short};
use super::super::theme::Theme;
use super::super::update::commands;
use crate::report::printable;

pub(super) fn draw(model: &Model, query: &str, at: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let found: Vec<Action> = commands(model, query).collect();
    let place = middle(area, 84, short(found.len() + 3).clamp(5, area.height.saturating_sub(2).max(5)));
    clear(buffer, place, theme);
    let inner = frame(buffer, place, "Commands", "Enter does it   Esc closes", true, theme);
    let mut pen = Pen::on(buffer, inner, 0);
    pen.put(" :", theme.key).put(&printable(query), theme.title).put(theme.glyphs.levels[8], theme.key);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if found.is_empty() {
        Pen::on(buffer, list, 0).put("  nothing of that", theme.dim);
    }
    let shown = usize::from(list.height);
    let first = scrolled(at, found.len(), shown);
    for (line, (row, action)) in (0..).zip(found.iter().enumerate().skip(first).take(shown)) {
        let binding = action.binding();
        let selected = row == at;
        if selected {
            buffer.set_style(Rect { y: list.y + line, height: 1, ..list }, theme.selected);
        }
        let mut pen = Pen::on(buffer, list, line);
        pen.put(if selected { theme.glyphs.select } else { " " }, theme.key).put(" ", theme.text);
        pen.left(binding.name, 12, theme.title, theme).put(" ", theme.text);
        let key = model.keys.of(*action).first().map(ToString::to_string).unwrap_or_default();
        pen.left(&key, 8, theme.key, theme).put(" ", theme.text);
        let room = pen.room();
        pen.left(binding.help, room, theme.text, theme);
    }
}
