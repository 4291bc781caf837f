//! What the screen says is what the snapshot says.

use docmill::tui::{GlyphSet, Options, ThemeName};
use ratatui::style::Color;

use super::fixture::{model, paint, press, signs, snapshot};

pub(super) fn number(text: &str) -> f64 {
    let digits = text.trim_end_matches(['k', 'M']);
    let factor = match text.chars().last() {
        Some('k') => 1e3,
        Some('M') => 1e6,
        _ => 1.0,
    };
    digits.replace(',', "").parse::<f64>().unwrap_or_else(|_| panic!("`{text}` is no number")) * factor
}

/// The word before another.
pub(super) fn before<'a>(text: &'a str, word: &str) -> &'a str {
    let at = text.find(word).unwrap_or_else(|| panic!("`{word}` is not shown:\n{text}"));
    text[..at].split_whitespace().last().expect("a word")
}

pub(super) fn near(shown: f64, told: f64) {
    assert!((shown - told).abs() <= told * 0.01, "{shown} is shown and {told} told");
}

#[test]
fn totals_and_rates_are_those_of_the_snapshot() {
    let told = snapshot();
    let text = signs(&paint(&model(120, 40, Options::default()), ThemeName::Mono, GlyphSet::Block, 120, 40));
    near(number(before(&text, " doc/s")), told.rates.documents);
    near(number(before(&text, " chunk/s")), told.rates.chunks);
    near(number(before(&text, " tok/s")), told.rates.tokens);
    let (ended, seen) = before(&text, "  ETA").split_once('/').expect("a pair");
    let exactly = |text: &str| text.replace(',', "").parse::<u64>().expect("a count");
    assert_eq!((exactly(ended), exactly(seen)), (told.documents.ended(), told.documents.seen));
    for stage in told.stages.iter().filter(|stage| stage.role != "source") {
        let line = text.lines().find(|line| line.contains(&format!(" {}  ", stage.id)) && line.contains("ms"));
        let words: Vec<&str> =
            line.unwrap_or_else(|| panic!("{} is not there:\n{text}", stage.id)).split_whitespace().collect();
        let at = words.iter().position(|word| *word == stage.tier).expect("the tier");
        near(number(words[at + 2]), stage.now.input);
        near(number(words[at + 3]), stage.now.output);
        assert!(words.contains(&format!("{}/{}", stage.queue.length, stage.queue.capacity).as_str()), "{words:?}");
    }
}

/// Ten documents and ten thousand records a second are both told to a hundredth.
#[test]
fn slow_and_fast_runs_are_told_as_exactly() {
    for rate in [0.4, 10.0, 999.0, 10_000.0, 123_456.0] {
        let mut told = snapshot();
        told.rates.documents = rate;
        told.seconds = 253.0;
        let mut model = model(120, 40, Options::default());
        super::fixture::feed(&mut model, told);
        let text = signs(&paint(&model, ThemeName::Mono, GlyphSet::Block, 120, 40));
        near(number(before(&text, " doc/s")), rate);
    }
}

/// Without colours nothing is coloured, and what is selected or wrong is still told from the rest.
#[test]
fn mono_sets_no_colour() {
    for keys in ["j j", "?", ":", "x", "q", "j j 4 enter", "P", "s"] {
        let mut model = model(120, 40, Options::default());
        press(&mut model, keys);
        let buffer = paint(&model, ThemeName::Mono, GlyphSet::Block, 120, 40);
        for cell in buffer.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "after `{keys}`");
        }
        assert!(buffer.content().iter().any(|cell| !cell.modifier.is_empty()));
    }
}

/// Where a terminal has only letters it is given only letters.
#[test]
fn ascii_draws_nothing_else() {
    for keys in ["j j", "?", ":", "x", "q", "j j 4 enter", "j j 1", "2", "3", "5", "P", "s", "l", "V", "b", "a", "/ e"]
    {
        for (width, height) in [(120, 40), (80, 24), (60, 24), (45, 12)] {
            let mut model = model(width, height, Options::default());
            press(&mut model, keys);
            let text = signs(&paint(&model, ThemeName::Mono, GlyphSet::Ascii, width, height));
            // What cannot be shown of a document has a sign of its own, in any terminal.
            assert!(text.replace(char::REPLACEMENT_CHARACTER, "").is_ascii(), "after `{keys}`:\n{text}");
        }
    }
}

/// Nothing of a document reaches the terminal as a command.
#[test]
fn texts_of_documents_are_harmless() {
    let mut model = model(120, 40, Options::default());
    press(&mut model, "j j 4 tab tab tab enter down enter");
    let buffer = paint(&model, ThemeName::Dark, GlyphSet::Block, 120, 40);
    assert!(buffer.content().iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
}
