//! The few strokes that all panels are drawn with: text that stays in its line, bars, frames.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{cells, columns, fit, float, size_float};
use super::theme::Theme;

/// A share of a whole, from 0 to 1; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (float(part) / float(whole)).clamp(0.0, 1.0) }
}

/// A size of the screen from a count; what is larger than any screen is cut.
pub(super) fn short(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Puts one sign of one column into a cell; nothing beyond the screen, and nothing that is no sign.
pub(super) fn sign(buffer: &mut Buffer, x: u16, y: u16, sign: &str, style: Style) {
    let control = sign.as_bytes().first().is_none_or(u8::is_ascii_control);
    if let Some(cell) = buffer.cell_mut((x, y)).filter(|_| !control) {
        cell.set_symbol(sign).set_style(style);
    }
}

/// Writes along one line and never beyond it.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    pub(super) x: u16,
    y: u16,
    end: u16,
}

impl<'a> Pen<'a> {
    /// At the beginning of a line of an area; nothing is written on one that is not there.
    pub(super) fn on(buffer: &'a mut Buffer, area: Rect, line: u16) -> Self {
        let area = area.intersection(*buffer.area());
        let end = if line < area.height { area.right() } else { area.x };
        Self { buffer, x: area.x, y: area.y.saturating_add(line), end }
    }

    /// How many columns are left.
    pub(super) fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    /// Writes a text; what goes beyond the line is cut.
    pub(super) fn put(&mut self, text: &str, style: Style) -> &mut Self {
        if self.x >= self.end || text.is_empty() {
            return self;
        }
        if text.is_ascii() {
            // Most texts are: a cell a letter, without looking for what belongs together.
            for at in 0..text.len().min(self.room()) {
                sign(self.buffer, self.x, self.y, &text[at..=at], style);
                self.x += 1;
            }
        } else {
            let (x, _) = self.buffer.set_stringn(self.x, self.y, text, self.room(), style);
            self.x = x;
        }
        self
    }

    /// Writes a text if the whole of it has room.
    pub(super) fn whole(&mut self, text: &str, style: Style) -> bool {
        let fits = columns(text) <= self.room();
        if fits {
            self.put(text, style);
        }
        fits
    }

    /// Leaves some columns out.
    pub(super) fn skip(&mut self, columns: usize) -> &mut Self {
        self.x = self.x.saturating_add(short(columns)).min(self.end.max(self.x));
        self
    }

    /// Goes to a column, counted from the buffer's left.
    pub(super) fn to(&mut self, x: u16) -> &mut Self {
        self.x = x.max(self.x);
        self
    }

    /// Writes a text in a column of so many cells, from the left, and goes behind it.
    pub(super) fn left(&mut self, text: &str, width: usize, style: Style, theme: &Theme) -> &mut Self {
        let after = self.x.saturating_add(short(width));
        self.put(&fit(text, width.min(self.room()), theme.glyphs.dots), style);
        self.x = after;
        self
    }

    /// The same from the right.
    pub(super) fn right(&mut self, text: &str, width: usize, style: Style) -> &mut Self {
        let after = self.x.saturating_add(short(width));
        self.skip(width.saturating_sub(columns(text))).put(text, style);
        self.x = after;
        self
    }

    /// Writes a text at the line's end, if it has room, and ends the line before it.
    pub(super) fn last(&mut self, text: &str, style: Style) -> bool {
        let width = columns(text);
        if width == 0 || width > self.room() {
            return false;
        }
        let start = self.end - short(width);
        self.buffer.set_stringn(start, self.y, text, width, style);
        self.end = start;
        true
    }

    /// Writes a sign so many times.
    pub(super) fn fill(&mut self, sign: &str, times: usize, style: Style) -> &mut Self {
        for _ in 0..times.min(self.room()) {
            self::sign(self.buffer, self.x, self.y, sign, style);
            self.x += 1;
        }
        self
    }

    /// A bar that is filled by a share; the rest shows what it could be.
    pub(super) fn bar(&mut self, share: f64, width: usize, style: Style, theme: &Theme) -> &mut Self {
        let eighths = cells(share, width * 8);
        // What is there is seen, however little it is.
        let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
        let (full, part) = (eighths / 8, eighths % 8);
        self.fill(theme.glyphs.eighths[8], full, style);
        if part > 0 {
            self.put(theme.glyphs.eighths[part], style);
        }
        self.fill(theme.glyphs.starved, width - full - usize::from(part > 0), theme.dim)
    }

