//! What the chunks of a document said already. A hash, which costs far less than a digest, tells what is new; where it is known,
//! the texts themselves are compared, so none is taken for another.

use std::collections::HashMap;
use std::ops::Range;

use ahash::RandomState;
use docmill_api::Digest;

/// The texts of the chunks of one document.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// By their hashes, each the first of its hash.
    texts: HashMap<u64, Told, RandomState>,
}

/// How a text is known again.
#[derive(Debug)]
enum Told {
    /// It stands in the document.
    At(Range<usize>),
    /// It stands under a header that is repeated, and so nowhere.
    Joined(Digest),
}

impl Said {
    /// Whether nothing has said this before, which stands `at` a place of the document if anywhere.
    pub(crate) fn is_new(&mut self, content: &str, text: &str, at: Option<Range<usize>>) -> bool {
        let hash = self.texts.hasher().hash_one(text);
        let Some(told) = self.texts.get(&hash) else {
            let told = at.map_or_else(|| Told::Joined(Digest::of(&[text.as_bytes()])), Told::At);
            self.texts.insert(hash, told);
            return true;
        };
        match told {
            Told::At(place) => content[place.clone()] != *text,
            Told::Joined(digest) => *digest != Digest::of(&[text.as_bytes()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_known_wherever_it_stands() {
        let content = "one two one|head one";
        let mut said = Said::default();
        assert!(said.is_new(content, "one", Some(0..3)));
        assert!(said.is_new(content, "two", Some(4..7)));
        assert!(!said.is_new(content, "one", Some(8..11)));
        assert!(said.is_new(content, "head two", None));
        assert!(!said.is_new(content, "head two", None));
        assert!(!said.is_new(content, "one", None), "joined or not");
    }

    #[test]
    fn a_hash_alone_loses_nothing() {
        let content = "one two";
        let mut said = Said::default();
        let hash = said.texts.hasher().hash_one("two");
        said.texts.insert(hash, Told::At(0..3));
        assert!(said.is_new(content, "two", Some(4..7)), "another text of the same hash");
    }
}
