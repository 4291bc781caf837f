//! What a walk has looked at in full, so that a file which it did not list is not there any more. Apart from the walk,
//! because it outlives it.

use std::path::{Path, PathBuf};

use globset::GlobMatcher;

/// The directories that were walked to their ends.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    trees: Vec<(PathBuf, Option<GlobMatcher>)>,
    /// Something could not be listed: what is below it may well be there.
    incomplete: bool,
}

impl Coverage {
    /// Adds a directory, or what a glob finds below it.
    pub(crate) fn add(&mut self, root: &Path, glob: Option<&GlobMatcher>) {
        self.trees.push((root.to_owned(), glob.cloned()));
    }

    /// Notes that something could not be listed.
    pub(crate) fn missed(&mut self) {
        self.incomplete = true;
    }

    /// Whether a file of this address would have been listed, were it there.
    pub(crate) fn covers(&self, uri: &str) -> bool {
        let path =
            url::Url::parse(uri).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
        let Some(path) = path.filter(|_| !self.incomplete) else { return false };
        let within = |(root, glob): &(PathBuf, Option<GlobMatcher>)| {
            path.strip_prefix(root).is_ok_and(|relative| glob.as_ref().is_none_or(|glob| glob.is_match(relative)))
        };
        self.trees.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_walked_directory_is_covered_unless_something_was_missed() {
        let mut coverage = Coverage::default();
        coverage.add(Path::new("/a/b"), None);
        let glob = globset::Glob::new("**/*.md").expect("a glob").compile_matcher();
        coverage.add(Path::new("/c"), Some(&glob));
        for (uri, covered) in [
            ("file:///a/b/x.txt", true),
            ("file:///a/b/c/%C3%BC.txt", true),
            ("file:///a/bc.txt", false),
            ("file:///c/d/x.md", true),
            ("file:///c/d/x.txt", false),
            ("https://h.example/a/b/x.txt", false),
        ] {
            assert_eq!(coverage.covers(uri), covered, "{uri}");
        }
        coverage.missed();
        assert!(!coverage.covers("file:///a/b/x.txt"));
    }
}