    /// How workers spent their time: busy, held, blocked, starved.
    pub(super) fn time(&mut self, shares: [f64; 4], width: usize, theme: &Theme) -> &mut Self {
        let signs = [
            (theme.glyphs.busy, theme.busy),
            (theme.glyphs.held, theme.held),
            (theme.glyphs.blocked, theme.blocked),
            (theme.glyphs.starved, theme.starved),
        ];
        if shares.iter().sum::<f64>() <= 0.0 {
            return self.fill(theme.glyphs.dot, width, theme.dim);
        }
        for ((sign, style), times) in signs.into_iter().zip(divided(shares, width)) {
            self.fill(sign, times, style);
        }
        self
    }

    /// A small curve, a cell a value; nothing where nothing is known. The greatest value is as high as the cell.
    pub(super) fn curve(&mut self, values: &[Option<f64>], style: Style, theme: &Theme) -> &mut Self {
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        for value in values {
            let level = match value {
                None => 0,
                Some(value) if *value <= 0.0 || most <= 0.0 => 1,
                Some(value) => cells(value / most, 7) + 1,
            };
            self.fill(theme.glyphs.levels[level], 1, style);
        }
        self
    }
}

/// Divides cells by shares so that none is lost and the largest remainders are rounded up.
pub(super) fn divided(shares: [f64; 4], width: usize) -> [usize; 4] {
    let sum: f64 = shares.iter().map(|share| share.max(0.0)).sum();
    if sum <= 0.0 {
        return [0; 4];
    }
    let exact = shares.map(|share| share.max(0.0) / sum * size_float(width));
    let mut whole = shares.map(|share| cells(share.max(0.0) / sum, width));
    let mut missing = width.saturating_sub(whole.iter().sum());
    let mut order = [0, 1, 2, 3];
    order.sort_by(|a, b| {
        let rest = |at: &usize| exact[*at] - size_float(whole[*at]);
        rest(b).total_cmp(&rest(a))
    });
    for at in order {
        if missing > 0 && exact[at] > 0.0 {
            whole[at] += 1;
            missing -= 1;
        }
    }
    whole
}

/// Draws a frame with a title on the left and a note on the right, and gives the area in it.
pub(super) fn frame(buffer: &mut Buffer, area: Rect, title: &str, note: &str, focus: bool, theme: &Theme) -> Rect {
    let glyphs = theme.glyphs;
    let style = if focus { theme.focus } else { theme.border };
    let area = area.intersection(*buffer.area());
    if area.width < 2 || area.height < 2 {
        return Rect { height: 0, ..area };
    }
    let across = usize::from(area.width - 2);
    Pen::on(buffer, area, 0).put(glyphs.top_left, style).fill(glyphs.line, across, style).put(glyphs.top_right, style);
    let bottom = area.height - 1;
    let mut pen = Pen::on(buffer, area, bottom);
    pen.put(glyphs.bottom_left, style).fill(glyphs.line, across, style).put(glyphs.bottom_right, style);
    for line in 1..bottom {
        let y = area.y + line;
        sign(buffer, area.x, y, glyphs.vertical, style);
        sign(buffer, area.right() - 1, y, glyphs.vertical, style);
    }
    let top = Rect { x: area.x + 1, width: area.width - 2, height: 1, ..area };
    let mut pen = Pen::on(buffer, top, 0);
    let title = fit(title, pen.room().saturating_sub(3), glyphs.dots);
    pen.put(" ", style).put(&title, theme.title).put(" ", style);
    if !note.is_empty() && columns(note) + 3 <= pen.room() {
        let at = top.right() - short(columns(note)) - 2;
        pen.to(at).put(" ", style).put(note, theme.dim).put(" ", style);
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

/// Empties an area, and gives what was under it no colour.
pub(super) fn clear(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    let area = area.intersection(*buffer.area());
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
                cell.set_style(theme.text);
            }
        }
    }
}

/// An area of a size in the middle of another, as far as it fits.
pub(super) fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
}

/// From which line a list is shown so that the selected one is seen.
pub(super) fn scrolled(selected: usize, lines: usize, shown: usize) -> usize {
    selected.saturating_sub(shown / 2).min(lines.saturating_sub(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_lost_and_none_won() {
        for busy in 0..=20_u32 {
            for held in 0..=(20 - busy) {
                let (busy, held) = (f64::from(busy) / 20.0, f64::from(held) / 20.0);
                for width in 1..24 {
                    assert_eq!(divided([busy, held, 0.0, 1.0 - busy - held], width).iter().sum::<usize>(), width);
                }
            }
        }
        assert_eq!(divided([0.5, 0.0, 0.25, 0.25], 8), [4, 0, 2, 2]);
    }
}
