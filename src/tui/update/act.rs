//! What each action does where no dialog is open.

use std::sync::Arc;

use super::super::keys::Action;
use super::super::layout::{Class, PANES, Pane};
use super::super::message::{Effect, Wish};
use super::super::model::{Asked, Model, Overlay, SORTS, Seat, Tab, WINDOWS, named};
use super::super::replay::Seek;
use super::{leave, show, widths};
use crate::control::Command;
use crate::report::place;

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if action.binding().writes {
        if let Some(refusal) = model.refusal() {
            model.warn(refusal);
            return Vec::new();
        }
        if model.newest.state.is_over() && action != Action::WriteFile {
            model.warn("the run is over: it takes no commands");
            return Vec::new();
        }
    }
    match action {
        Action::Up | Action::Down | Action::First | Action::Last | Action::PageUp | Action::PageDown => {
            return moved(model, action);
        }
        Action::Left | Action::Right => return travel(model, action == Action::Right),
        Action::Enter => open(model),
        Action::Back => back(model),
        Action::NextPane => next_pane(model),
        Action::ZoomPane => model.zoomed = !model.zoomed,
        Action::Tab1 => tab(model, Tab::Latency),
        Action::Tab2 => tab(model, Tab::Workers),
        Action::Tab3 => tab(model, Tab::Queue),
        Action::Tab4 => tab(model, Tab::Errors),
        Action::Tab5 => tab(model, Tab::Settings),
        Action::Wider | Action::Narrower | Action::Double | Action::Halve | Action::SetWidth => {
            return widths::key(model, action);
        }
        Action::WorkerWidth => widths::ask_workers(model),
        Action::HandOver => return widths::hand_over(model),
        Action::Undo | Action::Redo => return widths::undo(model, action == Action::Redo),
        Action::WriteFile => return widths::propose(model),
        Action::Apply => return widths::apply(model),
        Action::Dismiss => dismiss(model),
        Action::WhatIf => return widths::what_if(model),
        Action::Pause => return pause(model),
        Action::Drain => model.overlay = Some(Overlay::Confirm(Asked::Drain)),
        Action::Retry => retry(model),
        Action::Quit => return quit(model, false),
        Action::QuitKeep => return quit(model, true),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Freeze => return freeze(model),
        Action::ZoomIn | Action::ZoomOut => return zoom_time(model, action == Action::ZoomOut),
        Action::Copy => return copy(model),
        Action::Mouse => {
            model.mouse = !model.mouse;
            model.say(if model.mouse { "the mouse selects stages" } else { "the mouse is the terminal's" });
            return vec![Effect::Mouse(model.mouse)];
        }
        Action::NextTheme => return vec![Effect::NextTheme],
        other => look(model, other),
    }
    Vec::new()
}

/// What changes only how things are shown.
fn look(model: &mut Model, action: Action) {
    match action {
        Action::Filter => model.overlay = Some(Overlay::Filter { before: model.filter.clone() }),
        Action::Sort => {
            let at = SORTS.iter().position(|(sort, _)| *sort == model.sort).unwrap_or(0);
            model.overlay = Some(Overlay::Sort { at });
        }
        Action::Reverse => {
            model.reversed = !model.reversed;
            model.arrange();
        }
        Action::Lock => {
            let order = model.listed().map(|stage| stage.id.clone()).collect();
            model.locked = if model.locked.is_none() { Some(order) } else { None };
            model.say(if model.locked.is_some() { "the order is kept" } else { "the order follows the figures" });
            model.arrange();
        }
        Action::Baseline => {
            model.baseline = match model.baseline.take() {
                Some(_) => None,
                None => Some(model.options.baseline.clone().unwrap_or(("then".into(), model.shown.rates.documents))),
            };
        }
        Action::Graph => model.graph_hidden = !model.graph_hidden,
        Action::GraphFull => whole(model, Pane::Graph),
        Action::Log => whole(model, Pane::Events),
        Action::Palette => model.overlay = Some(Overlay::Palette { query: String::new(), at: 0 }),
        Action::Help => model.overlay = Some(Overlay::Help { query: String::new(), scroll: 0 }),
        _ => {}
    }
}

/// Gives a panel the whole screen, or takes it back.
fn whole(model: &mut Model, pane: Pane) {
    let on = !(model.zoomed && model.pane == pane);
    model.zoomed = on;
    model.pane = if on { pane } else { Pane::Stages };
}

fn moved(model: &mut Model, action: Action) -> Vec<Effect> {
    if model.playback.is_some() && matches!(action, Action::First | Action::Last) {
        return vec![Effect::Seek(if action == Action::First { Seek::Start } else { Seek::End })];
    }
    let page = usize::from(model.size.height / 2).max(1);
    let to = |at: usize, most: usize| match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(most),
        Action::First => 0,
        Action::Last => most,
        Action::PageUp => at.saturating_sub(page),
        _ => (at + page).min(most),
    };
    match model.pane {
        Pane::Events => {
            // Events grow upwards: going up goes back.
            let most = model.shown.events.len().saturating_sub(1);
            model.events_back = most - to(most - model.events_back.min(most), most);
        }
        Pane::Detail if model.document.is_some() => {}
        Pane::Detail if model.tab == Tab::Errors => {
            model.failure = to(model.failure, model.failures().count().saturating_sub(1));
        }
        _ => {
            let row = to(model.row(), model.rows.len().saturating_sub(1));
            let id = model.listed().nth(row).map(|stage| stage.id.clone());
            if let Some(id) = id {
                model.select(id);
            }
        }
    }
    Vec::new()
}

