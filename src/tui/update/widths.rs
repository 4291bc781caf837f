//! Widths from the keys to commands: bounded by what a stage allows, taken back, proposed to the file.

use super::super::keys::Action;
use super::super::message::Effect;
use super::super::model::{Model, Overlay, named};
use crate::control::Command;
use crate::monitor::{FleetSnapshot, StageSnapshot};
use crate::tune::Change;

/// A key that changes the selected stage's width.
pub(super) fn key(model: &mut Model, action: Action) -> Vec<Effect> {
    let id = model.selected.clone();
    if !can_change(model, &id) {
        return Vec::new();
    }
    let now = model.widths.of(&model.newest, &id);
    let to = match action {
        Action::Wider => now + 1,
        Action::Narrower => now.saturating_sub(1),
        Action::Double => now.saturating_mul(2),
        Action::Halve => now / 2,
        _ => {
            model.overlay = Some(Overlay::Number { stage: id, text: String::new() });
            return Vec::new();
        }
    };
    set(model, &id, to)
}

/// Whether a stage's width can be changed; says why if it cannot.
fn can_change(model: &mut Model, id: &str) -> bool {
    let Some(stage) = model.newest.stage(id) else {
        model.say("no stage is selected");
        return false;
    };
    if stage.min != stage.max {
        return true;
    }
    let why = match stage.role.as_str() {
        "source" => format!("`{id}` is a source: it lists with one worker"),
        "sink" => format!("`{id}` is a sink: its one committer writes in order"),
        _ => format!("`{id}` has a fixed width of {}", stage.min),
    };
    model.say(why);
    false
}

/// Asks for a width, as near to the wanted one as the stage allows.
pub(super) fn set(model: &mut Model, id: &str, wanted: usize) -> Vec<Effect> {
    if !can_change(model, id) {
        return Vec::new();
    }
    let from = model.widths.of(&model.newest, id);
    let Some(to) = model.newest.stage(id).map(|stage| bounded(stage, wanted)) else { return Vec::new() };
    if to == from {
        let bound = if wanted > to { "most" } else { "least" };
        model.say(if wanted == to {
            format!("`{id}` has width {to}")
        } else {
            format!("`{id}` has width {to}: the {bound} that it allows")
        });
        return Vec::new();
    }
    change(model, vec![Change { stage: id.to_owned(), from, to }], "")
}

fn bounded(stage: &StageSnapshot, wanted: usize) -> usize {
    wanted.min(stage.max).max(stage.min)
}

fn change(model: &mut Model, changes: Vec<Change>, why: &str) -> Vec<Effect> {
    let effects = changes.iter().map(|change| command(change, why)).collect();
    model.widths.change(changes, model.clock);
    model.predicted = None;
    effects
}

fn command(change: &Change, why: &str) -> Effect {
    let Change { stage, from, to } = change;
    let command = Command::SetWidth { stage: stage.clone(), width: *to, by: "you".into(), why: why.into() };
    Effect::Send(command, format!("{stage}: width {from} to {to}"))
}

/// Asks for a width of the workers on other machines.
pub(super) fn ask_workers(model: &mut Model) {
    if model.newest.fleet.alive == 0 {
        model.say("no worker on another machine is there");
        return;
    }
    model.overlay = Some(Overlay::WorkerWidth { text: String::new() });
}

/// Has workers change a width, as it was typed: `STAGE=N`, or `WORKER STAGE=N`.
pub(super) fn order(model: &mut Model, text: &str) -> Vec<Effect> {
    match ordered(&model.newest.fleet, text) {
        Ok((command, told)) => vec![Effect::Send(command, told)],
        Err(why) => {
            model.say(why);
            Vec::new()
        }
    }
}

