//! No size and no state makes it fall or write beyond its screen.

use docmill::monitor::Snapshot;
use docmill::tui::{GlyphSet, Keys, Message, Model, Options, ThemeName, update};
use proptest::prelude::*;
use ratatui::layout::Size;

use super::fixture::{feed, model, paint, press, snapshot};
use super::pictures::{many, wide};

/// Keys that bring every panel and every dialog to the screen.
const KEYS: [&str; 24] = [
    "",
    "1",
    "2",
    "3",
    "4",
    "5",
    "V",
    "l",
    "v",
    "?",
    ": w",
    "/ p",
    "s",
    "=",
    "x right",
    "q",
    "P",
    "D",
    "tab e",
    "tab tab e",
    "enter enter enter",
    "b",
    "space left",
    "j j j j R",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn it_is_drawn_at_every_size(
        width in 1_u16..=200, height in 1_u16..=80, keys in 0..KEYS.len(), state in 0..4_u8, theme in 0..4_usize, glyphs in 0..3_u8,
    ) {
        let mut model = Model::new(Size { width, height }, Options::default(), Keys::default());
        let state = match state {
            0 => Snapshot::default(),
            1 => many(),
            2 => wide(),
            _ => snapshot(),
        };
        feed(&mut model, state);
        press(&mut model, KEYS[keys]);
        let glyphs = [GlyphSet::Block, GlyphSet::Ascii, GlyphSet::Braille][usize::from(glyphs)];
        let _ = paint(&model, ThemeName::ALL[theme], glyphs, width, height);
        // The model may know of another size than the buffer has, in the moment when a terminal shrinks.
        let _ = paint(&model, ThemeName::ALL[theme], glyphs, width.min(20), height.min(8));
    }
}

/// Each size once, with all there is on the screen.
#[test]
fn a_whole_run_is_drawn_at_every_size() {
    let mut model = model(120, 40, Options::default());
    for width in (1..=200).step_by(7) {
        for height in (1..=80).step_by(7) {
            update(&mut model, Message::Resize(Size { width, height }));
            let _ = paint(&model, ThemeName::Dark, GlyphSet::Block, width, height);
        }
    }
}
