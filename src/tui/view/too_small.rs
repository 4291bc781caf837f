//! What is said where nothing else fits.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::layout::LEAST;
use super::super::model::Model;
use super::super::paint::Pen;
use super::super::text::wrap;
use super::super::theme::Theme;

pub(in super::super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let needed = format!("{}x{}", LEAST.width, LEAST.height);
    let size = format!("terminal too small: {}x{}, needed {needed}", model.size.width, model.size.height);
    let goes = if model.shown.state.is_over() { "(the run is over; q quits)" } else { "(the run goes on; q quits)" };
    let mut lines = wrap(&size, usize::from(area.width));
    lines.extend(wrap(goes, usize::from(area.width)));
    for (line, text) in (0..).zip(&lines) {
        Pen::on(buffer, area, line).put(text, theme.text);
    }
}