fn ordered(fleet: &FleetSnapshot, text: &str) -> Result<(Command, String), String> {
    let (before, width) = text.rsplit_once('=').ok_or("write it as `embed=4`, or `WORKER embed=4`")?;
    let width: usize = width.trim().parse().ok().filter(|width| *width > 0).ok_or("a width is a number, 1 at least")?;
    let (worker, stage) = before.trim().split_once(' ').map_or(("", before.trim()), |(one, rest)| (one, rest.trim()));
    let mut there = fleet.workers.iter().filter(|one| one.alive && (worker.is_empty() || one.id == worker)).peekable();
    if there.peek().is_none() {
        return Err(format!("no worker `{worker}` is there"));
    }
    if !there.any(|one| one.stages.iter().any(|known| known.id == stage)) {
        return Err(format!("workers have no stage `{stage}` with a width"));
    }
    let of = if worker.is_empty() { "all workers".to_owned() } else { worker.to_owned() };
    let told = format!("{stage}: width {width} wanted of {of}");
    let (worker, stage) = (worker.to_owned(), stage.to_owned());
    Ok((Command::OrderWorkers { worker, stage, width, by: "you".into() }, told))
}

/// Hands the selected stage's width over to the tuner.
pub(super) fn hand_over(model: &mut Model) -> Vec<Effect> {
    let Some(id) = model.stage().map(|stage| stage.id.clone()) else { return Vec::new() };
    if !can_change(model, &id) {
        return Vec::new();
    }
    let told = format!("`{id}`: its width is the tuner's until you set it");
    vec![Effect::Send(Command::HandOver { stage: id, by: "you".into() }, told)]
}

pub(super) fn undo(model: &mut Model, again: bool) -> Vec<Effect> {
    let changes = if again { model.widths.redo(model.clock) } else { model.widths.undo(model.clock) };
    let Some(changes) = changes else {
        model.say(if again { "nothing was taken back" } else { "there is no change of yours to take back" });
        return Vec::new();
    };
    model.predicted = None;
    let why = if again { "made again" } else { "taken back" };
    changes.iter().map(|change| command(change, why)).collect()
}

pub(super) fn propose(model: &mut Model) -> Vec<Effect> {
    let unsaved = model.widths.unsaved(&model.newest);
    if unsaved.is_empty() {
        model.say("every width is as the file says");
        return Vec::new();
    }
    vec![Effect::Propose(unsaved)]
}

/// Does what is proposed first.
pub(super) fn apply(model: &mut Model) -> Vec<Effect> {
    let Some(proposal) = model.proposals().next().cloned() else {
        model.say("there is no proposal");
        return Vec::new();
    };
    model.dismissed.insert(named(&proposal.changes));
    let effects = change(model, proposal.changes, "as advised");
    model.predicted = Some((model.newest.seconds, proposal.prediction));
    effects
}

/// Opens the sliders with the widths that there are.
pub(super) fn what_if(model: &mut Model) -> Vec<Effect> {
    let free = model.newest.stages.iter().filter(|stage| stage.min != stage.max);
    let changes: Vec<Change> =
        free.map(|stage| Change { stage: stage.id.clone(), from: stage.width, to: stage.width }).collect();
    if changes.is_empty() {
        model.say("no stage has a width that can be changed");
        return Vec::new();
    }
    let at = changes.iter().position(|change| change.stage == model.selected).unwrap_or(0);
    model.overlay = Some(Overlay::WhatIf { changes: changes.clone(), at, prediction: None });
    vec![Effect::Predict(changes)]
}

/// Moves a slider.
pub(super) fn slide(model: &mut Model, to: impl Fn(usize) -> usize) -> Vec<Effect> {
    let newest = std::sync::Arc::clone(&model.newest);
    let Some(Overlay::WhatIf { changes, at, .. }) = &mut model.overlay else { return Vec::new() };
    let Some(change) = changes.get_mut(*at) else { return Vec::new() };
    let Some(stage) = newest.stage(&change.stage) else { return Vec::new() };
    change.to = bounded(stage, to(change.to));
    vec![Effect::Predict(changes.clone())]
}

/// Does what the sliders say.
pub(super) fn do_what_if(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::WhatIf { changes, prediction, .. }) = model.overlay.take() else { return Vec::new() };
    let changes: Vec<Change> = changes.into_iter().filter(|change| change.from != change.to).collect();
    if changes.is_empty() {
        model.say("nothing was changed");
        return Vec::new();
    }
    if let Some(refusal) = model.refusal() {
        model.warn(refusal);
        return Vec::new();
    }
    let effects = change(model, changes, "tried on paper");
    model.predicted = prediction.map(|prediction| (model.newest.seconds, *prediction));
    effects
}
