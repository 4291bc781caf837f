//! The last line: what was just said, what is typed, or the keys that do something now, the most useful first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::keys::Action;
use super::super::layout::Pane;
use super::super::model::{Model, Overlay};
use super::super::paint::Pen;
use super::super::text::{columns, rate, span};
use super::super::theme::Theme;
use crate::report::{count, printable};

/// What is offered, in the order in which it is dropped from the end.
const OFFERED: [&[Action]; 16] = [
    &[Action::Help],
    &[Action::Quit],
    &[Action::Wider, Action::Narrower],
    &[Action::Left, Action::Right],
    &[Action::Freeze],
    &[Action::Enter],
    &[Action::Back],
    &[Action::Undo],
    &[Action::WriteFile],
    &[Action::Apply],
    &[Action::Up, Action::Down],
    &[Action::Filter],
    &[Action::Sort],
    &[Action::Pause],
    &[Action::Palette],
    &[Action::ZoomPane],
];

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let mut pen = Pen::on(buffer, inner, 0);
    if matches!(model.overlay, Some(Overlay::Filter { .. })) {
        pen.put("/", theme.key).put(&printable(&model.filter), theme.title).put(theme.glyphs.levels[8], theme.key);
        pen.whole("   Enter keeps it   Esc leaves it   ! at the start: all others", theme.dim);
        return;
    }
    if let Some(said) = &model.said {
        let first = printable(&said.text);
        let room = pen.room();
        pen.left(&first, room, if said.bad { theme.bad } else { theme.good }, theme);
        return;
    }
    if model.overlay.is_some() {
        pen.put("esc", theme.key).put(" back", theme.text);
        return;
    }
    if model.shown.state.is_over() && model.playback.is_none() {
        over(model, theme, &mut pen);
        return;
    }
    let mut room = pen.room();
    let mut shown = Vec::new();
    for actions in OFFERED {
        if !actions.iter().all(|action| offers(model, *action)) {
            continue;
        }
        let keys = keys(model, actions, theme);
        let label = label(model, actions[0]);
        let width = columns(&keys) + columns(label) + 3;
        if keys.is_empty() || width > room + 2 {
            continue;
        }
        room = room.saturating_sub(width);
        shown.push((actions[0], keys, label));
    }
    shown.sort_by_key(|(action, ..)| place(*action));
    for (_, keys, label) in shown {
        pen.put(&keys, theme.key).put(" ", theme.text).put(label, theme.text).put("  ", theme.text);
    }
}

/// How it ended, in a line, and the way out before all.
fn over(model: &Model, theme: &Theme, pen: &mut Pen<'_>) {
    for action in [Action::Help, Action::Quit] {
        let keys = keys(model, &[action], theme);
        pen.last(&format!(" {}  ", action.binding().label), theme.text);
        pen.last(&keys, theme.key);
    }
    let snapshot = &*model.shown;
    let documents = &snapshot.documents;
    let (seen, rate) = (count(documents.seen), rate(snapshot.documents_per_second()));
    pen.put(&format!("{seen} documents in {}, {rate}/s", span(snapshot.seconds)), theme.title);
    for (number, state) in [
        (documents.done, "done"),
        (documents.failed, "failed"),
        (documents.unchanged, "unchanged"),
        (documents.skipped, "skipped"),
        (documents.cancelled, "cancelled"),
        (documents.unfinished, "unfinished"),
    ] {
        if number > 0 {
            let alarming = state == "failed" || state == "unfinished";
            pen.whole(&format!("  {} {state}", count(number)), if alarming { theme.bad } else { theme.text });
        }
    }
}

/// Where a key stands: what is done most on the left, the way out on the right.
fn place(action: Action) -> usize {
    match action {
        Action::Up => 0,
        Action::Quit => 100,
        Action::Help => 99,
        action => OFFERED.iter().position(|actions| actions[0] == action).unwrap_or(50) + 1,
    }
}

fn offers(model: &Model, action: Action) -> bool {
    match action {
        Action::Back => {
            model.zoomed || model.pane != Pane::Stages || model.document.is_some() || !model.filter.is_empty()
        }
        Action::Freeze => model.playback.is_some() || !model.shown.state.is_over(),
        action => model.offers(action),
    }
}

fn label(model: &Model, action: Action) -> &'static str {
    match action {
        Action::Freeze if model.playback.is_some_and(|playback| playback.playing) => "stop",
        Action::Freeze if model.playback.is_some() => "play",
        Action::Freeze if model.frozen.is_some() => "go on",
        Action::Left => "time",
        Action::Pause if model.newest.paused => "resume run",
        action => action.binding().label,
    }
}

/// The first key of each action, as short as can be.
fn keys(model: &Model, actions: &[Action], theme: &Theme) -> String {
    let glyphs = theme.glyphs;
    let mut text = String::new();
    for action in actions {
        let Some(chord) = model.keys.of(*action).first() else { continue };
        let name = chord.to_string();
        let sign = match name.as_str() {
            "up" => glyphs.up,
            "down" => glyphs.down,
            "left" => glyphs.left,
            "right" => glyphs.right,
            name => name,
        };
        // Arrows are told apart without a stroke between them.
        if !text.is_empty() && (sign.is_ascii() || sign == name) {
            text.push('/');
        }
        text.push_str(sign);
    }
    text
}
