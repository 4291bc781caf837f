//! What the embed stage promises, one file a property. One binary, as each costs a link.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;
mod hostile;
mod stage;

use docmill_embed::{DIMENSIONS, Model, Scratch};

/// The vector of a text as the stage makes it by default.
fn vector(text: &str) -> [f32; DIMENSIONS] {
    let mut vector = [0.0; DIMENSIONS];
    Model::shared().unwrap().embed(text, 512, &mut Scratch::default(), &mut vector);
    vector
}

/// The cosine of two vectors of length 1.
fn similarity(one: &str, other: &str) -> f32 {
    vector(one).iter().zip(vector(other)).map(|(a, b)| a * b).sum()
}
