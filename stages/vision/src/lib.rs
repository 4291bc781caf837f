//! The vision stage.
