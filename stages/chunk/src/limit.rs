//! How long a chunk may be, and how much text that makes the splitter see at once. Apart from the work because the
//! configuration speaks of it too.

use std::fmt;

/// The largest window, unless a few chunks need more.
pub(crate) const WINDOW: usize = 64 << 10;

/// How many full chunks a window has room for at most: small chunks make small windows, since the splitter's work
/// grows with the number of its chunks and the size of the window.
const CHUNKS_PER_WINDOW: usize = 12;

/// What a chunk is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Tokens,
    Characters,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokens => "tokens",
            Self::Characters => "characters",
        })
    }
}

/// How long a chunk may be, and how much of its end the next one repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) unit: Unit,
    pub(crate) size: usize,
    pub(crate) overlap: usize,
}

impl Limit {
    /// The bytes of a usual chunk: English has 4 to 5 a token, other scripts 2 to 3 a character.
    fn bytes(self) -> usize {
        match self.unit {
            Unit::Tokens => self.size.saturating_mul(4),
            Unit::Characters => self.size.saturating_mul(2),
        }
    }

    /// How much text the splitter is given at once.
    pub(crate) fn window(self) -> usize {
        self.bytes().saturating_mul(CHUNKS_PER_WINDOW).clamp(256, WINDOW).max(self.smallest_window())
    }

    /// For a text without words, in which the splitter looks to the end of the window for every chunk.
    pub(crate) fn smallest_window(self) -> usize {
        self.bytes().saturating_mul(4).max(256)
    }
}
