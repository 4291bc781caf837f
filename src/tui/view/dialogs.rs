//! What is asked before something is done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::link::FileChange;
use super::super::model::{Asked, Model, Overlay, SORTS};
use super::super::paint::{Pen, clear, frame, middle, short};
use super::super::text::{columns, fit};
use super::super::theme::Theme;
use crate::report::{count, printable};

/// A line of a dialog: its key, if it has one, and a text.
type Line = (String, String, Style);

pub(super) fn draw(model: &Model, overlay: &Overlay, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    match overlay {
        Overlay::Number { stage, text } => {
            let range = model.newest.stage(stage).map(|stage| format!("{} to {}", stage.min, stage.max));
            let typed = (String::new(), format!("width: {text}{}", theme.glyphs.levels[8]), theme.title);
            let range = (String::new(), range.unwrap_or_default(), theme.dim);
            window(&format!("Width of {}", printable(stage)), "Enter sets it", &[typed, range], theme, area, buffer);
        }
        Overlay::WorkerWidth { text } => {
            let typed = (String::new(), format!("{text}{}", theme.glyphs.levels[8]), theme.title);
            let how = (String::new(), "embed=4 for all, WORKER embed=4 for one".to_owned(), theme.dim);
            window("Width of workers", "Enter tells them", &[typed, how], theme, area, buffer);
        }
        Overlay::Sort { at } => {
            let line = |(number, (_, name)): (usize, &(_, &str))| {
                let style = if number == *at { theme.text.patch(theme.selected) } else { theme.text };
                let key = if number == *at { theme.glyphs.select } else { " " };
                (key.to_owned(), format!("{} {name:<8}", number + 1), style)
            };
            window("Sort by", "Enter", &SORTS.iter().enumerate().map(line).collect::<Vec<_>>(), theme, area, buffer);
        }
        Overlay::Confirm(asked) => confirm(model, asked, theme, area, buffer),
        Overlay::Diff { change, scroll } => diff(change, *scroll, theme, area, buffer),
        Overlay::Quit => quit(model, theme, area, buffer),
        // The others have files of their own.
        Overlay::Help { .. } | Overlay::Palette { .. } | Overlay::Filter { .. } | Overlay::WhatIf { .. } => {}
    }
}

fn confirm(model: &Model, asked: &Asked, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let unfinished = count(model.newest.documents.unfinished);
    let (title, what) = match asked {
        Asked::Pause => ("Pause the run?", format!("no documents are taken in; {unfinished} in hand are finished")),
        Asked::Drain => ("Drain and stop?", format!("{unfinished} documents in hand are finished, no others begun")),
        Asked::Retry(stage) => {
            let failed = model.newest.stage(stage).map_or(0, |stage| stage.failed);
            ("Try again?", format!("{} documents that failed at {} go in again", count(failed), printable(stage)))
        }
    };
    let lines = [
        (String::new(), what, theme.text),
        (String::new(), String::new(), theme.text),
        ("y".into(), "yes".into(), theme.text),
        ("n".into(), "no".into(), theme.text),
    ];
    window(title, "", &lines, theme, area, buffer);
}

fn quit(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let unfinished = count(model.newest.documents.unfinished);
    let mut lines = Vec::new();
    if model.refusal().is_none() {
        lines.push(("d".into(), format!("drain: finish the {unfinished} documents in hand, then stop"), theme.text));
        lines.push(("a".into(), "abort: stop now; the next run takes up what is unfinished".into(), theme.bad));
    }
    lines.push(("w".into(), "watch on in plain lines: the run goes on".into(), theme.text));
    lines.push(("Esc".into(), "back".into(), theme.text));
    window("Leave the run?", "", &lines, theme, area, buffer);
}

/// A dialog as large as what is in it.
fn window(title: &str, note: &str, lines: &[Line], theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let keys = lines.iter().map(|(key, ..)| columns(key)).max().unwrap_or(0);
    let wide = lines.iter().map(|(_, text, _)| columns(text) + keys + 4).max().unwrap_or(0);
    let width = short(wide.max(columns(title) + columns(note) + 8) + 2);
    let place = middle(area, width, short(lines.len()) + 2);
    clear(buffer, place, theme);
    let inner = frame(buffer, place, title, note, true, theme);
    for (line, (key, text, style)) in (0..).zip(lines) {
        let mut pen = Pen::on(buffer, inner, line);
        pen.put(" ", theme.text);
        if keys > 0 {
            pen.left(key, keys, theme.key, theme).put("  ", theme.text);
        }
        let room = pen.room();
        pen.left(text, room, *style, theme);
    }
}

/// The lines of a file as they are and as they will be.
fn diff(change: &FileChange, scroll: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let path = printable(&change.path.display().to_string());
    let lines: Vec<(usize, char, &str)> = change
        .lines
        .iter()
        .flat_map(|line| {
            let before = line.before.as_deref().map(|text| (line.number, '-', text));
            before.into_iter().chain(line.after.as_deref().map(|text| (line.number, '+', text)))
        })
        .collect();
    let place = middle(area, 96, short(lines.len()) + 4);
    clear(buffer, place, theme);
    let title = format!("Write {} to {}", widths(change), fit(&path, 60, theme.glyphs.dots));
    let inner = frame(buffer, place, &title, "", true, theme);
    let shown = inner.height.saturating_sub(2);
    let first = scroll.min(lines.len().saturating_sub(usize::from(shown)));
    for (line, (number, sign, text)) in (0..shown).zip(lines.iter().skip(first)) {
        let style = if *sign == '+' { theme.good } else { theme.bad };
        let mut pen = Pen::on(buffer, inner, line);
        pen.right(&number.to_string(), 5, theme.dim).put(" ", theme.text);
        pen.put(if *sign == '+' { "+" } else { "-" }, style);
        let room = pen.room();
        pen.left(&printable(text), room, style, theme);
    }
    let mut pen = Pen::on(buffer, inner, inner.height.saturating_sub(1));
    pen.put(" y", theme.key).put(" write   ", theme.text).put("n", theme.key).put(" leave it   ", theme.text);
    pen.whole("comments stay; refused if the file changed meanwhile", theme.dim);
}

fn widths(change: &FileChange) -> String {
    if change.widths.len() == 1 { "1 width".into() } else { format!("{} widths", change.widths.len()) }
}
