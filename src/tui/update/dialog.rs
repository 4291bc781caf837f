//! Keys while something is asked or listed over the screen. They are fixed: letters are typed there.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::keys::{Action, BINDINGS};
use super::super::message::{Effect, Wish};
use super::super::model::{Asked, Model, Overlay, SORTS};
use super::{act, leave, widths};
use crate::control::Command;
use crate::monitor::RunState;

/// The most letters of a text that is typed.
const TYPED: usize = 60;

pub(super) fn key(model: &mut Model, event: &KeyEvent) -> Vec<Effect> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if control && event.code == KeyCode::Char('c') {
        return interrupt(model);
    }
    if event.code == KeyCode::Esc {
        if let Some(Overlay::Filter { before }) = model.overlay.take() {
            model.filter = before;
            model.arrange();
        }
        return Vec::new();
    }
    let code = match event.code {
        KeyCode::Char('n') if control => KeyCode::Down,
        KeyCode::Char('p') if control => KeyCode::Up,
        KeyCode::Char(_) if control => return Vec::new(),
        code => code,
    };
    match &mut model.overlay {
        None => Vec::new(),
        Some(Overlay::Help { .. }) => help(model, code),
        Some(Overlay::Palette { .. }) => palette(model, code),
        Some(Overlay::Filter { .. }) => filter(model, code),
        Some(Overlay::Number { .. }) => number(model, code),
        Some(Overlay::WorkerWidth { .. }) => worker_width(model, code),
        Some(Overlay::Sort { .. }) => sort(model, code),
        Some(Overlay::Confirm(_)) => confirm(model, code),
        Some(Overlay::Diff { .. }) => diff(model, code),
        Some(Overlay::WhatIf { .. }) => what_if(model, code),
        Some(Overlay::Quit) => quit(model, code),
    }
}

/// A pasted text goes where a typed one would.
pub(super) fn paste(model: &mut Model, text: &str) -> Vec<Effect> {
    for letter in text.chars().filter(|letter| !letter.is_control()).take(TYPED) {
        match &mut model.overlay {
            Some(
                Overlay::Help { .. }
                | Overlay::Palette { .. }
                | Overlay::Filter { .. }
                | Overlay::Number { .. }
                | Overlay::WorkerWidth { .. },
            ) => {
                key(model, &KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
            }
            _ => break,
        }
    }
    Vec::new()
}

/// Ctrl-c in a dialog closes it; in the one that asks about the end it goes a step further each time.
fn interrupt(model: &mut Model) -> Vec<Effect> {
    if !matches!(model.overlay, Some(Overlay::Quit)) {
        model.overlay = None;
        return Vec::new();
    }
    let drains = model.leaving || model.newest.state == RunState::Draining;
    quit(model, KeyCode::Char(if drains { 'a' } else { 'd' }))
}

/// Takes a letter into a text or one off it; says whether the text changed.
fn typed(text: &mut String, code: KeyCode) -> bool {
    match code {
        KeyCode::Char(letter) if text.chars().count() < TYPED => text.push(letter),
        KeyCode::Backspace => return text.pop().is_some(),
        _ => return false,
    }
    true
}

fn help(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::Help { query, scroll }) = &mut model.overlay else { return Vec::new() };
    match code {
        KeyCode::Up => *scroll = scroll.saturating_sub(1),
        KeyCode::Down => *scroll = (*scroll + 1).min(BINDINGS.len()),
        KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
        KeyCode::PageDown => *scroll = (*scroll + 10).min(BINDINGS.len()),
        // The key that opened help closes it while nothing is searched.
        KeyCode::Char('?' | 'q') if query.is_empty() => model.overlay = None,
        KeyCode::Enter | KeyCode::F(1) => model.overlay = None,
        code => {
            if typed(query, code) {
                *scroll = 0;
            }
        }
    }
    Vec::new()
}

fn palette(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::Palette { query, at }) = &mut model.overlay else { return Vec::new() };
    match code {
        KeyCode::Up => *at = at.saturating_sub(1),
        KeyCode::Down => *at += 1,
        KeyCode::Enter => {
            let (query, at) = (std::mem::take(query), *at);
            let found = commands(model, &query).nth(at);
            model.overlay = None;
            return found.map(|action| act::act(model, action)).unwrap_or_default();
        }
        code => {
            if typed(query, code) {
                *at = 0;
            }
        }
    }
    let Some(Overlay::Palette { query, at }) = &model.overlay else { return Vec::new() };
    let (at, last) = (*at, commands(model, query).count().saturating_sub(1));
    if let Some(Overlay::Palette { at: now, .. }) = &mut model.overlay {
        *now = at.min(last);
    }
    Vec::new()
}

