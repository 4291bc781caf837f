//! The `urls` table of `pipeline.toml`, and what the plan prints about it.

use std::time::Duration;

use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use docmill_net::{Allow, Guard};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use serde_json::json;
use url::Url;

/// Which addresses are listed. No field changes the rows of a document: they decide which documents there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlsConfig {
    /// Addresses.
    pub urls: Vec<String>,
    /// A file with an address a line, relative to the pipeline file's directory.
    pub list: String,
    /// Addresses and files of sitemaps.
    pub sitemap: Vec<String>,
    /// Globs over addresses; empty for all.
    pub include: Vec<String>,
    /// Globs over addresses that are left out.
    pub exclude: Vec<String>,
    /// How many are listed at most; nought for all.
    pub limit: u64,
    /// Blocks of addresses that are not public and may be asked for sitemaps all the same.
    pub cidrs: Vec<String>,
}

pub(super) fn spec() -> StageSpec {
    StageSpec {
        summary: "Lists addresses: written down, from a list, or from sitemaps.",
        takes: &[],
        gives: &[PayloadKind::Reference],
        tier: Tier::Io,
        fields: fields(),
        batch: None,
        width: Some(1),
        timeout: Duration::from_secs(60),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "Lists each address once: those of `urls`, then of `list`, then of `sitemap`, each in its order. \
                     Sitemaps may be gzipped, and indexes of others 3 deep; of each the first 50,000 entries and 50 MiB \
                     are read. They are fetched from public addresses only, unless `cidrs` says otherwise: checked after \
                     names are resolved and on every redirect; and only web addresses are taken from them. What cannot \
                     be read or listed is listed to fail, with its reason.",
        example: r#"[stages.source]
kind = "urls"
urls = ["https://example.org/handbook.pdf"]
sitemap = ["https://example.org/sitemap.xml"]
include = ["https://example.org/docs/**"]"#,
    }
}

fn fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    vec![
        FieldSpec::new(
            "urls",
            texts(),
            json!([]),
            "Addresses; what is named on the command line replaces them, `list` and `sitemap`: sitemaps (by their names), \
             lists (files that are there) and addresses.",
        ),
        FieldSpec::new(
            "list",
            FieldType::Text,
            json!(""),
            "A file with an address a line, relative to the pipeline file; empty lines and those that begin with `#` \
             say nothing.",
        ),
        FieldSpec::new(
            "sitemap",
            texts(),
            json!([]),
            "Addresses of sitemaps and of sitemap indexes, or files relative to the pipeline file; gzipped or not.",
        ),
        FieldSpec::new(
            "include",
            texts(),
            json!([]),
            "Globs over whole addresses (`https://example.org/docs/**`) from `list` and `sitemap`: one of them must \
             match; empty for all. What `urls` names is taken anyway.",
        ),
        FieldSpec::new(
            "exclude",
            texts(),
            json!([]),
            "Globs over whole addresses from `list` and `sitemap` that are left out (`**/*.zip`).",
        ),
        FieldSpec::new(
            "limit",
            FieldType::Integer { min: 0, max: i64::MAX },
            json!(0),
            "How many addresses are listed at most; 0 for all.",
        ),
        FieldSpec::new(
            "cidrs",
            texts(),
            json!([]),
            "Private, loopback and other special addresses that may be asked for sitemaps (`10.0.0.0/8`); the documents \
             themselves are the download stage's.",
        ),
    ]
}

pub(super) fn validate(config: &UrlsConfig) -> Vec<Issue> {
    let mut issues = Vec::new();
    let wrong = |field: &str, index: usize, message: String| Issue {
        path: vec![field.to_owned(), index.to_string()],
        message,
        hint: None,
    };
    for (index, url) in config.urls.iter().enumerate() {
        if let Err(error) = Url::parse(url) {
            issues.push(wrong("urls", index, format!("`{url}` is no address: {error}")));
        }
    }
    if config.list == "-" {
        let issue = Issue::new("list", "standard input is a source of its own");
        issues.push(issue.hint("write kind = \"stdin\", which takes addresses, a line each"));
    }
    for (index, place) in config.sitemap.iter().enumerate() {
        if place.is_empty() {
            issues.push(wrong("sitemap", index, "an empty path".to_owned()));
        }
    }
    for (field, globs) in [("include", &config.include), ("exclude", &config.exclude)] {
        for (index, text) in globs.iter().enumerate() {
            issues.extend(globs_of(std::slice::from_ref(text)).err().map(|message| wrong(field, index, message)));
        }
    }
    for (index, block) in config.cidrs.iter().enumerate() {
        issues.extend(guard(std::slice::from_ref(block)).err().map(|message| wrong("cidrs", index, message)));
    }
    issues
}

/// The guard of what a source fetches by itself.
pub(super) fn guard(cidrs: &[String]) -> Result<Guard, String> {
    Guard::new(&Allow { cidrs: cidrs.to_vec(), ..Allow::default() }, "")
}

/// Which of the addresses that are found are listed.
#[derive(Debug)]
pub(super) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    pub(super) fn new(config: &UrlsConfig) -> Result<Self, String> {
        let include = (!config.include.is_empty()).then(|| globs_of(&config.include)).transpose()?;
        Ok(Self { include, exclude: globs_of(&config.exclude)? })
    }

    pub(super) fn takes(&self, uri: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.is_match(uri)) && !self.exclude.is_match(uri)
    }
}

fn globs_of(texts: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        let glob = GlobBuilder::new(text).literal_separator(true).empty_alternates(true).build();
        set.add(glob.map_err(|error| format!("`{text}` is no glob: {}", error.kind()))?);
    }
    set.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_of_a_whole_address_and_a_star_stops_at_a_slash() {
        let is_match = |glob: &str, uri: &str| globs_of(&[glob.to_owned()]).unwrap().is_match(uri);
        assert!(is_match("https://h.example/docs/**", "https://h.example/docs/a/b.html?c=d"));
        assert!(!is_match("https://h.example/docs/**", "https://other.example/docs/a"));
        assert!(is_match("https://*.example/*.pdf", "https://h.example/a.pdf"));
        assert!(!is_match("https://*.example/*.pdf", "https://h.example/a/b.pdf"));
        assert!(is_match("**/*.{zip,gz}", "https://h.example/a/b.gz"));
        assert!(is_match("https://h.example/a?page=*", "https://h.example/a?page=2"));
    }
}
