//! Which addresses were listed already: half a hash of each, 16 bytes a document.

use std::collections::HashSet;

use docmill_api::Digest;

/// Addresses, by half their hash.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<[u8; 16]>);

impl Seen {
    /// Whether it was not there yet.
    pub(crate) fn insert(&mut self, uri: &str) -> bool {
        self.0.insert(half(uri))
    }

    /// Whether it is there.
    pub(crate) fn contains(&self, uri: &str) -> bool {
        self.0.contains(&half(uri))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn half(uri: &str) -> [u8; 16] {
    let digest = Digest::of(&[uri.as_bytes()]);
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_bytes()[..16]);
    half
}
