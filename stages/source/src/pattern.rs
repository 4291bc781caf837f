//! What an entry of `include` or `exclude` means: an address, a path, or a glob with the directory it begins in.
//!
//! No I/O here, but for [`absolute`], which asks where a path with `..` leads.

use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// A glob, cut where its first special character stands: nothing outside `root` can match.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The directory to walk, not yet absolute.
    pub(crate) root: PathBuf,
    /// Matches paths relative to `root`.
    pub(crate) glob: GlobMatcher,
    /// How deep a match can lie below `root`; `None` where the glob says nothing about it.
    pub(crate) depth: Option<usize>,
}

/// Whether an entry has a character that is special in a glob. A file of exactly that name goes before.
pub(crate) fn is_glob(entry: &str) -> bool {
    entry.contains(['*', '?', '[', '{'])
}

/// Whether an entry is an address (`https://…`) and no path.
pub(crate) fn is_address(entry: &str) -> bool {
    entry.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}

/// Says what is wrong with a glob; all other entries are well.
pub(crate) fn check(entry: &str) -> Result<(), String> {
    if is_address(entry) || !is_glob(entry) {
        return Ok(());
    }
    Pattern::parse(entry).map(|_| ())
}

impl Pattern {
    /// Cuts and compiles a glob.
    pub(crate) fn parse(entry: &str) -> Result<Self, String> {
        let mut root = PathBuf::new();
        let mut rest = entry;
        while let Some((first, tail)) = rest.split_once('/') {
            if is_glob(first) {
                break;
            }
            root.push(if first.is_empty() && root.as_os_str().is_empty() { "/" } else { first });
            rest = tail;
        }
        let glob = compile(rest)?.compile_matcher();
        // `**` matches at any depth, and braces may hold slashes of their own.
        let depth = (!rest.contains("**") && !rest.contains('{')).then(|| rest.split('/').count());
        Ok(Self { root, glob, depth })
    }
}

/// Compiles the globs of `exclude`: one without a slash is a name at any depth.
pub(crate) fn exclude(globs: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for text in globs {
        let trimmed = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        if trimmed.is_empty() {
            return Err(format!("`{text}` is no glob: it names nothing"));
        }
        set.add(if trimmed.contains('/') { compile(trimmed)? } else { compile(&format!("**/{trimmed}"))? });
    }
    set.build().map_err(|error| error.to_string())
}

fn compile(glob: &str) -> Result<Glob, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| format!("`{glob}` is no glob: {}", error.kind()))
}

/// Makes a path absolute without following links, so that a document keeps the name that its user gave it; only a
/// path with `..` in it is resolved, because what stands before may be a link.
pub(crate) fn absolute(base: &Path, path: &Path) -> io::Result<PathBuf> {
    let joined = std::path::absolute(base.join(path))?;
    if !joined.components().any(|part| part == Component::ParentDir) {
        return Ok(joined);
    }
    Ok(std::fs::canonicalize(&joined).unwrap_or_else(|_| without_parents(&joined)))
}

/// For what does not exist: `a/../b` is `b`.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_cut_where_it_becomes_special() {
        for (entry, root, depth) in [
            ("docs/**/*", "docs", None),
            ("*.md", "", Some(1)),
            ("/data/a/*/b?.pdf", "/data/a", Some(2)),
            ("../docs/{a/b,c}/*.md", "../docs", None),
            ("./x/[ab]/c", "./x", Some(2)),
        ] {
            let pattern = Pattern::parse(entry).unwrap();
            assert_eq!((pattern.root.as_path(), pattern.depth), (Path::new(root), depth), "{entry}");
        }
        assert!(Pattern::parse("a/[").unwrap_err().starts_with("`[` is no glob"));
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        let matches = |entry: &str, path: &str| Pattern::parse(entry).unwrap().glob.is_match(path);
        assert!(matches("docs/*.md", "a.md"));
        assert!(!matches("docs/*.md", "b/a.md"));
        assert!(matches("docs/**/*", "a.md") && matches("docs/**/*", "b/c/a.md"));
        assert!(matches("{a/b,c}/*.md", "a/b/x.md") && matches("{a/b,c}/*.md", "c/x.md"));
    }

    #[test]
    fn an_exclude_without_a_slash_is_a_name_anywhere() {
        let set = exclude(&["*.tmp".into(), "target/".into(), "./docs/private".into()]).unwrap();
        assert!(set.is_match("a.tmp") && set.is_match("x/y/a.tmp") && set.is_match("x/target"));
        assert!(set.is_match("docs/private") && !set.is_match("x/docs/private") && !set.is_match("tmp"));
        assert!(exclude(&["/".into()]).is_err());
    }

    #[test]
    fn addresses_are_told_from_paths() {
        assert!(is_address("https://h/a?b=*") && is_address("HTTP://h") && is_address("s3://bucket/key"));
        for store in ["s3://b/p/**/*.pdf", "gs://b/[a-c]/", "az://c/{x,y}?.md", "abfs://c@account/*", "abfss://c/p/"] {
            assert!(is_address(store), "{store}");
            assert_eq!(check(&format!("{store}[")), Ok(()), "no glob, so nothing is wrong with it as one: {store}");
        }
        assert!(!is_address("docs/a://b") && !is_address("://x") && !is_address("docs/a"));
    }
}
