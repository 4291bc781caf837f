//! One press of a key, as it is written in configuration and shown on the screen: `+`, `ctrl-r`, `esc`, `f1`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with what is held down with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chord {
    code: KeyCode,
    control: bool,
    alt: bool,
}

const NAMED: [(&str, KeyCode); 15] = [
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("space", KeyCode::Char(' ')),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
];

impl Chord {
    /// The key that a terminal reports. Whether shift is held is told by the letter.
    #[must_use]
    pub fn of(event: &KeyEvent) -> Self {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            // Some terminals report a capital with control.
            KeyCode::Char(letter) if control => KeyCode::Char(letter.to_ascii_lowercase()),
            code => code,
        };
        Self { code, control, alt: event.modifiers.contains(KeyModifiers::ALT) }
    }
}

impl FromStr for Chord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut chord = Self { code: KeyCode::Null, control: false, alt: false };
        let mut rest = text;
        while let Some((held, key)) = rest.split_once('-').filter(|(held, key)| !held.is_empty() && !key.is_empty()) {
            match held {
                "ctrl" => chord.control = true,
                "alt" => chord.alt = true,
                _ => {
                    return Err(format!("`{text}` is no key\nhint: write it as `ctrl-r`, `alt-x`, `esc`, `f1` or `+`"));
                }
            }
            rest = key;
        }
        let named = NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
        let function =
            rest.strip_prefix('f').and_then(|number| number.parse::<u8>().ok()).filter(|n| (1..=12).contains(n));
        let mut letters = rest.chars();
        let letter = letters.next().filter(|letter| letters.next().is_none() && !letter.is_control());
        let code = named.or(function.map(KeyCode::F)).or(letter.map(KeyCode::Char));
        chord.code =
            code.ok_or_else(|| format!("`{text}` is no key\nhint: write it as `ctrl-r`, `esc`, `f1` or `+`"))?;
        Ok(chord)
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        if let Some((name, _)) = NAMED.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(letter) => write!(f, "{letter}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        for name in ["+", "-", "ctrl-r", "alt-x", "ctrl-alt-q", "esc", "space", "f12", "W", "<", "ctrl--"] {
            assert_eq!(name.parse::<Chord>().map(|chord| chord.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "ctrl-", "super-x", "escape", "f13", "ab"] {
            assert!(name.parse::<Chord>().is_err(), "{name}");
        }
    }

    #[test]
    fn shift_is_in_the_letter() {
        let event = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!("G".parse(), Ok(Chord::of(&event)));
    }
}
