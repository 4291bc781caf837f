//! The whole screen from its panels.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::{Class, Pane};
use super::model::Model;
use super::theme::Theme;
use super::view;

/// Paints the model. It reads no clock and asks nobody: the same model gives the same picture.
pub fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(*buffer.area());
    buffer.set_style(area, theme.text);
    let plan = model.plan_in(area.as_size());
    if plan.class == Class::TooSmall {
        view::too_small::draw(model, theme, area, buffer);
        return;
    }
    view::header::draw(model, theme, plan.header, buffer);
    let panes: [(Pane, view::Draw); 6] = [
        (Pane::Graph, view::graph::draw),
        (Pane::Stages, stages(plan.class)),
        (Pane::Chart, view::chart::draw),
        (Pane::Detail, view::detail::draw),
        (Pane::Advisor, view::advisor::draw),
        (Pane::Events, view::events::draw),
    ];
    for (pane, draw) in panes {
        if let Some(place) = plan.place(pane) {
            draw(model, theme, place, buffer);
        }
    }
    view::footer::draw(model, theme, plan.footer, buffer);
    let body = Rect { height: area.height.saturating_sub(1), ..area };
    view::overlay(model, theme, body, buffer);
}

fn stages(class: Class) -> view::Draw {
    match class {
        Class::TooSmall | Class::Single => view::cards::single,
        Class::Cards => view::cards::draw,
        Class::Compact | Class::Wide | Class::Full => view::stages::draw,
    }
}
