//! What happens to the model by what comes in. No input or output: whatever is to be done comes out as effects.

mod act;
mod dialog;
mod widths;

pub(super) use dialog::commands;

use std::sync::Arc;

use crossterm::event::{KeyEventKind, MouseButton, MouseEvent, MouseEventKind};

use super::keys::Chord;
use super::layout::{Class, Pane};
use super::message::{Answer, Effect, Message, Wish};
use super::model::{Model, Overlay};
use super::paint::scrolled;
use crate::monitor::Snapshot;

/// Takes in what happened, and says what is to be done.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) if event.kind != KeyEventKind::Release => match model.overlay {
            Some(_) => dialog::key(model, &event),
            None => model.keys.action(Chord::of(&event)).map(|action| act::act(model, action)).unwrap_or_default(),
        },
        Message::Key(_) => Vec::new(),
        Message::Paste(text) => dialog::paste(model, &text),
        Message::Mouse(event) => mouse(model, event),
        Message::Resize(size) => {
            model.size = size;
            Vec::new()
        }
        Message::Snapshot(snapshot) => seen(model, snapshot),
        Message::Past(snapshots) => {
            for snapshot in &snapshots {
                model.history.record(snapshot);
            }
            Vec::new()
        }
        Message::Advised(advice, alerts) => {
            if model.frozen.is_none() {
                model.advice = *advice;
                model.alerts = alerts;
            }
            Vec::new()
        }
        Message::Clock { now, cpu } => {
            model.clock = now;
            model.cpu = cpu;
            if model.said.as_ref().is_some_and(|said| said.until <= now) {
                model.said = None;
            }
            Vec::new()
        }
        Message::Source { live, playback } => {
            model.live = live;
            model.playback = playback;
            Vec::new()
        }
        Message::Answer(answer) => {
            answered(model, answer);
            Vec::new()
        }
    }
}

fn seen(model: &mut Model, snapshot: Arc<Snapshot>) -> Vec<Effect> {
    model.history.record(&snapshot);
    model.widths.see(&snapshot, model.clock);
    let over = snapshot.state.is_over() && model.playback.is_none();
    model.newest = Arc::clone(&snapshot);
    // The end is shown whatever was frozen: nothing comes after it.
    if over {
        model.frozen = None;
    }
    if model.frozen.is_none() {
        show(model, snapshot);
    }
    let goes = over && (model.leaving || !model.options.stay);
    if goes { leave(model, Wish::Leave, false) } else { Vec::new() }
}

/// Puts a snapshot on the screen.
fn show(model: &mut Model, snapshot: Arc<Snapshot>) {
    model.graph.see(&snapshot);
    model.shown = snapshot;
    model.arrange();
}

fn leave(model: &mut Model, wish: Wish, keep: bool) -> Vec<Effect> {
    model.left = Some(wish);
    vec![Effect::Leave(wish, keep)]
}

fn answered(model: &mut Model, answer: Answer) {
    match answer {
        Answer::Sent { result: Ok(told), .. } if told.is_empty() => {}
        Answer::Sent { result: Ok(told), .. } => model.say(told),
        Answer::Sent { stage, result: Err(error) } => {
            model.widths.refused(&stage);
            model.warn(error);
        }
        Answer::Proposed(Ok(change)) if change.lines.is_empty() => {
            model.widths.written(&change.widths);
            model.say("the file says so already");
        }
        Answer::Proposed(Ok(change)) => model.overlay = Some(Overlay::Diff { change, scroll: 0 }),
        Answer::Written(Ok(change)) => {
            model.widths.written(&change.widths);
            model.say(format!("written to {}", change.path.display()));
        }
        Answer::Proposed(Err(error)) | Answer::Written(Err(error)) | Answer::Retried(_, Err(error)) => {
            model.warn(error);
        }
        Answer::Retried(stage, Ok(0)) => model.say(format!("no document of `{stage}` is to be tried again")),
        Answer::Retried(stage, Ok(1)) => model.say(format!("1 document of `{stage}` is tried again")),
        Answer::Retried(stage, Ok(number)) => model.say(format!("{number} documents of `{stage}` are tried again")),
        Answer::Predicted(new) => {
            if let Some(Overlay::WhatIf { prediction, .. }) = &mut model.overlay {
                *prediction = new;
            }
        }
    }
}

/// A click selects a stage or goes to a panel; the wheel moves.
fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.overlay.is_some() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollUp => return act::act(model, super::keys::Action::Up),
        MouseEventKind::ScrollDown => return act::act(model, super::keys::Action::Down),
        MouseEventKind::Down(MouseButton::Left) => {}
        _ => return Vec::new(),
    }
    let plan = model.plan();
    let at = ratatui::layout::Position::new(event.column, event.row);
    let hit = super::layout::PANES.into_iter().find_map(|pane| {
        let place = plan.place(pane).filter(|place| place.contains(at))?;
        Some((pane, place))
    });
    let Some((pane, place)) = hit else { return Vec::new() };
    model.pane = pane;
    if pane == Pane::Stages {
        let (top, lines) = match plan.class {
            Class::Cards => (1, 2),
            Class::Single => (1, 1),
            _ => (2, 1),
        };
        let shown = usize::from(place.height.saturating_sub(top + 1) / lines);
        let first = scrolled(model.row(), model.rows.len(), shown);
        let row = event.row.checked_sub(place.y + top).map(|line| first + usize::from(line / lines));
        let id = row.and_then(|row| model.listed().nth(row)).map(|stage| stage.id.clone());
        if let Some(id) = id {
            model.select(id);
        }
    }
    Vec::new()
}
