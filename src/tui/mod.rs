//! The dashboard: a run on a terminal, while it goes on.
//!
//! [`run`] draws what a [`Link`] gives and does what keys ask for. Inside, a [`Model`] holds what is known, [`update`]
//! changes it by messages and says what is to be done, and [`draw`] paints it: the first two do no input or output, the
//! third has no clock. Everything that is shown is in a snapshot, in the advisor's advice or in an alert; nothing is
//! measured here but what this thread itself costs. It knows no event loop and no runtime.
//!
//! ```text
//!   Link ──▶ Message ──▶ update(Model) ──▶ Effect ──▶ Link
//!                            │
//!                            └──▶ draw(&Model, &Theme) ──▶ terminal
//! ```

mod choices;
mod draw;
mod glyphs;
mod graph;
mod history;
mod keys;
mod layout;
mod link;
mod message;
mod model;
mod paint;
mod picture;
mod replay;
mod run;
mod terminal;
mod text;
mod theme;
mod update;
mod view;
mod widths;

pub use draw::draw;
pub use glyphs::GlyphSet;
pub use keys::{Action, BINDINGS, Binding, Chord, Group, Keys, table as keys_table};
pub use link::{Advisor, ChangedLine, FileChange, Link};
pub use message::{Answer, Effect, Message, Wish};
pub use model::{Model, Options, Seat};
pub use picture::{picture, svg};
pub use replay::{Playback, Replay, Seek};
pub use run::{Ending, run};
pub use terminal::{THREAD, close, open, restore};
pub use theme::{Theme, ThemeName};
pub use update::update;
