//! How documents within documents are called: `file:///a.zip#member=inner.zip!/notes/b.txt`.
//!
//! The fragment names the member by its path in the container; a path in a nested container stands behind `!/`. Letters,
//! digits and a few marks stand as they are, all else is percent-encoded, `!` among it: so the way from names to an
//! address and back is exact, whatever the names hold. Nothing here reads anything.

use docmill_api::{MEMBER_MARK, StageError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How many containers may stand in each other.
pub(crate) const DEPTH: usize = 3;

/// Stands between a container and what is within it.
const WITHIN: &str = "!/";

/// What is encoded: all but letters, digits, and marks that read well and mean nothing in a fragment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a document is: a place that can be opened by itself, and the way from there through containers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    /// The place, without the fragment that names a member.
    pub(crate) base: String,
    /// The member of the base, the member of that, and so on; empty for the base itself.
    pub(crate) path: Vec<String>,
}

impl Address {
    /// Reads a location.
    pub(crate) fn parse(location: &str) -> Result<Self, StageError> {
        let Some((base, fragment)) = location.split_once(MEMBER_MARK) else {
            return Ok(Self { base: location.to_owned(), path: Vec::new() });
        };
        let decoded = |part: &str| percent_decode_str(part).decode_utf8().ok().map(|name| name.into_owned());
        let path: Option<Vec<String>> = fragment.split(WITHIN).map(decoded).collect();
        match path {
            Some(path) if path.iter().any(String::is_empty) => {
                Err(StageError::rejected("its location names no member behind `#member=`"))
            }
            Some(path) if path.len() > DEPTH => {
                Err(StageError::rejected(format!("archives are opened {DEPTH} deep, and its location goes deeper")))
            }
            Some(path) => Ok(Self { base: base.to_owned(), path }),
            None => Err(StageError::rejected("its location names a member in no known encoding")),
        }
    }

    /// The fragment of a member of this document.
    pub(crate) fn fragment(&self, member: &str) -> String {
        let mut fragment = MEMBER_MARK.to_owned();
        for outer in &self.path {
            fragment.extend(utf8_percent_encode(outer, ENCODED));
            fragment.push_str(WITHIN);
        }
        fragment.extend(utf8_percent_encode(member, ENCODED));
        fragment
    }

    /// The location of a member of this document.
    pub(crate) fn member(&self, member: &str) -> String {
        format!("{}{}", self.base, self.fragment(member))
    }

    /// The last part of its path, decoded: what a file there would be called.
    pub(crate) fn name(&self) -> String {
        if let Some(member) = self.path.last() {
            return file_name(member);
        }
        let path = self.base.split(['?', '#']).next().unwrap_or_default();
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        percent_decode_str(name).decode_utf8_lossy().into_owned()
    }
}

/// The last part of a member's path, without what no file name holds. Windows writes its own separator into archives.
pub(crate) fn file_name(member: &str) -> String {
    let name = member.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    #[test]
    fn any_name_goes_into_an_address_and_comes_back() {
        let names = [
            "b.txt",
            "a/b c/d.pdf",
            "über/漢字.md",
            "100%.txt",
            "%2e%2e",
            "a#b?c&d=e+f",
            "wow!/not a separator",
            "../../etc/passwd",
            "a\\b.txt",
            "tab\tline\nnul\0",
            "[*]{}\"<>|^`",
            " ",
        ];
        for base in ["file:///x/a%20b.zip", "https://h.example/a.zip?v=1&X-Amz-Signature=2", "s3://bucket/a.tgz"] {
            for outer in names {
                let one = Address { base: base.into(), path: vec![outer.into()] };
                for inner in names {
                    let location = one.member(inner);
                    let expected = Address { base: base.into(), path: vec![outer.into(), inner.into()] };
                    assert_eq!(Address::parse(&location), Ok(expected), "{location}");
                    // The way through an address type of others changes nothing.
                    assert_eq!(Url::parse(&location).unwrap().as_str(), location);
                }
            }
        }
    }

    #[test]
    fn addresses_read_well_and_wrong_ones_are_refused() {
        let zip = Address::parse("file:///a.zip").unwrap();
        assert_eq!(zip.member("docs/My Report.pdf"), "file:///a.zip#member=docs/My%20Report.pdf");
        let inner = Address::parse(&zip.member("inner.zip")).unwrap();
        assert_eq!(inner.member("b.txt"), "file:///a.zip#member=inner.zip!/b.txt");
        assert_eq!(Address::parse("https://h.example/a#top").unwrap().path, Vec::<String>::new());
        for wrong in
            ["file:///a#member=", "file:///a#member=b!/", "file:///a#member=%ff", "file:///a#member=1!/2!/3!/4"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_the_last_part() {
        for (location, name) in [
            ("file:///x/My%20Report.pdf", "My Report.pdf"),
            ("https://h.example/a/b.zip?c=d/e", "b.zip"),
            ("file:///a.zip#member=x/y%20z.txt", "y z.txt"),
            ("file:///a.zip#member=x.zip!/y/z.txt", "z.txt"),
        ] {
            assert_eq!(Address::parse(location).unwrap().name(), name);
        }
        assert_eq!(file_name("..\\..\\evil\n.txt"), "evil.txt");
    }
}
