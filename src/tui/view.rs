//! The panels, a file each. Each paints its part of the model into its place and touches nothing else.

pub(super) mod advisor;
pub(super) mod cards;
pub(super) mod chart;
pub(super) mod detail;
mod dialogs;
pub(super) mod events;
pub(super) mod footer;
pub(super) mod graph;
pub(super) mod header;
mod help;
mod palette;
pub(super) mod stages;
pub(super) mod too_small;
mod what_if;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::model::{Model, Overlay};
use super::theme::Theme;

/// How a panel is painted.
pub(super) type Draw = fn(&Model, &Theme, Rect, &mut Buffer);

/// What lies over the screen.
pub(super) fn overlay(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    match &model.overlay {
        // The filter is typed in the footer, so that the stages it leaves are seen.
        None | Some(Overlay::Filter { .. }) => {}
        Some(Overlay::Help { query, scroll }) => help::draw(model, query, *scroll, theme, area, buffer),
        Some(Overlay::Palette { query, at }) => palette::draw(model, query, *at, theme, area, buffer),
        Some(Overlay::WhatIf { changes, at, prediction }) => {
            let content = what_if::Content { changes, at: *at, prediction: prediction.as_deref() };
            what_if::draw(model, &content, theme, area, buffer);
        }
        Some(other) => dialogs::draw(model, other, theme, area, buffer),
    }
}