/// Goes back or forth in time: in a recording, or in what is remembered while the view is frozen.
fn travel(model: &mut Model, forward: bool) -> Vec<Effect> {
    if model.playback.is_some() {
        return vec![Effect::Seek(Seek::By(if forward { 5.0 } else { -5.0 }))];
    }
    if model.frozen.is_some() {
        let at = model.shown.seconds;
        let other = if forward { model.history.after(at) } else { model.history.before(at - 0.01) };
        if let Some(snapshot) = other.map(Arc::clone) {
            show(model, snapshot);
        }
    }
    Vec::new()
}

fn open(model: &mut Model) {
    match model.pane {
        Pane::Detail if model.tab != Tab::Errors => model.tab = Tab::Errors,
        Pane::Detail => {
            let document = model.failures().nth(model.failure).cloned();
            if document.is_some() {
                model.document = document;
            }
        }
        Pane::Stages | Pane::Graph | Pane::Chart => {
            model.zoomed = model.plan().place(Pane::Detail).is_none() || model.zoomed;
            model.pane = Pane::Detail;
        }
        Pane::Advisor | Pane::Events => model.zoomed = true,
    }
}

/// One level up: a document, the whole screen, a panel, a filter; never out.
fn back(model: &mut Model) {
    if model.document.take().is_some() {
        return;
    }
    if model.zoomed || model.pane != Pane::Stages {
        // A panel that has only the whole screen is left with it.
        model.zoomed = false;
        model.pane = Pane::Stages;
        model.events_back = 0;
    } else if !model.filter.is_empty() {
        model.filter.clear();
        model.arrange();
    } else {
        model.said = None;
    }
}

fn next_pane(model: &mut Model) {
    let zoomed = std::mem::replace(&mut model.zoomed, false);
    let plan = model.plan();
    let at = PANES.iter().position(|pane| *pane == model.pane).unwrap_or(0);
    let mut others = (1..=PANES.len()).map(|step| PANES[(at + step) % PANES.len()]);
    // With the whole screen for one, each of them has its turn, also those that otherwise have no place.
    model.pane = others.find(|pane| zoomed || plan.place(*pane).is_some()).unwrap_or_default();
    model.zoomed = zoomed;
}

fn tab(model: &mut Model, tab: Tab) {
    model.tab = tab;
    model.document = None;
    let plan = model.plan();
    // A panel that is not on the screen is brought there, but where tabs choose a figure.
    if plan.place(Pane::Detail).is_none() && plan.class > Class::Single {
        model.pane = Pane::Detail;
        model.zoomed = true;
    }
}

fn dismiss(model: &mut Model) {
    let first = model.proposals().next().map(|proposal| named(&proposal.changes));
    match first {
        Some(name) => {
            model.dismissed.insert(name);
        }
        None => model.say("there is no proposal"),
    }
}

fn pause(model: &mut Model) -> Vec<Effect> {
    if model.newest.paused {
        return vec![Effect::Send(Command::Resume, "the run goes on".into())];
    }
    model.overlay = Some(Overlay::Confirm(Asked::Pause));
    Vec::new()
}

fn retry(model: &mut Model) {
    let failed = model.stage().map_or(0, |stage| stage.failed);
    if failed == 0 {
        model.say(format!("no document has failed at `{}`", model.selected));
        return;
    }
    model.overlay = Some(Overlay::Confirm(Asked::Retry(model.selected.clone())));
}

fn quit(model: &mut Model, keep: bool) -> Vec<Effect> {
    let asks = model.options.seat == Seat::Owner && !model.newest.state.is_over();
    if !asks {
        return leave(model, Wish::Leave, keep);
    }
    model.overlay = Some(Overlay::Quit);
    Vec::new()
}

fn freeze(model: &mut Model) -> Vec<Effect> {
    if model.playback.is_some() {
        return vec![Effect::Seek(Seek::Toggle)];
    }
    if model.frozen.take().is_some() {
        let newest = Arc::clone(&model.newest);
        show(model, newest);
    } else if model.newest.state.is_over() {
        model.say("the run is over: nothing moves");
    } else {
        model.frozen = Some(model.clock);
    }
    Vec::new()
}

fn zoom_time(model: &mut Model, out: bool) -> Vec<Effect> {
    if model.playback.is_some() && model.pane != Pane::Chart {
        return vec![Effect::Seek(Seek::Faster(out))];
    }
    let step = if out { model.window + 1 } else { model.window.saturating_sub(1) };
    model.window = step.min(WINDOWS.len() - 1);
    Vec::new()
}

/// What is selected, as a text: the document that is looked at, the advisor's sentence, or the stage.
fn copy(model: &mut Model) -> Vec<Effect> {
    let bottleneck = &model.advice.bottleneck;
    let text = match (model.pane, &model.document) {
        (Pane::Detail, Some(document)) => place(&document.document),
        (Pane::Detail, None) if model.tab == Tab::Errors => {
            model.failures().nth(model.failure).map(|ended| place(&ended.document)).unwrap_or_default()
        }
        (Pane::Advisor, _) if !bottleneck.stage.is_empty() => format!("{}: {}", bottleneck.stage, bottleneck.because),
        _ => model.selected.clone(),
    };
    if text.is_empty() {
        model.say("there is nothing to copy");
        return Vec::new();
    }
    model.say("copied, if the terminal allows it");
    vec![Effect::Copy(text)]
}
