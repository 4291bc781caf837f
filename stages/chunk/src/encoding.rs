//! Which token encoding a name means. Apart from the tokenizer because it is asked when a configuration is checked,
//! long before a vocabulary is loaded.

use std::fmt;

use tiktoken_rs::tokenizer::Tokenizer as Registered;

/// A token encoding whose vocabulary this crate carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `cl100k_base`: GPT-4, GPT-3.5 and the `text-embedding-3` models.
    Cl100kBase,
    /// `o200k_base`: GPT-4o and later.
    O200kBase,
}

/// A name that is no encoding of ours, nor a model that uses one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEncoding {
    /// What is wrong with it, lower-case, without a full stop.
    pub message: String,
    /// The known name that comes nearest.
    pub nearest: &'static str,
}

/// What a misspelt name is compared with: the encodings, and the models that people write into configurations.
const SUGGESTED: [&str; 15] = [
    "cl100k_base",
    "o200k_base",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "text-embedding-ada-002",
    "gpt-3.5-turbo",
    "gpt-4",
    "gpt-4-turbo",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "o1",
    "o3",
    "o4-mini",
];

impl Encoding {
    /// The encoding of that name, or the one that the model of that name uses.
    ///
    /// # Errors
    /// The name is unknown, or the model uses an encoding that is not carried.
    pub fn named(name: &str) -> Result<Self, UnknownEncoding> {
        match name {
            "cl100k_base" => return Ok(Self::Cl100kBase),
            // The chat variant differs in special tokens only, and special tokens are plain text here.
            "o200k_base" | "o200k_harmony" => return Ok(Self::O200kBase),
            _ => {}
        }
        let message = match tiktoken_rs::tokenizer::get_tokenizer(name) {
            Some(Registered::Cl100kBase) => return Ok(Self::Cl100kBase),
            Some(Registered::O200kBase | Registered::O200kHarmony) => return Ok(Self::O200kBase),
            Some(other) => format!("`{name}` uses the encoding {other:?}, which is not carried"),
            None => format!("`{name}` is neither an encoding nor a known model"),
        };
        Err(UnknownEncoding { message, nearest: nearest(name) })
    }

    /// Its own name, whatever name it was found by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn nearest(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    // What somebody left off the end is no mistake.
    let distance = |known: &&str| (!known.starts_with(&name), strsim::damerau_levenshtein(known, &name));
    SUGGESTED.into_iter().min_by_key(distance).unwrap_or(SUGGESTED[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_and_models_are_found_by_name() {
        for (name, encoding) in [
            ("cl100k_base", Encoding::Cl100kBase),
            ("o200k_base", Encoding::O200kBase),
            ("text-embedding-3-small", Encoding::Cl100kBase),
            ("gpt-4-0125-preview", Encoding::Cl100kBase),
            ("gpt-4o-mini", Encoding::O200kBase),
            ("gpt-oss-20b", Encoding::O200kBase),
            ("ft:gpt-4o:org:name:id", Encoding::O200kBase),
        ] {
            assert_eq!(Encoding::named(name), Ok(encoding), "{name}");
        }
        assert_eq!(Encoding::O200kBase.to_string(), "o200k_base");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (name, nearest) in [
            ("cl100k-base", "cl100k_base"),
            ("CL100K_BASE", "cl100k_base"),
            ("o200k", "o200k_base"),
            ("text-embeding-3-smal", "text-embedding-3-small"),
        ] {
            assert_eq!(Encoding::named(name).unwrap_err().nearest, nearest, "{name}");
        }
        let error = Encoding::named("davinci").unwrap_err();
        assert!(error.message.contains("R50kBase"), "{}", error.message);
    }

    #[test]
    fn every_suggestion_is_a_name_that_works() {
        for name in SUGGESTED {
            assert!(Encoding::named(name).is_ok(), "{name}");
        }
    }
}
