//! The documents as the model reads them: under a header each, every part under its source and place, so that a citation
//! can be copied from beside the text.

use docmill_api::Chat;

use crate::query::{Part, Source};

/// Stands where a text was cut.
const CUT: &str = " […]";

/// What a text may count for more where it is joined with another.
const SEAM: usize = 4;

/// A document to be read.
pub(super) struct Document {
    pub(super) source: Source,
    header: String,
    /// What its header and each of its parts count for.
    header_cost: usize,
    costs: Vec<usize>,
}

/// All documents, best first.
pub(super) struct Material<'a> {
    chat: &'a dyn Chat,
    pub(super) documents: Vec<Document>,
}

impl Document {
    fn new(chat: &dyn Chat, source: Source) -> Self {
        let header = source.header(&source.short_name());
        let header_cost = chat.count(&header) + SEAM;
        let costs = source.parts.iter().map(|part| chat.count(&shown(source.number, part)) + SEAM).collect();
        Self { source, header, header_cost, costs }
    }

    /// What it counts for.
    pub(super) fn cost(&self) -> usize {
        self.header_cost + self.costs.iter().sum::<usize>()
    }

    fn text(&self) -> String {
        let parts = self.source.parts.iter().map(|part| shown(self.source.number, part));
        std::iter::once(self.header.clone()).chain(parts).collect::<Vec<_>>().join("\n\n")
    }

    /// Leaves out what is wanted least until it fits. A part that is alone and still too long is cut.
    fn fit(&mut self, chat: &dyn Chat, room: usize) {
        while self.cost() > room && self.source.parts.len() > 1 {
            let parts = self.source.parts.iter().enumerate();
            let Some((last, _)) = parts.max_by_key(|(_, part)| part.preference) else { return };
            self.source.parts.remove(last);
            self.costs.remove(last);
        }
        let excess = self.cost().saturating_sub(room);
        let (Some(part), Some(cost)) = (self.source.parts.first_mut(), self.costs.first_mut()) else { return };
        if excess > 0 {
            // The text alone counts for no more than with its place above it, whose seams are to spare.
            let most = cost.saturating_sub(excess + SEAM + chat.count(&place(self.source.number, part)));
            part.text = cut(chat, &part.text, most);
            *cost = chat.count(&shown(self.source.number, part)) + SEAM;
        }
    }
}

impl<'a> Material<'a> {
    pub(super) fn new(chat: &'a dyn Chat, sources: Vec<Source>) -> Self {
        Self { chat, documents: sources.into_iter().map(|source| Document::new(chat, source)).collect() }
    }

    /// What all of it counts for.
    pub(super) fn cost(&self) -> usize {
        self.documents.iter().map(Document::cost).sum()
    }

    /// Cuts every document to what a call can hold.
    pub(super) fn fit(&mut self, room: usize) {
        for document in &mut self.documents {
            document.fit(self.chat, room);
        }
    }

    /// Some documents as one text.
    pub(super) fn text(&self, documents: impl IntoIterator<Item = usize>) -> String {
        let texts = documents.into_iter().filter_map(|index| self.documents.get(index)).map(Document::text);
        texts.collect::<Vec<_>>().join("\n\n")
    }

    /// The sources, with the parts that are read.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.documents.iter().map(|document| &document.source)
    }
}

/// `[3] p. 7`.
fn place(number: usize, part: &Part) -> String {
    format!("[{number}] {}", part.place()).trim_end().to_owned()
}

fn shown(number: usize, part: &Part) -> String {
    format!("{}\n{}", place(number, part), part.text)
}

/// The beginning of a text that counts for at most so much, a mark at its end; the text itself where all of it does.
pub(super) fn cut(chat: &dyn Chat, text: &str, most: usize) -> String {
    if chat.count(text) <= most {
        return text.to_owned();
    }
    let with_mark = |length: usize| format!("{}{CUT}", text[..text.floor_char_boundary(length)].trim_end());
    // The longest that fits lies between the two.
    let (mut fits, mut too_long) = (0, text.len());
    while too_long - fits > 1 {
        let middle = fits.midpoint(too_long);
        if chat.count(&with_mark(middle)) <= most { fits = middle } else { too_long = middle }
    }
    with_mark(fits)
}
