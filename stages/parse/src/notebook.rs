//! Jupyter notebooks: Markdown cells as they are, code cells as fenced code in the kernel's language, what they printed
//! behind them. Pictures and widgets are left out. What is no notebook is for the JSON reader to judge.

use docmill_api::{StepContext, TextKind};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::json::JsonReader;
use crate::plain::{decoded, with_encoding};
use crate::reader::{Input, Parsed, ReadError, Reader};
use crate::text::first_heading;

/// Reads notebooks.
#[derive(Debug)]
pub(crate) struct NotebookReader;

/// What one cell printed, at most: a training run prints a line a step, and says no more by it.
const MAX_OUTPUT: usize = 4 << 10;

impl Reader for NotebookReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let text = decoded(input)?;
        let Ok(notebook) = serde_json::from_str::<Notebook>(&text.text) else {
            return JsonReader { lines: false }.read(input, cx);
        };
        let markdown = notebook.markdown();
        let title = notebook.headings().or_else(|| first_heading(&markdown));
        let mut parsed = with_encoding(Parsed::new("notebook", TextKind::Markdown, markdown), text.encoding);
        parsed.title = title;
        Ok(parsed)
    }
}

#[derive(Deserialize)]
struct Notebook {
    #[serde(default)]
    metadata: Metadata,
    /// Missing before version 4, where sheets hold them.
    cells: Option<Vec<Cell>>,
    worksheets: Option<Vec<Worksheet>>,
}

#[derive(Deserialize)]
struct Worksheet {
    cells: Vec<Cell>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    kernelspec: Option<Kernel>,
    language_info: Option<Kernel>,
}

#[derive(Deserialize)]
struct Kernel {
    name: Option<String>,
    language: Option<String>,
}

#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    #[serde(default, alias = "input")]
    source: Lines,
    /// Of the `heading` cells of version 3.
    #[serde(default)]
    level: Option<usize>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    text: Lines,
    data: Option<Data>,
    ename: Option<String>,
    evalue: Option<String>,
}

/// The forms that an output was given in; pictures are among those that are passed over.
#[derive(Deserialize)]
struct Data {
    #[serde(default, rename = "text/markdown")]
    markdown: Lines,
    #[serde(default, rename = "text/plain")]
    plain: Lines,
}

/// A text, written as one string or as a list of its lines; empty where it is something else.
#[derive(Default)]
struct Lines(String);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LinesVisitor).map(Self)
    }
}

struct LinesVisitor;

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some(line) = lines.next_element::<String>()? {
            text.push_str(&line);
        }
        Ok(text)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(String::new())
    }
}

impl Notebook {
    fn all_cells(&self) -> impl Iterator<Item = &Cell> {
        let sheets = self.worksheets.iter().flatten().flat_map(|sheet| &sheet.cells);
        self.cells.iter().flatten().chain(sheets)
    }

    fn language(&self) -> &str {
        let (info, kernel) = (self.metadata.language_info.as_ref(), self.metadata.kernelspec.as_ref());
        let name = info.and_then(|info| info.name.as_deref()).or(kernel.and_then(|kernel| kernel.language.as_deref()));
        // The word stands behind a fence, where a blank or a backtick would end it.
        name.filter(|name| name.chars().all(|c| c.is_alphanumeric() || "+#-_.".contains(c))).unwrap_or("python")
    }

    /// The first heading of its Markdown cells: a comment in a code cell is none.
    fn headings(&self) -> Option<String> {
        self.all_cells().find_map(|cell| match (cell.cell_type.as_str(), cell.level) {
            ("heading", _) => crate::text::title(&cell.source.0),
            ("markdown", _) => first_heading(&cell.source.0),
            _ => None,
        })
    }

    fn markdown(&self) -> String {
        let language = self.language();
        let mut out = String::new();
        for cell in self.all_cells() {
            let source = cell.source.0.trim_end();
            if source.trim().is_empty() && cell.outputs.is_empty() {
                continue;
            }
            match cell.cell_type.as_str() {
                "code" => {
                    fence(&mut out, language, source);
                    cell.outputs.iter().for_each(|output| output.write(&mut out));
                }
                "heading" => {
                    out.push_str(&"#".repeat(cell.level.unwrap_or(1).clamp(1, 6)));
                    out.push(' ');
                    out.push_str(source);
                    out.push_str("\n\n");
                }
                "raw" => fence(&mut out, "", source),
                _ => {
                    out.push_str(&without_pictures(source));
                    out.push_str("\n\n");
                }
            }
        }
        crate::text::unix_lines(&out).unwrap_or(out)
    }
}

impl Output {
    fn write(&self, out: &mut String) {
        if let Some(name) = &self.ename {
            fence(out, "", &shortened(&format!("{name}: {}", self.evalue.as_deref().unwrap_or_default())));
            return;
        }
        if let Some(data) = &self.data
            && !data.markdown.0.trim().is_empty()
        {
            out.push_str(&shortened(&without_pictures(&data.markdown.0)));
            out.push_str("\n\n");
            return;
        }
        let plain = self.data.as_ref().map_or(&self.text.0, |data| &data.plain.0);
        if !plain.trim().is_empty() {
            fence(out, "", &shortened(plain));
        }
    }
}

/// Code between fences that are longer than any in it.
fn fence(out: &mut String, language: &str, code: &str) {
    if code.trim().is_empty() {
        return;
    }
    let longest =
        code.lines().map(|line| line.trim_start()).map(|line| line.len() - line.trim_start_matches('`').len());
    let marks = "`".repeat(longest.max().unwrap_or(0).max(2) + 1);
    for part in [&marks, language, "\n", code.trim_end(), "\n", &marks, "\n\n"] {
        out.push_str(part);
    }
}

/// What a program printed: without the colours of its terminal, its end cut off where it is long.
fn shortened(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(MAX_OUTPUT));
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // An escape sequence ends with its first letter.
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
        if plain.len() > MAX_OUTPUT {
            plain.push_str(" […]");
            break;
        }
    }
    plain
}

/// Markdown without pictures that are written into it: `![alt](data:image/png;base64,…)` leaves its description.
fn without_pictures(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len().min(64 << 10));
    let mut rest = markdown;
    while let Some(at) = rest.find("data:") {
        let (before, data) = rest.split_at(at);
        let end = data.find([')', '"', '\'', '>', ' ', '\n']).unwrap_or(data.len());
        out.push_str(before);
        if !data[..end].contains(";base64,") {
            out.push_str(&data[..end]);
        }
        rest = &data[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_longer_than_those_within() {
        let mut out = String::new();
        fence(&mut out, "python", "x = '''\n````\n'''");
        assert_eq!(out, "`````python\nx = '''\n````\n'''\n`````\n\n");
    }

    #[test]
    fn colours_and_the_rest_of_long_outputs_go() {
        assert_eq!(shortened("\u{1b}[0;31mquorvex\u{1b}[0m"), "quorvex");
        let long = shortened(&"é".repeat(MAX_OUTPUT));
        assert!(long.ends_with(" […]") && long.len() < MAX_OUTPUT + 16);
    }

    #[test]
    fn pictures_in_markdown_go_and_words_stay() {
        assert_eq!(
            without_pictures("![zant](data:image/png;base64,iVBOR) my data: quorvex"),
            "![zant]() my data: quorvex"
        );
    }
}
