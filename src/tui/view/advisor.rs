//! What bounds the run, what would speed it up and what that would bring; then alerts, and what
//! earlier changes brought.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::keys::Action;
use super::super::layout::Pane;
use super::super::model::Model;
use super::super::paint::{Pen, frame, short};
use super::super::text::{bytes, columns, rate, signed, span, whole, wrap};
use super::super::theme::Theme;
use crate::report::printable;
use crate::tune::{Change, Outcome, Prediction};

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let confidence = &model.advice.confidence;
    let title = if confidence.is_empty() { "Advisor".to_owned() } else { format!("Advisor  confidence {confidence}") };
    let hints = hints(model, usize::from(area.width).saturating_sub(if area.height < 8 { title.len() + 8 } else { 4 }));
    // Where there are few lines the keys stand in the frame.
    let low = area.height < 8;
    let focus = model.pane == Pane::Advisor && !model.zoomed;
    let inner = frame(buffer, area, &title, if low { &hints } else { "" }, focus, theme);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = inner.height.saturating_sub(u16::from(!low));
    let width = usize::from(inner.width);
    let texts = texts(model, theme, width);
    for (line, (text, style)) in (0..lines).zip(&texts) {
        Pen::on(buffer, inner, line).put(text, *style);
    }
    if texts.len() > usize::from(lines) && lines > 0 {
        let more = format!(" {} {} more: e", theme.glyphs.dots, texts.len() - usize::from(lines));
        Pen::on(buffer, inner, lines - 1).last(&more, theme.dim);
    }
    if !low && !hints.is_empty() {
        Pen::on(buffer, inner, lines).put(&hints, theme.key);
    }
}

/// The keys that do something here now.
fn hints(model: &Model, room: usize) -> String {
    let unsaved = model.unsaved();
    let mut hints = String::new();
    for action in [Action::Apply, Action::Dismiss, Action::WhatIf, Action::WriteFile] {
        let Some(key) = model.keys.of(action).first().filter(|_| model.offers(action)) else { continue };
        let label = action.binding().label;
        let hint = match (action, unsaved) {
            (Action::WriteFile, 1) => format!("{key} {label} 1 change"),
            (Action::WriteFile, unsaved) => format!("{key} {label} {unsaved} changes"),
            _ => format!("{key} {label}"),
        };
        if columns(&hints) + columns(&hint) + 2 <= room {
            hints.push_str(if hints.is_empty() { "" } else { "  " });
            hints.push_str(&hint);
        }
    }
    hints
}

fn texts(model: &Model, theme: &Theme, width: usize) -> Vec<(String, Style)> {
    let mut texts = Vec::new();
    let mut add = |text: &str, style: Style, indent: usize| {
        for (line, part) in wrap(text, width.saturating_sub(indent)).into_iter().enumerate() {
            // What goes on in the next line stands under what it belongs to.
            let before = if line == 0 { indent.saturating_sub(2) } else { indent };
            texts.push((format!("{:before$}{part}", ""), style));
        }
    };
    let bottleneck = &model.advice.bottleneck;
    if bottleneck.stage.is_empty() {
        add("nothing has run long enough to say what limits it", theme.dim, 0);
    } else {
        let text = format!("{} limits the run ({}): {}", bottleneck.stage, bottleneck.resource, bottleneck.because);
        add(&printable(&text), theme.title, 2);
    }
    for (number, proposal) in model.proposals().enumerate() {
        let changes = changes(&proposal.changes, theme);
        let text = format!("{} {changes}: {}", number + 1, predicted(&proposal.prediction, model, theme));
        add(&printable(&text), theme.good, 2);
        add(&printable(&proposal.because), theme.text, 2);
    }
    for alert in &model.alerts {
        let stage = if alert.stage.is_empty() { String::new() } else { format!("{}: ", alert.stage) };
        let since = span((model.moment() - alert.since).max(0.0));
        add(&printable(&format!("! {stage}{} (for {since})", alert.text)), theme.bad, 2);
    }
    for note in &model.advice.notes {
        add(&printable(note), theme.text, 2);
    }
    for outcome in model.advice.outcomes.iter().rev() {
        add(&printable(&told(outcome, theme)), theme.text, 2);
    }
    texts
}

/// `parse 12→16, embed 6→8`
pub(super) fn changes(changes: &[Change], theme: &Theme) -> String {
    let to = theme.glyphs.to;
    changes
        .iter()
        .map(|change| format!("{} {}{to}{}", change.stage, change.from, change.to))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `73.1→92.0 doc/s (84.0…97.0), CPU 13.8→18.2 of 32, in flight 1.7G; then embed limits (provider)`
pub(super) fn predicted(prediction: &Prediction, model: &Model, theme: &Theme) -> String {
    let (to, range) = (theme.glyphs.to, theme.glyphs.range);
    let mut text = format!("{}{to}{} doc/s", rate(prediction.now), rate(prediction.then));
    if prediction.high > 0.0 {
        text.push_str(&format!(" ({}{range}{})", rate(prediction.low), rate(prediction.high)));
    }
    let host = &model.shown.host;
    if prediction.cpus > 0.0 {
        text.push_str(&format!(", CPU {:.1}{to}{:.1} of {:.0}", host.cpus_used, prediction.cpus, host.cpus));
    }
    if prediction.memory > 0.0 {
        text.push_str(&format!(", in flight {}", bytes(whole(prediction.memory))));
    }
    if !prediction.limit.stage.is_empty() {
        text.push_str(&format!("; then {} limits ({})", prediction.limit.stage, prediction.limit.resource));
    }
    if prediction.extrapolated {
        text.push_str("; a guess: never seen so wide");
    }
    text
}

/// `04:02 parse 8→12: predicted +35%, measured +31% (+28…+34)`
pub(super) fn told(outcome: &Outcome, theme: &Theme) -> String {
    let glyphs = theme.glyphs;
    let change = &outcome.change;
    let at = super::super::text::clock(outcome.at);
    let mut text = format!("{at} {} {}{}{}: ", change.stage, change.from, glyphs.to, change.to);
    if let Some(predicted) = outcome.predicted {
        text.push_str(&format!("predicted {}, ", signed(predicted)));
    }
    text.push_str(&format!("measured {}", signed(outcome.measured)));
    if outcome.within != (0.0, 0.0) {
        text.push_str(&format!(" ({}{}{})", signed(outcome.within.0), glyphs.range, signed(outcome.within.1)));
    }
    if outcome.reverted {
        text.push_str(", taken back");
    }
    text
}

/// How many lines a text takes in a panel of a width; for dialogs that tell a prediction.
pub(super) fn lines(text: &str, width: usize) -> u16 {
    short(wrap(text, width).len())
}
