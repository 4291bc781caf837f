//! What a location in an object store stands for: one object, or all below a prefix, or all that match a pattern. Pure.
//!
//! Behind the bucket everything is the key, percent-decoded: a key has no query and no fragment, so `?` and `#` are
//! nothing but characters. A `*`, `?`, `[` or `{` that is not encoded makes a pattern.

use docmill_api::StageError;
use globset::{GlobBuilder, GlobMatcher};
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is encoded in the location of an object that was listed.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What makes a pattern, where it is not encoded.
const WILD: [char; 4] = ['*', '?', '[', '{'];

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) scheme: String,
    pub(crate) bucket: String,
    pub(crate) target: Target,
}

#[derive(Debug)]
pub(crate) enum Target {
    Object(Path),
    /// All below a prefix that match the pattern, where there is one.
    Listing(Option<Path>, Option<GlobMatcher>),
}

impl Place {
    pub(crate) fn parse(location: &str) -> Result<Self, StageError> {
        let (scheme, rest) = location.split_once("://").unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        // The bucket goes into the address that is asked: nothing in it may lead elsewhere.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if bucket.is_empty() || bucket.len() > 255 || bucket.starts_with('.') || !bucket.bytes().all(plain) {
            return Err(StageError::rejected("its location names no bucket; write it as `s3://bucket/key`"));
        }
        let target = if key.contains(WILD) {
            pattern(key)?
        } else {
            let decoded = decode(key)?;
            let path = path(&decoded)?;
            let is_prefix = decoded.is_empty() || decoded.ends_with('/');
            if is_prefix { Target::Listing(below(path), None) } else { Target::Object(path) }
        };
        Ok(Self { scheme: scheme.to_ascii_lowercase(), bucket: bucket.to_owned(), target })
    }

    /// The location of an object in the same bucket.
    pub(crate) fn object(&self, key: &Path) -> String {
        let key = utf8_percent_encode(key.as_ref(), ENCODED);
        format!("{}://{}/{key}", self.scheme, self.bucket)
    }
}

fn below(path: Path) -> Option<Path> {
    (!path.as_ref().is_empty()).then_some(path)
}

fn path(key: &str) -> Result<Path, StageError> {
    Path::parse(key)
        .map_err(|_| StageError::rejected("a key with an empty part, `.` or `..` in it cannot be asked for"))
}

fn decode(text: &str) -> Result<String, StageError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| StageError::rejected("its key is in no known encoding"))
}

/// The longest prefix without a wildcard, and the pattern, in which what was encoded means itself.
fn pattern(key: &str) -> Result<Target, StageError> {
    let literal = &key[..key.find(WILD).unwrap_or(key.len())];
    let folder = literal.rfind('/').map_or("", |at| &literal[..at]);
    let mut glob = String::new();
    let mut rest = key;
    while let Some(at) = rest.find('%') {
        glob.push_str(&rest[..at]);
        rest = &rest[at..];
        // A run of encoded bytes may be one character.
        let run = rest.as_bytes().chunks(3).take_while(|triple| is_encoded(triple)).count() * 3;
        let (encoded, after) = rest.split_at(run.max(1));
        let decoded = if run == 0 { encoded.to_owned() } else { decode(encoded)? };
        glob.push_str(&globset::escape(&decoded));
        rest = after;
    }
    glob.push_str(rest);
    let matcher = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
    let matcher = matcher.map_err(|error| StageError::rejected(format!("its key is no pattern: {}", error.kind())))?;
    Ok(Target::Listing(below(path(&decode(folder)?)?), Some(matcher.compile_matcher())))
}

fn is_encoded(triple: &[u8]) -> bool {
    matches!(triple, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(location: &str) -> String {
        let place = Place::parse(location).unwrap();
        match &place.target {
            Target::Object(path) => {
                let again = Place::parse(&place.object(path)).unwrap();
                assert!(matches!(&again.target, Target::Object(same) if same == path), "{location}");
                path.to_string()
            }
            Target::Listing(..) => panic!("{location} is no object"),
        }
    }

    #[test]
    fn a_key_is_all_behind_the_bucket_decoded() {
        for (location, key) in [
            ("s3://bucket/a/b.pdf", "a/b.pdf"),
            ("s3://bucket/a%20b/100%25.txt", "a b/100%.txt"),
            ("s3://bucket/My File #1.pdf", "My File #1.pdf"),
            ("s3://bucket/a%3Fb%2A.txt", "a?b*.txt"),
            ("gs://bucket/über.md", "über.md"),
            ("S3://Bucket/a", "a"),
        ] {
            assert_eq!(object(location), key);
        }
    }

    #[test]
    fn a_prefix_and_a_pattern_are_listings_from_the_longest_folder() {
        for (location, folder, matches, misses) in [
            ("s3://bucket", None, "", ""),
            ("s3://bucket/", None, "", ""),
            ("az://box/a/b/", Some("a/b"), "", ""),
            ("s3://bucket/*.pdf", None, "x.pdf", "a/x.pdf"),
            ("s3://bucket/a/**/*.pdf", Some("a"), "a/x/y/z.pdf", "b/x.pdf"),
            ("s3://bucket/a/b*/c.txt", Some("a"), "a/bc/c.txt", "a/c/c.txt"),
            ("s3://bucket/a%20b/{x,y}?.txt", Some("a b"), "a b/x1.txt", "a b/z1.txt"),
            ("s3://bucket/lit%2A/*", Some("lit*"), "lit*/x", "literal/x"),
            ("s3://bucket/%C3%BC/*", Some("ü"), "ü/x", "u/x"),
        ] {
            let Target::Listing(prefix, matcher) = Place::parse(location).unwrap().target else { panic!("{location}") };
            assert_eq!(prefix.as_ref().map(Path::as_ref), folder, "{location}");
            assert_eq!(matcher.is_none(), matches.is_empty(), "{location}");
            if let Some(matcher) = matcher {
                assert!(matcher.is_match(matches) && !matcher.is_match(misses), "{location}");
            }
        }
    }

    #[test]
    fn what_would_lead_elsewhere_is_refused() {
        for wrong in ["s3:///key", "s3://a@b/key", "s3://a:80/key", "s3://a%2Fb/key", "s3://../key", "s3://a?x/key"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/%ff", "s3://bucket/a[.txt"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
