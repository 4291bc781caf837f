//! A screen as a picture: an SVG file that shows what the terminal showed. For documentation and for reports of problems;
//! it needs no font beyond a monospaced one.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier};

use super::draw::draw;
use super::glyphs::GlyphSet;
use super::keys::Keys;
use super::link::Advisor;
use super::message::Message;
use super::model::{Model, Options};
use super::theme::{Theme, ThemeName};
use super::update::update;
use crate::monitor::Recording;

/// A cell's size, in the units of the picture: what a monospaced font of [`FONT`] takes.
const WIDTH: f64 = 8.0;
const HEIGHT: f64 = 17.0;
const FONT: f64 = 13.3;
/// Around the screen.
const MARGIN: f64 = 12.0;

/// What stands for the terminal's own colours.
const GROUND: &str = "#11151c";
const TEXT: &str = "#d7dce2";

/// The sixteen colours that a terminal names, as most of them show them on a dark ground.
const NAMED: [&str; 16] = [
    "#1b1f27", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf", "#5c6370", "#ff7a85",
    "#b5e890", "#ffd787", "#7cc4ff", "#e29bf5", "#7fdbe6", "#ffffff",
];

/// What the dashboard of a recorded run showed at a moment, in seconds from the run's start, with a stage selected, as SVG.
pub fn picture(
    recording: &Recording,
    advisor: &mut dyn Advisor,
    (at, select): (f64, Option<&str>),
    (columns, rows): (u16, u16),
    theme: ThemeName,
) -> String {
    let mut model = Model::new(Size::new(columns, rows), Options::default(), Keys::default());
    update(&mut model, Message::Source { live: true, playback: None });
    for snapshot in recording.snapshots.iter().filter(|snapshot| snapshot.seconds <= at) {
        let (advice, alerts) = advisor.advise(snapshot);
        update(&mut model, Message::Advised(Box::new(advice), alerts));
        update(&mut model, Message::Snapshot(std::sync::Arc::new(snapshot.clone())));
    }
    if let Some(stage) = select {
        model.select(stage.to_owned());
    }
    let area = Rect::new(0, 0, columns, rows);
    let mut screen = Buffer::empty(area);
    draw(&model, &Theme::new(theme, GlyphSet::Block), area, &mut screen);
    let pipeline = recording.last().map_or("", |last| last.pipeline.as_str());
    svg(&screen, &format!("docmill's dashboard while it runs {pipeline}"))
}

/// The screen as SVG. `title` is what a screen reader says of it.
#[must_use]
pub fn svg(screen: &Buffer, title: &str) -> String {
    let (columns, rows) = (f64::from(screen.area.width), f64::from(screen.area.height));
    let (width, height) = (columns * WIDTH + 2.0 * MARGIN, rows * HEIGHT + 2.0 * MARGIN);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\"><title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"{FONT}\" \
         xml:space=\"preserve\">\n",
        escaped(title)
    );
    for row in 0..screen.area.height {
        for run in runs(screen, row) {
            run.draw(&mut out, f64::from(row));
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Cells of one style beside each other.
struct Run {
    column: u16,
    cells: u16,
    text: String,
    color: String,
    ground: Option<String>,
    modifier: Modifier,
}

impl Run {
    fn draw(&self, out: &mut String, row: f64) {
        let (x, y) = (MARGIN + f64::from(self.column) * WIDTH, MARGIN + row * HEIGHT);
        let width = f64::from(self.cells) * WIDTH;
        if let Some(ground) = &self.ground {
            let _ =
                writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{ground}\"/>");
        }
        if self.text.trim().is_empty() {
            return;
        }
        let bold = if self.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        let dim = if self.modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
        let under = if self.modifier.contains(Modifier::UNDERLINED) { " text-decoration=\"underline\"" } else { "" };
        let (base, color, text) = (y + HEIGHT * 0.76, &self.color, escaped(&self.text));
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{base:.1}\" fill=\"{color}\" textLength=\"{width}\" \
             lengthAdjust=\"spacingAndGlyphs\"{bold}{dim}{under}>{text}</text>"
        );
    }
}

fn runs(screen: &Buffer, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..screen.area.width {
        let Some(cell) = screen.cell((screen.area.x + column, screen.area.y + row)) else { continue };
        let reversed = cell.modifier.contains(Modifier::REVERSED);
        let (front, back) = (css(cell.fg), css(cell.bg));
        let (color, ground) = if reversed {
            (back.unwrap_or_else(|| GROUND.into()), Some(front.unwrap_or_else(|| TEXT.into())))
        } else {
            (front.unwrap_or_else(|| TEXT.into()), back)
        };
        // The second half of a wide character holds nothing, or a space.
        let symbol = cell.symbol();
        match runs.last_mut() {
            Some(run) if run.color == color && run.ground == ground && run.modifier == cell.modifier => {
                run.cells += 1;
                run.text.push_str(symbol);
            }
            _ => runs.push(Run { column, cells: 1, text: symbol.to_owned(), color, ground, modifier: cell.modifier }),
        }
    }
    runs
}

/// A colour for the web; `None` for the terminal's own.
fn css(color: Color) -> Option<String> {
    let named = |index: usize| Some(NAMED[index].to_owned());
    match color {
        Color::Reset => None,
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        Color::Indexed(index) => Some(indexed(index)),
    }
}

/// The 256 colours: sixteen named, a cube of six by six by six, and greys.
fn indexed(index: u8) -> String {
    match index {
        0..=15 => NAMED[usize::from(index)].to_owned(),
        16..=231 => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let cube = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn a_screen_is_drawn_run_by_run_and_nothing_of_it_is_markup() {
        let mut screen = Buffer::empty(Rect::new(0, 0, 12, 2));
        screen.set_string(0, 0, "<b>&", Style::new().fg(Color::Red));
        screen.set_string(0, 1, "picked", Style::new().add_modifier(Modifier::REVERSED));
        let drawn = svg(&screen, "a <title>");
        assert!(drawn.contains("&lt;b&gt;&amp;</text>") && drawn.contains("<title>a &lt;title&gt;</title>"), "{drawn}");
        assert_eq!(drawn.matches("<text ").count(), 2, "{drawn}");
        let reversed = format!("<rect x=\"12\" y=\"29\" width=\"48\" height=\"17\" fill=\"{TEXT}\"/>");
        assert!(drawn.contains(&reversed), "{drawn}");
    }

    #[test]
    fn the_cube_and_the_greys_are_as_terminals_have_them() {
        assert_eq!([indexed(16), indexed(231), indexed(196)], ["#000000", "#ffffff", "#ff0000"]);
        assert_eq!([indexed(232), indexed(255)], ["#080808", "#eeeeee"]);
    }
}
