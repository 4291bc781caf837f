//! A document's identity: what it is called, whose it is, which content it holds.
//!
//! Ids are hashes of what does not change, never random and never of a model's output, so that work done twice
//! writes the same rows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A BLAKE3 hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes the parts, each preceded by its length, so that no two lists of parts run together.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|error| format!("`{text}` is no digest: {error}"))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One document that a source lists, before the engine has admitted it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceItem {
    /// Where it is: `file:`, `http(s):` or another location that a download stage understands.
    pub uri: String,
    /// The name a person knows it by; the last part of the URI where empty.
    #[serde(default)]
    pub filename: String,
    /// Its size in bytes, where listing told; used to admit it against the memory budget.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its media type, where the source was told one; content is trusted before it.
    #[serde(default)]
    pub media_type: Option<String>,
    /// The session it belongs to.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The user it belongs to.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Whatever else is to be stored with its rows.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A document under way: its identity and what is known of it so far. Shared by all its records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `blake3(user_id, session_id, canonical URI)`.
    pub id: Digest,
    /// Its canonical URI: no signature parameters.
    pub uri: String,
    /// The name a person knows it by.
    pub filename: String,
    /// Its size in bytes, where listing told.
    pub size: Option<u64>,
    /// Its media type; set by the stage that sees the content first.
    pub media_type: Option<String>,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// The user it belongs to.
    pub user_id: Option<String>,
    /// Stored with every row; stages add to it (the reader that was used, for one).
    pub metadata: Map<String, Value>,
    /// Of the pipeline: what of its configuration changes the output.
    pub fingerprint: Digest,
    /// Of the content; set by the stage that reads the bytes.
    pub content: Option<Digest>,
    /// Where the bytes are, signature parameters included; never stored.
    pub location: String,
}

impl Document {
    /// Gives a listed item its identity under a pipeline's fingerprint.
    #[must_use]
    pub fn admit(item: SourceItem, fingerprint: Digest) -> Self {
        let uri = canonical_uri(&item.uri);
        let id = Digest::of(&[
            item.user_id.as_deref().unwrap_or_default().as_bytes(),
            item.session_id.as_deref().unwrap_or_default().as_bytes(),
            uri.as_bytes(),
        ]);
        let filename = if item.filename.is_empty() { last_segment(&uri).to_owned() } else { item.filename };
        Self {
            id,
            uri,
            filename,
            size: item.size,
            media_type: item.media_type,
            session_id: item.session_id,
            user_id: item.user_id,
            metadata: item.metadata,
            fingerprint,
            content: None,
            location: item.uri,
        }
    }

    /// `blake3(content, fingerprint)`, once the content is known: one content under one configuration.
    #[must_use]
    pub fn version(&self) -> Option<Digest> {
        self.content.map(|content| Digest::of(&[content.as_bytes(), self.fingerprint.as_bytes()]))
    }

    /// The lower-case extension of its filename, without the dot; empty where there is none.
    #[must_use]
    pub fn extension(&self) -> String {
        match self.filename.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => extension.to_ascii_lowercase(),
            _ => String::new(),
        }
    }
}

/// Drops what a URI carries besides the place: the fragment, user information, and the parameters by which
/// object stores sign a link (`X-Amz-*`, `X-Goog-*`, and Azure's shared-access signature).
#[must_use]
pub fn canonical_uri(uri: &str) -> String {
    let web = uri.starts_with("http://") || uri.starts_with("https://");
    if !web {
        return uri.to_owned();
    }
    let place = uri.split('#').next().unwrap_or_default();
    let (path, query) = place.split_once('?').map_or((place, None), |(path, query)| (path, Some(query)));
    let (scheme, rest) = path.split_once("://").unwrap_or(("", path));
    let (authority, tail) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let mut canonical = format!("{scheme}://{host}{tail}");
    let shared_access = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sig=")));
    let kept: Vec<&str> =
        query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !signs(pair, shared_access)).collect();
    if !kept.is_empty() {
        canonical.push('?');
        canonical.push_str(&kept.join("&"));
    }
    canonical
}

/// The parameters of an Azure shared-access signature.
const SHARED_ACCESS: [&str; 16] =
    ["sig", "sv", "se", "st", "sp", "sr", "spr", "sip", "si", "skoid", "sktid", "skt", "ske", "sks", "skv", "srt"];

fn signs(pair: &str, shared_access: bool) -> bool {
    let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    name.starts_with("x-amz-")
        || name.starts_with("x-goog-")
        || (shared_access && SHARED_ACCESS.contains(&name.as_str()))
}

fn last_segment(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let trimmed = path.trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { uri } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_link_is_the_same_document_as_the_bare_one() {
        let bare = "https://bucket.example/a/b.pdf?page=2";
        for signed in [
            "https://bucket.example/a/b.pdf?page=2&X-Amz-Signature=abc&X-Amz-Date=1",
            "https://Bucket.Example/a/b.pdf?X-Goog-Credential=x&page=2#top",
            "https://user:secret@bucket.example/a/b.pdf?page=2&sig=abc&sv=2020&se=2030",
        ] {
            assert_eq!(canonical_uri(signed), bare, "{signed}");
        }
        assert_eq!(canonical_uri("https://h.example/?sv=1"), "https://h.example/?sv=1", "no signature, no cut");
        assert_eq!(canonical_uri("file:///a%20b?c#d"), "file:///a%20b?c#d");
    }

    #[test]
    fn identity_depends_on_user_session_and_place_and_version_on_content_and_fingerprint() {
        let item = SourceItem { uri: "file:///a/b.txt".into(), ..SourceItem::default() };
        let one = Document::admit(item.clone(), Digest::of(&[b"one"]));
        assert_eq!(one.filename, "b.txt");
        assert_eq!(one.extension(), "txt");
        assert_eq!(one.version(), None);
        let other = Document::admit(SourceItem { user_id: Some("u".into()), ..item.clone() }, Digest::of(&[b"one"]));
        assert_ne!(one.id, other.id);
        let mut read = one;
        read.content = Some(Digest::of(&[b"content"]));
        let mut reread = Document::admit(item, Digest::of(&[b"two"]));
        reread.content = read.content;
        assert_eq!(read.id, reread.id);
        assert_ne!(read.version(), reread.version());
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
        let digest = Digest::of(&[b"x"]);
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
    }
}
