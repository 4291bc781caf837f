//! The formats that documents are made in, and how often each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::prose::Prose;
use super::{docx, pdf, written};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Plain text.
    Text,
    /// Markdown.
    Md,
    /// A web page.
    Html,
    /// A table.
    Csv,
    /// An object with a list.
    Json,
    /// Source code: Python or Rust.
    Code,
    /// A message.
    Mail,
    /// Pages of text.
    Pdf,
    /// A Word document.
    Docx,
}

impl Format {
    /// All, in the order in which they are told of.
    pub const ALL: [Self; 9] =
        [Self::Text, Self::Md, Self::Html, Self::Csv, Self::Json, Self::Code, Self::Mail, Self::Pdf, Self::Docx];

    /// What it is called where weights are written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Md => "md",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Code => "code",
            Self::Mail => "mail",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
        }
    }

    /// Writes a document: its file's extension and its content.
    pub(super) fn write(self, prose: &mut Prose, size: usize) -> (&'static str, Vec<u8>) {
        match self {
            Self::Text => ("txt", written::text(prose, size).into_bytes()),
            Self::Md => ("md", written::markdown(prose, size).into_bytes()),
            Self::Html => ("html", written::html(prose, size).into_bytes()),
            Self::Csv => ("csv", written::csv(prose, size).into_bytes()),
            Self::Json => ("json", written::json(prose, size).into_bytes()),
            Self::Code if prose.below(2) == 0 => ("py", written::python(prose, size).into_bytes()),
            Self::Code => ("rs", written::rust(prose, size).into_bytes()),
            Self::Mail => ("eml", written::mail(prose, size).into_bytes()),
            Self::Pdf => ("pdf", pdf::pdf(prose, size)),
            Self::Docx => ("docx", docx::docx(prose, size)),
        }
    }
}

/// How often each format comes, by weight: `text=40,md=20`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights(Vec<(Format, f64)>);

impl Default for Weights {
    fn default() -> Self {
        let weights = [30.0, 20.0, 15.0, 5.0, 5.0, 5.0, 5.0, 10.0, 5.0];
        Self(Format::ALL.into_iter().zip(weights).collect())
    }
}

impl Weights {
    /// The format at a share of all weights, from 0 to 1.
    pub(super) fn draw(&self, share: f64) -> Format {
        let mut left = share * self.0.iter().map(|(_, weight)| weight).sum::<f64>();
        for (format, weight) in &self.0 {
            left -= weight;
            if left < 0.0 {
                return *format;
            }
        }
        self.0.last().map_or(Format::Text, |(format, _)| *format)
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(format, weight)| format!("{}={weight}", format.as_str())).collect();
        f.write_str(&each.join(","))
    }
}

impl FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights: Vec<(Format, f64)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let (name, weight) = (name.trim(), weight.trim());
            let format = Format::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
                let all: Vec<&str> = Format::ALL.into_iter().map(Format::as_str).collect();
                format!("`{name}` is no format that is made; there are {}", all.join(", "))
            })?;
            let weight = weight.parse().ok().filter(|weight: &f64| weight.is_finite() && *weight >= 0.0);
            let weight =
                weight.ok_or_else(|| format!("`{part}`: a weight is a number that is 0 or more, as in `{name}=40`"))?;
            if weights.iter().any(|(other, _)| *other == format) {
                return Err(format!("`{name}` is there twice"));
            }
            weights.push((format, weight));
        }
        if weights.iter().all(|(_, weight)| *weight <= 0.0) {
            return Err("no format has a weight; write them as `text=40,md=20,pdf=10`".to_owned());
        }
        weights.retain(|(_, weight)| *weight > 0.0);
        // In one order, so that the same weights make the same documents however they are written.
        weights.sort_by_key(|(format, _)| *format);
        Ok(Self(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Weights>();
        assert_eq!(read("md=20, text=40 ").map(|weights| weights.to_string()), Ok("text=40,md=20".into()));
        assert_eq!(read("pdf").map(|weights| weights.draw(0.99)), Ok(Format::Pdf));
        assert_eq!(read(&Weights::default().to_string()), Ok(Weights::default()));
        assert!(read("xls=1").is_err_and(|error| error.contains("there are text, md, html")));
        assert!(read("md=many").is_err_and(|error| error.contains("`md=40`")));
        assert!(read("md=0").is_err() && read("").is_err() && read("md=1,md=2").is_err() && read("md=-1").is_err());
    }
}
