//! All keys, and what the signs mean; what is typed narrows them down.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keys::BINDINGS;
use super::super::model::Model;
use super::super::paint::{Pen, clear, frame, middle, scrolled};
use super::super::text::columns;
use super::super::theme::Theme;
use crate::report::printable;

pub(super) fn draw(model: &Model, query: &str, scroll: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let place = middle(area, 100, area.height);
    clear(buffer, place, theme);
    let typed = if query.is_empty() { "type to search".to_owned() } else { format!("search: {}", printable(query)) };
    let inner = frame(buffer, place, "Keys", &format!("{typed}   Esc closes"), true, theme);
    let lines = lines(model, query, theme);
    let shown = usize::from(inner.height);
    // The last page is full: scrolling ends there.
    let first = scroll.min(scrolled(lines.len(), lines.len(), shown));
    for (line, (keys, text)) in (0..).zip(lines.iter().skip(first).take(shown)) {
        let mut pen = Pen::on(buffer, inner, line);
        if keys.is_empty() {
            pen.put(" ", theme.text).put(text, theme.title);
            continue;
        }
        pen.put("  ", theme.text).left(keys, 15, theme.key, theme).put(" ", theme.text);
        let room = pen.room();
        pen.left(text, room, theme.text, theme);
    }
}

/// Keys and a sentence; no keys for a heading.
fn lines(model: &Model, query: &str, theme: &Theme) -> Vec<(String, String)> {
    let wanted = query.to_lowercase();
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut group = None;
    for binding in BINDINGS {
        let keys: Vec<String> = model.keys.of(binding.action).iter().map(ToString::to_string).collect();
        let keys = if keys.is_empty() { format!(":{}", binding.name) } else { keys.join(" ") };
        let found =
            binding.help.to_lowercase().contains(&wanted) || binding.name.contains(&wanted) || keys.contains(query);
        // What may not be done is not listed: it would only be refused.
        if !found || binding.writes && model.refusal().is_some() {
            continue;
        }
        if group != Some(binding.group) {
            group = Some(binding.group);
            lines.push((String::new(), binding.group.title().to_owned()));
        }
        lines.push((keys, binding.help.to_owned()));
    }
    let glyphs = theme.glyphs;
    let signs = [
        (glyphs.busy, "busy: workers work"),
        (glyphs.held, "held: they wait for a CPU, memory, a retry or a model service"),
        (glyphs.blocked, "blocked: they wait for room in the next queue"),
        (glyphs.starved, "starved: they wait for something to do"),
        (glyphs.bottleneck, "the stage that limits the run"),
        ("*", "a width that the file does not say; after the name, how many"),
        ("!", "a full queue; in the first line, how many alerts there are"),
    ];
    let found: Vec<_> = signs.into_iter().filter(|(_, text)| text.contains(&wanted)).collect();
    if !found.is_empty() {
        lines.push((String::new(), "Signs".into()));
        lines.extend(found.into_iter().map(|(sign, text)| (sign.to_owned(), text.to_owned())));
    }
    if lines.is_empty() {
        lines.push((String::new(), "nothing of that".into()));
    }
    debug_assert!(lines.iter().all(|(keys, _)| columns(keys) < 40));
    lines
}
