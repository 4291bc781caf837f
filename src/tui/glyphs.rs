//! The signs that the screen is drawn with: as fine as the terminal's font allows, or letters that every terminal has.

use std::fmt;
use std::str::FromStr;

/// Which signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GlyphSet {
    /// Blocks, and curves in braille, which some fonts lack.
    Braille,
    /// Blocks and lines.
    #[default]
    Block,
    /// What every terminal has.
    Ascii,
}

impl GlyphSet {
    /// What the environment's locale allows.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        // The first that is set decides, as in every C library.
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { Self::Block } else { Self::Ascii }
    }

    pub(super) fn glyphs(self) -> &'static Glyphs {
        match self {
            Self::Braille => &BRAILLE,
            Self::Block => &BLOCK,
            Self::Ascii => &ASCII,
        }
    }
}

impl fmt::Display for GlyphSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Braille => "braille",
            Self::Block => "block",
            Self::Ascii => "ascii",
        })
    }
}

impl FromStr for GlyphSet {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = [Self::Braille, Self::Block, Self::Ascii].into_iter().find(|set| set.to_string() == name);
        found.ok_or_else(|| format!("there is no set of glyphs `{name}`\nhint: braille, block or ascii"))
    }
}

/// The signs of a set.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// Whether curves are drawn in braille.
    pub(super) braille: bool,
    /// A bar's last cell, from empty to full.
    pub(super) eighths: [&'static str; 9],
    /// A column's top cell, from empty to full.
    pub(super) levels: [&'static str; 9],
    pub(super) busy: &'static str,
    pub(super) held: &'static str,
    pub(super) blocked: &'static str,
    pub(super) starved: &'static str,
    pub(super) line: &'static str,
    pub(super) heavy: &'static str,
    pub(super) arrow: &'static str,
    pub(super) select: &'static str,
    pub(super) bottleneck: &'static str,
    pub(super) live: &'static str,
    pub(super) dead: &'static str,
    pub(super) times: &'static str,
    pub(super) to: &'static str,
    pub(super) dots: &'static str,
    pub(super) falls: &'static str,
    pub(super) rises: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) left: &'static str,
    pub(super) right: &'static str,
    pub(super) predicted: &'static str,
    pub(super) baseline: &'static str,
    pub(super) vertical: &'static str,
    pub(super) top_left: &'static str,
    pub(super) top_right: &'static str,
    pub(super) bottom_left: &'static str,
    pub(super) bottom_right: &'static str,
    pub(super) tee_down: &'static str,
    pub(super) tee_up: &'static str,
    pub(super) tee_left: &'static str,
    pub(super) dot: &'static str,
    /// The range from a low to a high figure.
    pub(super) range: &'static str,
}

const BLOCK: Glyphs = Glyphs {
    braille: false,
    eighths: [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    levels: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    busy: "█",
    held: "▓",
    blocked: "▒",
    starved: "░",
    line: "─",
    heavy: "═",
    arrow: "▶",
    select: "▶",
    bottleneck: "▲",
    live: "●",
    dead: "○",
    times: "×",
    to: "→",
    dots: "…",
    falls: "▼",
    rises: "▲",
    up: "↑",
    down: "↓",
    left: "←",
    right: "→",
    predicted: "┄",
    baseline: "┈",
    vertical: "│",
    top_left: "┌",
    top_right: "┐",
    bottom_left: "└",
    bottom_right: "┘",
    tee_down: "┬",
    tee_up: "┴",
    tee_left: "┤",
    dot: "·",
    range: "…",
};

const BRAILLE: Glyphs = Glyphs { braille: true, ..BLOCK };

const ASCII: Glyphs = Glyphs {
    braille: false,
    eighths: [" ", " ", " ", "-", "-", "=", "=", "#", "#"],
    levels: [" ", "_", ".", "-", "=", "+", "*", "%", "#"],
    busy: "#",
    held: "+",
    blocked: "=",
    starved: ".",
    line: "-",
    heavy: "=",
    arrow: ">",
    select: ">",
    bottleneck: "^",
    live: "*",
    dead: "o",
    times: "x",
    to: ">",
    dots: "~",
    falls: "v",
    rises: "^",
    up: "up",
    down: "down",
    left: "left",
    right: "right",
    predicted: "-",
    baseline: ".",
    vertical: "|",
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    tee_down: "+",
    tee_up: "+",
    tee_left: "|",
    dot: ".",
    range: "..",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses() {
        let of = |pairs: &[(&str, &str)]| {
            GlyphSet::of(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")]), GlyphSet::Block);
        assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]), GlyphSet::Ascii);
        assert_eq!(of(&[]), GlyphSet::Ascii);
        assert_eq!("braille".parse(), Ok(GlyphSet::Braille));
    }
}
