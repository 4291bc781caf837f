//! A document as a model and a reader are shown it: a number, a name, and parts of its text with their places. How it is
//! laid out, and how many tokens that costs at most, stand side by side here, so that one cannot change alone.

use docmill_api::Hit;
use serde::Serialize;

/// How many characters of a name or a title are shown.
const NAME: usize = 80;

/// What a model's tokens may become more where two texts are joined: words are told apart anew at the seam.
const JOIN: usize = 2;

/// A document of which something is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its number, by which it is cited.
    pub number: usize,
    /// Where it is.
    pub uri: String,
    /// Its name.
    pub filename: String,
    /// Its title.
    pub title: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// Its id.
    pub document: String,
    /// What is shown of it, in its own order; a summary comes first.
    pub parts: Vec<Part>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// `chunk` or `summary`.
    pub part: String,
    /// Its place among the parts of its kind.
    pub ordinal: i32,
    /// The page it begins on.
    pub page: Option<i32>,
    /// Its first line.
    pub line_start: Option<i32>,
    /// Its last line.
    pub line_end: Option<i32>,
    /// What it says.
    #[serde(skip)]
    pub text: String,
    /// Its place in the order of preference: what would be left out first has the greatest.
    #[serde(skip)]
    pub preference: usize,
}

impl Source {
    /// A source without parts.
    pub(super) fn of(number: usize, hit: &Hit) -> Self {
        Self {
            number,
            uri: hit.uri.clone(),
            filename: hit.filename.clone(),
            title: hit.title.clone(),
            media_type: hit.media_type.clone(),
            document: hit.document.clone(),
            parts: Vec::new(),
        }
    }

    /// `[3] NAME (TITLE)` on one line.
    pub(super) fn header(&self, name: &str) -> String {
        let mut header = format!("[{}] {}", self.number, one_line(name, usize::MAX));
        let title = self.title.as_deref().map(|title| one_line(title, NAME)).unwrap_or_default();
        if !title.is_empty() {
            header.push_str(&format!(" ({title})"));
        }
        header
    }

    /// The name for a model that reads it: short, since it is in every call.
    pub(super) fn short_name(&self) -> String {
        let name = if self.filename.is_empty() { &self.uri } else { &self.filename };
        one_line(name, NAME)
    }
}

impl Part {
    /// What a row says.
    pub(super) fn of(hit: &Hit, preference: usize) -> Self {
        Self {
            part: hit.part.clone(),
            ordinal: hit.ordinal,
            page: hit.page,
            line_start: hit.line_start,
            line_end: hit.line_end,
            text: hit.text.clone(),
            preference,
        }
    }

    /// Where it stands: `p. 3`, `lines 12-40`, `summary`; empty where nothing is known.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.page, self.line_start, self.line_end) {
            _ if self.part == "summary" => "summary".to_owned(),
            (Some(page), ..) => format!("p. {page}"),
            (None, Some(start), Some(end)) if start != end => format!("lines {start}-{end}"),
            (None, Some(start), _) => format!("line {start}"),
            _ => String::new(),
        }
    }

    /// A summary first, then chunks as they follow each other.
    pub(super) fn order(&self) -> (bool, i32) {
        (self.part != "summary", self.ordinal)
    }
}

/// At most how many tokens a text has whose tokens nobody counted: its bytes. A vocabulary of byte pairs has every byte,
/// so no text has more; a smaller number could be argued for English and for no other language.
pub(super) fn bound(text: &str) -> usize {
    text.len()
}

/// What a document's header costs, with the empty line before it and the end of its own.
pub(super) fn header_cost(header: &str) -> usize {
    bound(header) + "\n\n\n".len() + JOIN
}

/// What a row costs: its text as the chunker counted it, the line that tells its place, and the empty line before it.
pub(super) fn row_cost(hit: &Hit) -> usize {
    let place = Part { text: String::new(), ..Part::of(hit, 0) }.place();
    let tokens = match usize::try_from(hit.tokens).unwrap_or_default() {
        0 => bound(&hit.text),
        counted => counted,
    };
    let place = if place.is_empty() { 0 } else { bound(&place) + "\n".len() + JOIN };
    tokens + place + "\n\n".len() + JOIN
}

/// A text on one line, so that it cannot look like a header of its own; cut after so many characters.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match folded.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &folded[..end]),
        None => folded,
    }
}
