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
    /// Where its bytes are to be read from, where that is not `uri`: a copy of them on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
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
    /// Whether it is no longer there: its rows go, and nothing is read.
    #[serde(default)]
    pub gone: bool,
    /// What tells, without reading it, that its content is what it was: size and times of a file, the `ETag` of an
    /// object. Two listings that give the same stamp speak of the same content; `None` where nothing tells.
    #[serde(default)]
    pub stamp: Option<String>,
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
    /// See [`SourceItem::stamp`]; never stored. A stage that reads the bytes sets it where the listing could not, and finds
    /// it in `known` the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<String>,
    /// What an earlier run ended with, where the listing told nothing of it: a stage that can ask for nothing but what is
    /// other does so, and says [`crate::Outputs::as_known`] where nothing is. Never stored, and no child sees it.
    #[serde(skip)]
    pub known: Option<Known>,
}

/// The content that a document ended with before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What told it from others: [`Document::stamp`], as the stage set it.
    pub stamp: String,
    /// Its hash.
    pub content: Digest,
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
        let filename = if item.filename.is_empty() { name_of(&uri) } else { item.filename };
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
            location: item.location.unwrap_or(item.uri),
            stamp: item.stamp,
            known: None,
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

/// Opens the fragment of a URI that names a document within another: `file:///a.zip#member=b/c.pdf`. A word and not a
/// mere `/`, because web pages use `#/…` for places of their own.
pub const MEMBER_MARK: &str = "#member=";

/// Drops what a web address carries besides the place: a fragment that names a place on the page, user information, and
/// the parameters by which object stores sign a link (`X-Amz-*`, `X-Goog-*`, and Azure's shared-access signature). A
/// fragment that names a member stays: it is another document.
#[must_use]
pub fn canonical_uri(uri: &str) -> String {
    let web = uri.starts_with("http://") || uri.starts_with("https://");
    if !web {
        return uri.to_owned();
    }
    let (place, anchor) = uri.find('#').map_or((uri, ""), |at| uri.split_at(at));
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
    if anchor.starts_with(MEMBER_MARK) {
        canonical.push_str(anchor);
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

/// The last part of a URI's path, or of the member's that it names, as a person would write it.
fn name_of(uri: &str) -> String {
    let path = match uri.split_once(MEMBER_MARK) {
        Some((_, member)) => member,
        None => uri.split(['?', '#']).next().unwrap_or_default(),
    };
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let plain =
        percent_decoded(name).filter(|plain| !plain.contains(|letter: char| letter == '/' || letter.is_control()));
    match plain.unwrap_or_else(|| name.to_owned()) {
        name if name.is_empty() => uri.to_owned(),
        name => name,
    }
}

/// Bytes written as `%41` decoded; `None` where that gives no text.
fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)))).flatten();
        match pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
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
    fn a_member_is_a_document_of_its_own_and_a_place_on_a_page_is_none() {
        let member = "https://h.example/a.zip?v=1#member=b/c.pdf";
        assert_eq!(canonical_uri("https://h.example/a.zip?v=1&X-Amz-Date=2#member=b/c.pdf"), member);
        for page in ["https://h.example/a#/b/c", "https://h.example/a#!/b", "https://h.example/a#members"] {
            assert_eq!(canonical_uri(page), "https://h.example/a", "{page}");
        }
        assert_eq!(canonical_uri("s3://b/a.zip#member=c"), "s3://b/a.zip#member=c");
    }

    #[test]
    fn a_document_without_a_name_is_called_by_its_last_part_decoded() {
        for (uri, name) in [
            ("https://h.example/a/My%20Report.pdf?page=2", "My Report.pdf"),
            ("https://h.example/%C3%BCber/%C3%BCber.pdf", "über.pdf"),
            ("https://h.example/a/", "a"),
            ("https://h.example/100%.txt", "100%.txt"),
            ("https://h.example/%FF.txt", "%FF.txt"),
            ("https://h.example/..%2Fpasswd", "..%2Fpasswd"),
            ("https://h.example/a%0Ab", "a%0Ab"),
            ("file:///x/a.zip#member=in%20ner.zip!/b%23.txt", "b#.txt"),
            ("file:///x/a.zip#member=c.txt", "c.txt"),
            ("s3://bucket/a/b%3F.pdf", "b?.pdf"),
        ] {
            let item = SourceItem { uri: uri.into(), ..SourceItem::default() };
            assert_eq!(Document::admit(item, Digest::of(&[])).filename, name, "{uri}");
        }
        let named = SourceItem { uri: "file:///a".into(), filename: "b%20c".into(), ..SourceItem::default() };
        assert_eq!(Document::admit(named, Digest::of(&[])).filename, "b%20c", "a name that was given stays");
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
