//! What happened last, the latest at the top.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::layout::Pane;
use super::super::model::Model;
use super::super::paint::{Pen, frame};
use super::super::text::clock;
use super::super::theme::Theme;
use crate::monitor::{Event, EventKind};
use crate::report::printable;

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let events = &model.shown.events;
    let title = match model.events_back {
        0 => "Events".to_owned(),
        back => format!("Events  {back} later ones above"),
    };
    let inner = frame(buffer, area, &title, "l full log", model.pane == Pane::Events && !model.zoomed, theme);
    if events.is_empty() {
        Pen::on(buffer, inner, 0).skip(1).put("nothing yet", theme.dim);
        return;
    }
    let mut line = 0;
    let mut later: Option<u64> = None;
    for event in events.iter().rev().skip(model.events_back) {
        // Numbers have no gaps: what is missing came too fast to be kept.
        if let Some(missing) =
            later.and_then(|later| later.checked_sub(event.number + 1)).filter(|missing| *missing > 0)
        {
            let text = format!("{} {missing} more that are not kept", theme.glyphs.dots);
            Pen::on(buffer, inner, line).skip(7).put(&text, theme.dim);
            line += 1;
        }
        later = Some(event.number);
        if line >= inner.height {
            break;
        }
        one(event, theme, &mut Pen::on(buffer, inner, line));
        line += 1;
    }
}

fn one(event: &Event, theme: &Theme, pen: &mut Pen<'_>) {
    let (sign, style) = sign(event, theme);
    pen.put(" ", theme.text).put(&clock(event.at), theme.dim).put(" ", theme.text).put(sign, style);
    let who = if event.by.is_empty() { "run" } else { &event.by };
    pen.put(" ", theme.text).left(&printable(who), 6, theme.dim, theme).put(" ", theme.text);
    if !event.stage.is_empty() {
        pen.left(&printable(&event.stage), 10, theme.text, theme).put(" ", theme.text);
    }
    if let (Some(from), Some(to)) = (event.from, event.to) {
        pen.put(&format!("W {from}{}{to}  ", theme.glyphs.to), theme.title);
    }
    let text = printable(&event.text);
    let room = pen.room();
    let style = if matches!(event.kind, EventKind::Failure | EventKind::Alert) { style } else { theme.text };
    pen.left(&text, room, style, theme);
}

fn sign(event: &Event, theme: &Theme) -> (&'static str, Style) {
    match event.kind {
        EventKind::Alert => ("!", theme.bad),
        EventKind::Failure => ("x", theme.bad),
        EventKind::Width if event.to < event.from => ("-", theme.good),
        EventKind::Width => ("+", theme.good),
        EventKind::HandOver => (">", theme.title),
        EventKind::Advice => ("=", theme.good),
        EventKind::Run => ("*", theme.title),
        EventKind::Note => (".", theme.dim),
    }
}