/// What can be done now and has a text in its name or its sentence.
pub(crate) fn commands<'a>(model: &'a Model, query: &'a str) -> impl Iterator<Item = Action> + 'a {
    let wanted = query.to_lowercase();
    BINDINGS
        .iter()
        .filter(move |binding| {
            let found = binding.name.contains(&wanted) || binding.help.to_lowercase().contains(&wanted);
            found && model.offers(binding.action)
        })
        .map(|binding| binding.action)
}

fn filter(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    if code == KeyCode::Enter {
        model.overlay = None;
    } else if typed(&mut model.filter, code) {
        model.arrange();
    }
    Vec::new()
}

fn number(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::Number { stage, text }) = &mut model.overlay else { return Vec::new() };
    match code {
        KeyCode::Enter => {
            let (stage, wanted) = (std::mem::take(stage), text.parse::<usize>());
            model.overlay = None;
            return wanted.map(|wanted| widths::set(model, &stage, wanted)).unwrap_or_default();
        }
        KeyCode::Char(letter) if !letter.is_ascii_digit() || text.len() >= 6 => {}
        code => {
            typed(text, code);
        }
    }
    Vec::new()
}

fn worker_width(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::WorkerWidth { text }) = &mut model.overlay else { return Vec::new() };
    if code == KeyCode::Enter {
        let text = std::mem::take(text);
        model.overlay = None;
        return widths::order(model, &text);
    }
    typed(text, code);
    Vec::new()
}

fn sort(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::Sort { at }) = &mut model.overlay else { return Vec::new() };
    let mut chosen = None;
    match code {
        KeyCode::Up | KeyCode::Char('k') => *at = at.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => *at = (*at + 1).min(SORTS.len() - 1),
        KeyCode::Enter => chosen = Some(*at),
        KeyCode::Char(digit) => {
            let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(0);
            chosen = number.checked_sub(1).filter(|at| *at < SORTS.len());
        }
        _ => {}
    }
    if let Some(at) = chosen {
        model.sort = SORTS[at].0;
        model.locked = None;
        model.overlay = None;
        model.arrange();
    }
    Vec::new()
}

fn confirm(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    match code {
        KeyCode::Char('y') | KeyCode::Enter => {}
        KeyCode::Char('n' | 'q') => {
            model.overlay = None;
            return Vec::new();
        }
        _ => return Vec::new(),
    }
    let Some(Overlay::Confirm(asked)) = model.overlay.take() else { return Vec::new() };
    vec![match asked {
        Asked::Pause => Effect::Send(Command::Pause, "paused: what is in hand is finished".into()),
        Asked::Drain => Effect::Send(Command::Drain, "drains: no more documents are taken in".into()),
        Asked::Retry(stage) => Effect::Retry(stage),
    }]
}

fn diff(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::Diff { change, scroll }) = &mut model.overlay else { return Vec::new() };
    match code {
        KeyCode::Up => *scroll = scroll.saturating_sub(1),
        KeyCode::Down => *scroll = (*scroll + 1).min(change.lines.len()),
        KeyCode::Char('y') => {
            let change = std::mem::take(change);
            model.overlay = None;
            return vec![Effect::Write(change)];
        }
        KeyCode::Char('n' | 'q') => model.overlay = None,
        _ => {}
    }
    Vec::new()
}

fn what_if(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let Some(Overlay::WhatIf { changes, at, .. }) = &mut model.overlay else { return Vec::new() };
    match code {
        KeyCode::Up | KeyCode::Char('k') => *at = at.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => *at = (*at + 1).min(changes.len().saturating_sub(1)),
        KeyCode::Left | KeyCode::Char('-') => return widths::slide(model, |width| width.saturating_sub(1)),
        KeyCode::Right | KeyCode::Char('+') => return widths::slide(model, |width| width + 1),
        KeyCode::Char('>') => return widths::slide(model, |width| width.saturating_mul(2)),
        KeyCode::Char('<') => return widths::slide(model, |width| width / 2),
        KeyCode::Enter => return widths::do_what_if(model),
        KeyCode::Char('q') => model.overlay = None,
        _ => {}
    }
    Vec::new()
}

fn quit(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let may = model.refusal().is_none();
    match code {
        KeyCode::Char('d') if may => {
            model.overlay = None;
            model.leaving = true;
            vec![Effect::Send(Command::Drain, "drains; the dashboard goes when it has".into())]
        }
        KeyCode::Char('a') if may => {
            let mut effects = vec![Effect::Send(Command::Stop, String::new())];
            effects.extend(leave(model, Wish::Abort, false));
            effects
        }
        KeyCode::Char('w') => leave(model, Wish::Plain, false),
        KeyCode::Char('n' | 'q') => {
            model.overlay = None;
            Vec::new()
        }
        _ => Vec::new(),
    }
}
