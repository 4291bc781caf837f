//! How the stage describes itself and is built: its two fields, their defaults, and which PDF readers `auto` means here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{
    BuildContext, FieldSpec, FieldType, Node, PayloadKind, StageError, StageFactory, StageSpec, Tier, async_trait,
};
use serde::Deserialize;

use crate::pdf;
use crate::stage::ParseStage;

/// Which PDF reader is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PdfChoice {
    /// pdfium where a libpdfium is found, then unpdf, pdfni and pdf-extract: each only where the one before failed.
    #[default]
    Auto,
    /// Only pdfium; the run does not start without a libpdfium.
    Pdfium,
    /// Only unpdf.
    Unpdf,
    /// Only pdfni.
    Pdfni,
    /// Only pdf-extract.
    PdfExtract,
}

/// Which part of a web page is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HtmlPart {
    /// The main content, or the whole page where there is none to be told apart.
    #[default]
    Main,
    /// The whole page.
    Whole,
}

/// The stage's own fields in `pipeline.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which PDF reader is used.
    #[serde(default)]
    pub pdf: PdfChoice,
    /// Which part of a web page is taken.
    #[serde(default)]
    pub html: HtmlPart,
}

/// Builds stages of kind `parse`.
#[derive(Debug)]
pub struct ParseFactory;

/// As long as a slow but honest document needs: the slowest of 483 public PDFs took under ten seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

const EXAMPLE: &str = r#"[stages.parse]
kind = "parse"
inputs = ["download"]
isolation = "process"
memory = "1GiB"
pdf = "auto""#;

#[async_trait]
impl StageFactory for ParseFactory {
    type Config = Config;

    const KIND: &'static str = "parse";
    const REVISION: u32 = 2;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Turns a document's bytes into text: PDF, Word, Excel, PowerPoint, OpenDocument, RTF, HTML, Markdown, CSV, JSON, source code, plain text.",
            takes: &[PayloadKind::Blob],
            gives: &[PayloadKind::Text],
            tier: Tier::Cpu,
            fields: vec![
                FieldSpec::new(
                    "pdf",
                    FieldType::Choice(&["auto", "pdfium", "unpdf", "pdfni", "pdf-extract"]),
                    "auto".into(),
                    "Which PDF reader: \"auto\" tries pdfium where a libpdfium is found (DOCMILL_PDFIUM names it), then \
                     unpdf, pdfni and pdf-extract, each only where the one before it failed; a name uses only that one.",
                )
                .output(),
                FieldSpec::new(
                    "html",
                    FieldType::Choice(&["main", "whole"]),
                    "main".into(),
                    "Which part of a web page: its main content where it can be told apart, or the whole page.",
                )
                .output(),
            ],
            batch: None,
            width: None,
            timeout: TIMEOUT,
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "UTF-8 with \\n line ends; one text for each document, or an error or a skip that says why there \
                         is none; a reader that panics costs its turn, not the document.",
            example: EXAMPLE,
        }
    }

    fn resolved(config: &Self::Config) -> BTreeMap<String, String> {
        match config.pdf {
            PdfChoice::Auto => BTreeMap::from([("pdf".to_owned(), pdf::names(config.pdf).join(", "))]),
            _ => BTreeMap::new(),
        }
    }

    async fn build(config: Self::Config, _cx: &BuildContext) -> Result<Node, StageError> {
        Ok(Node::Cpu(Arc::new(ParseStage::new(&config)?)))
    }
}

#[cfg(test)]
mod tests {
    use docmill_api::{Registry, defaults};

    use super::*;

    #[test]
    fn the_spec_and_the_types_agree() {
        let mut registry = Registry::new();
        crate::register(&mut registry);
        let factory = registry.get("parse").expect("registered");
        let mut config = defaults(&factory.spec().fields);
        assert_eq!(factory.validate(&config), []);
        for field in factory.spec().fields {
            assert!(field.changes_output, "`{}` decides what is stored", field.name);
            let FieldType::Choice(words) = field.ty else { panic!("`{}` is no choice", field.name) };
            for word in words {
                config[field.name] = (*word).into();
                assert_eq!(factory.validate(&config), [], "{} = {word}", field.name);
            }
            config[field.name] = field.default.expect("a default");
        }
        config["colour"] = "red".into();
        assert_eq!(factory.validate(&config).len(), 1, "an unknown field is refused");
    }

    #[test]
    fn what_auto_means_is_part_of_the_fingerprint() {
        let resolved = ParseFactory::resolved(&Config::default());
        assert!(resolved["pdf"].ends_with("unpdf, pdfni, pdf-extract"), "{resolved:?}");
        assert!(ParseFactory::resolved(&Config { pdf: PdfChoice::Unpdf, ..Config::default() }).is_empty());
    }
}
