//! The parts of a package (OOXML, OpenDocument): their text by name, and what they point at. Packages are checked for
//! bombs before they are opened here (`package::check_parts`).

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use docmill_api::StepContext;
use zip::ZipArchive;

use super::xml::{Token, Xml, attribute};
use crate::package;
use crate::reader::{ReadError, brief};

/// One part's inflated size. The check before has bounded all XML together; this holds where a part's name is unusual.
const MAX_PART: u64 = 128 << 20;

/// A package whose archive has been checked.
pub(crate) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Where each part is, by its name as `package::part_name` has it.
    index: BTreeMap<String, usize>,
}

/// Where a part points: a part of the same package.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The last word of its type: `slide`, `notesSlide`, `comments`.
    pub(crate) kind: String,
    /// The part's name in the archive.
    pub(crate) target: String,
}

impl<'a> Parts<'a> {
    /// Opens a package; bombs are refused.
    pub(crate) fn open(bytes: &'a [u8], cx: &StepContext) -> Result<Self, ReadError> {
        package::check_parts(bytes, cx)?;
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| ReadError::Broken(format!("its zip archive: {}", brief(&error.to_string()))))?;
        let names = archive.file_names().enumerate();
        let index = names.filter_map(|(index, name)| Some((package::part_name(&name.ok()?), index))).collect();
        Ok(Self { archive, index })
    }

    /// Whether there is such a part.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.index.contains_key(&package::part_name(name))
    }

    /// The names of all parts that begin so, those with numbers in the order of the numbers.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = self.index.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        names.sort_by_key(|name| {
            let digits: String = name.chars().filter(char::is_ascii_digit).collect();
            (digits.parse::<u64>().unwrap_or(0), name.clone())
        });
        names
    }

    /// A part as text; `None` where there is none.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let Some(index) = self.index.get(&package::part_name(name)).copied() else { return Ok(None) };
        let broken = |why: &dyn std::fmt::Display| {
            ReadError::Broken(format!("`{}` in its archive: {}", brief(name), brief(&why.to_string())))
        };
        let part = self.archive.by_index(index).map_err(|error| broken(&error))?;
        let mut bytes = Vec::new();
        let size = part.take(MAX_PART + 1).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        if size as u64 > MAX_PART {
            return Err(ReadError::TooLarge(format!("a part of over {} MiB when inflated", MAX_PART >> 20)));
        }
        Ok(Some(decode(bytes)))
    }

    /// What a part points at within the package; nothing where it points nowhere or the list cannot be read.
    pub(crate) fn relations(&mut self, part: &str, cx: &StepContext) -> Result<Vec<Relation>, ReadError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let list = match folder {
            "" => format!("_rels/{name}.rels"),
            folder => format!("{folder}/_rels/{name}.rels"),
        };
        let mut found = Vec::new();
        let Ok(Some(text)) = self.text(&list) else { return Ok(found) };
        let mut xml = Xml::new(&text, cx);
        loop {
            match xml.next()? {
                Token::Open(element) if element.local_name().as_ref() == "Relationship" => {
                    let value = |name| attribute(&element, name).unwrap_or_default();
                    if value("TargetMode") != "External" {
                        found.push(Relation {
                            id: value("Id").into_owned(),
                            kind: value("Type").rsplit('/').next().unwrap_or_default().to_owned(),
                            target: resolve(folder, &value("Target")),
                        });
                    }
                }
                Token::End => return Ok(found),
                _ => {}
            }
        }
    }

    /// The title in `docProps/core.xml` of an OOXML package.
    pub(crate) fn title(&mut self, cx: &StepContext) -> Result<Option<String>, ReadError> {
        let Ok(Some(text)) = self.text("docProps/core.xml") else { return Ok(None) };
        element_text(&text, "dc:title", cx)
    }
}

/// The text of the first element of that name, prefix included, as a title.
pub(crate) fn element_text(xml: &str, name: &str, cx: &StepContext) -> Result<Option<String>, ReadError> {
    let mut xml = Xml::new(xml, cx);
    loop {
        match xml.next()? {
            Token::Open(element) if element.name().as_ref() == name => {
                return Ok(crate::text::title(&xml.text()?));
            }
            Token::End => return Ok(None),
            _ => {}
        }
    }
}

/// XML is UTF-8 but for the rare part in UTF-16, which begins with its mark.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    match encoding_rs::Encoding::for_bom(&bytes) {
        Some((encoding, _)) => encoding.decode(&bytes).0.into_owned(),
        None => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        },
    }
}

/// A target relative to a folder, as a name in the archive.
fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_from_where_they_are_named() {
        assert_eq!(resolve("ppt/slides", "../notesSlides/notesSlide1.xml"), "ppt/notesSlides/notesSlide1.xml");
        assert_eq!(resolve("ppt", "/ppt/slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("", "../../xl/./workbook.xml"), "xl/workbook.xml");
    }

    #[test]
    fn parts_may_be_utf_16() {
        let wide: Vec<u8> = "\u{feff}<a>quorvex</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(wide), "<a>quorvex</a>");
    }
}
