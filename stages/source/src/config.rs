//! The `files` table of `pipeline.toml`, and what the plan prints about it.

use std::time::Duration;

use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use serde::Deserialize;
use serde_json::json;

use crate::pattern;

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
        guarantees: "Lists each file once, in the order of names in each directory, without opening it. What was named \
                     and does not exist, and a directory that cannot be listed, is listed too, so that it fails as a \
                     document with its reason. Symbolic links are not followed unless `follow_links`, special files \
                     and directories named `.docmill` never.",
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
    include.chain(exclude).collect()
}

fn issue(field: &str, index: usize, message: String) -> Issue {
    Issue { path: vec![field.to_owned(), index.to_string()], message, hint: None }
}
