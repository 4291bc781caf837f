//! Colours and glyphs. A colour never says anything alone: a glyph, a letter or a word goes with it, so that the screen
//! reads the same without colours.

use std::fmt;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};

use super::glyphs::{GlyphSet, Glyphs};

/// Which colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// True colours on a dark ground.
    Dark,
    /// True colours on a light ground.
    Light,
    /// No colours: bold, reversed and dim.
    Mono,
    /// The terminal's own sixteen colours, on its own ground.
    #[default]
    Ansi16,
}

impl ThemeName {
    /// All of them, in the order in which a key goes through them.
    pub const ALL: [Self; 4] = [Self::Dark, Self::Light, Self::Ansi16, Self::Mono];

    /// What the environment asks for: none with `NO_COLOR` or a terminal that has none; true colours where `COLORTERM` tells
    /// of them; sixteen otherwise.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb" || term.starts_with("vt")) {
            return Self::Mono;
        }
        if !set("COLORTERM").is_some_and(|colours| colours == "truecolor" || colours == "24bit") {
            return Self::Ansi16;
        }
        // `15;0`: what is written and what it is written on, by the numbers of the sixteen colours.
        let ground = set("COLORFGBG").and_then(|pair| pair.rsplit(';').next()?.parse::<u8>().ok());
        if matches!(ground, Some(7 | 15)) { Self::Light } else { Self::Dark }
    }

    /// The next, in a circle.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|name| *name == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
            Self::Ansi16 => "ansi16",
        })
    }
}

impl FromStr for ThemeName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|theme| theme.to_string() == name);
        found.ok_or_else(|| format!("there is no theme `{name}`\nhint: dark, light, ansi16 or mono"))
    }
}

/// What everything is drawn with.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Which it is.
    pub name: ThemeName,
    pub(super) glyphs: &'static Glyphs,
    pub(super) text: Style,
    pub(super) dim: Style,
    pub(super) title: Style,
    pub(super) border: Style,
    /// The border of the panel that keys go to.
    pub(super) focus: Style,
    pub(super) selected: Style,
    /// A key that can be pressed.
    pub(super) key: Style,
    pub(super) good: Style,
    pub(super) warn: Style,
    pub(super) bad: Style,
    pub(super) busy: Style,
    pub(super) held: Style,
    pub(super) blocked: Style,
    pub(super) starved: Style,
    /// Bars and curves.
    pub(super) bar: Style,
    /// What is predicted, or was earlier.
    pub(super) ghost: Style,
}

impl Theme {
    /// A theme with a set of glyphs.
    #[must_use]
    pub fn new(name: ThemeName, glyphs: GlyphSet) -> Self {
        let rgb = |hex: u32| {
            let [_, red, green, blue] = hex.to_be_bytes();
            Color::Rgb(red, green, blue)
        };
        let palette = match name {
            ThemeName::Dark => [0x80_88_96, 0x59_b4_ff, 0x6c_cf_7e, 0xf0_b3_4a, 0xff_6b_6b, 0xc0_92_ff].map(rgb),
            ThemeName::Light => [0x6a_71_7d, 0x00_5f_b8, 0x1a_7f_37, 0x95_5b_00, 0xc6_24_24, 0x7b_3f_c4].map(rgb),
            ThemeName::Ansi16 => {
                [Color::DarkGray, Color::Cyan, Color::Green, Color::Yellow, Color::Red, Color::Magenta]
            }
            ThemeName::Mono => return Self::mono(glyphs),
        };
        // Most texts have the terminal's own colour: nobody knows for sure what ground it is on.
        let text = Style::new();
        let [dim, accent, good, warn, bad, held] = palette.map(|colour| Style::new().fg(colour));
        let selected = match name {
            ThemeName::Dark => Style::new().fg(rgb(0xff_ff_ff)).bg(rgb(0x2a_32_40)),
            ThemeName::Light => Style::new().fg(rgb(0x20_24_2b)).bg(rgb(0xdc_e8_f6)),
            _ => Style::new(),
        };
        let selected = selected.add_modifier(Modifier::BOLD);
        Self {
            name,
            glyphs: glyphs.glyphs(),
            text,
            dim,
            title: text.add_modifier(Modifier::BOLD),
            border: dim,
            focus: accent,
            selected,
            key: accent.add_modifier(Modifier::BOLD),
            good,
            warn: warn.add_modifier(Modifier::BOLD),
            bad: bad.add_modifier(Modifier::BOLD),
            busy: good,
            held,
            blocked: warn,
            starved: dim,
            bar: accent,
            ghost: held,
        }
    }

    fn mono(glyphs: GlyphSet) -> Self {
        let (plain, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        Self {
            name: ThemeName::Mono,
            glyphs: glyphs.glyphs(),
            text: plain,
            dim: Style::new().add_modifier(Modifier::DIM),
            title: bold,
            border: plain,
            focus: bold,
            selected: Style::new().add_modifier(Modifier::REVERSED),
            key: bold,
            good: plain,
            warn: bold,
            bad: bold,
            busy: plain,
            held: plain,
            blocked: plain,
            starved: plain,
            bar: plain,
            ghost: plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses() {
        let of = |pairs: &[(&str, &str)]| {
            ThemeName::of(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), ThemeName::Mono);
        assert_eq!(of(&[("NO_COLOR", ""), ("COLORTERM", "truecolor")]), ThemeName::Dark);
        assert_eq!(of(&[("COLORTERM", "24bit"), ("COLORFGBG", "0;15")]), ThemeName::Light);
        assert_eq!(of(&[("TERM", "xterm-256color")]), ThemeName::Ansi16);
        assert_eq!("light".parse(), Ok(ThemeName::Light));
        assert!("sepia".parse::<ThemeName>().is_err_and(|error| error.contains("hint")));
    }
}
