//! The `files` table of `pipeline.toml`, and what the plan prints about it.

use std::time::Duration;

use docmill_api::units::Span;
use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use serde::Deserialize;
use serde_json::json;

use crate::pattern;

/// The longest time that a file can be waited for: beyond it, a watch is no watch.
const LONGEST_QUIET: Duration = Duration::from_secs(3600);

/// Which files are listed. No field changes the rows of a document: they decide which documents there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Files, directories (with all below them) and globs, relative to the pipeline file's directory.
    pub include: Vec<String>,
    /// Globs of files and directories that are left out.
    pub exclude: Vec<String>,
    /// Whether `.gitignore`, `.ignore` and `.docmillignore` are honoured.
    pub ignore_files: bool,
    /// Whether names that begin with a dot are listed.
    pub hidden: bool,
    /// Whether symbolic links are followed.
    pub follow_links: bool,
    /// Whether the source stays after the listing and lists what changes.
    pub watch: bool,
    /// How long nothing may have happened to a changed file before it is listed.
    pub watch_quiet: Span,
    /// How often all files are looked at; nought for being told of changes by the system.
    pub watch_poll: Span,
}

pub(crate) fn spec() -> StageSpec {
    StageSpec {
        summary: "Lists files below directories, by name or by glob.",
        takes: &[],
        gives: &[PayloadKind::Reference],
        tier: Tier::Io,
        fields: fields(),
        batch: None,
        width: Some(1),
        timeout: Duration::from_secs(60),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "Lists each file once, in the order of names in each directory, without opening it. What was named \
                     and does not exist, and a directory that cannot be listed, is listed too, so that it fails as a \
                     document with its reason. Symbolic links are not followed unless `follow_links`, special files \
                     and directories named `.docmill` never. With `watch`, a file that appears or changes is listed \
                     once it has been quiet for `watch_quiet`; of one that goes, also by another name or an ignore \
                     file, the rows go.",
        example: r#"[stages.source]
kind = "files"
include = ["docs/**/*", "README.md"]
exclude = ["*.tmp", "docs/private"]"#,
    }
}

fn fields() -> Vec<FieldSpec> {
    let texts = || FieldType::List(Box::new(FieldType::Text));
    vec![
        FieldSpec::new(
            "include",
            texts(),
            json!(["."]),
            "Files, directories (with all below them) and globs (`docs/**/*`), relative to the pipeline file; documents \
             named on the command line replace them.",
        ),
        FieldSpec::new(
            "exclude",
            texts(),
            json!([]),
            "Globs of files and directories to leave out: without a slash a name at any depth, with one a path relative \
             to the pipeline file.",
        ),
        FieldSpec::new(
            "ignore_files",
            FieldType::Bool,
            json!(true),
            "Whether `.gitignore`, `.ignore` and `.docmillignore` are honoured; a file named by itself is taken anyway.",
        ),
        FieldSpec::new(
            "hidden",
            FieldType::Bool,
            json!(false),
            "Whether names that begin with a dot are listed; what is named by itself is taken anyway.",
        ),
        FieldSpec::new(
            "follow_links",
            FieldType::Bool,
            json!(false),
            "Whether symbolic links below a directory are followed; loops are found and left out.",
        ),
        FieldSpec::new(
            "watch",
            FieldType::Bool,
            json!(false),
            "Whether the source stays after the listing: what is created, changed, renamed or deleted is taken up, until \
             the run is stopped.",
        ),
        FieldSpec::new(
            "watch_quiet",
            FieldType::Duration,
            json!("500ms"),
            "With `watch`: how long nothing may have happened to a file before it is listed, so that none is read half \
             written; one that is written to all the time waits.",
        ),
        FieldSpec::new(
            "watch_poll",
            FieldType::Duration,
            json!("0s"),
            "With `watch`: how often all files are looked at, for file systems that tell nothing of changes made \
             elsewhere (NFS, SMB, some containers); `0s` for being told, and every 5 s where that is impossible.",
        ),
    ]
}

pub(crate) fn validate(config: &FilesConfig) -> Vec<Issue> {
    let include = config.include.iter().enumerate().filter_map(|(index, entry)| {
        let message = if entry.is_empty() { "an empty path".to_owned() } else { pattern::check(entry).err()? };
        Some(issue("include", index, message))
    });
    let exclude = config.exclude.iter().enumerate().filter_map(|(index, glob)| {
        let message = pattern::exclude(std::slice::from_ref(glob)).err()?;
        Some(issue("exclude", index, message))
    });
    let quiet = config.watch_quiet.0;
    let wrong = (quiet.is_zero() || quiet > LONGEST_QUIET)
        .then(|| Issue::new("watch_quiet", "outside of 1 ms to 1 h").hint("write a time such as \"500ms\""));
    include.chain(exclude).chain(wrong).collect()
}

fn issue(field: &str, index: usize, message: String) -> Issue {
    Issue { path: vec![field.to_owned(), index.to_string()], message, hint: None }
}
