//! From stretches of a text to records of chunks: what a chunk says, where it stands, and whether it was said before.
//! Apart from the work, which decides where to cut, because all ways of cutting end here.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use docmill_api::{Chunk, Chunks, Document, Outputs, Part, Payload, Record, Slice, Text, TextKind};

use crate::limit::{Limit, Unit};
use crate::measure::Measure;
use crate::outline::{Lines, Outline, line_ends, page_at};
use crate::said::Said;
use crate::strategy::Strategy;
use crate::tables::Header;
use crate::tokenizer::EndlessWords;
use crate::units::Units;

/// A record is emitted when its chunks reach this: enough to make its envelope cheap, little enough to start what
/// comes after early.
const RECORD_BYTES: usize = 64 << 10;

/// Gathers the chunks of one document into records.
pub(crate) struct Gather {
    source: Record,
    text: Text,
    units: Units,
    /// Where the last chunk ended.
    covered: usize,
    outline: Outline,
    lines: Lines,
    said: Said,
    next_ordinal: u32,
    /// Chunks that are in no record yet: those of one window and the rest of the one before.
    pending: VecDeque<Chunk>,
    pending_bytes: usize,
}

impl Gather {
    pub(crate) fn new(text: Text, source: &Record) -> Self {
        // The record is kept for its document; its text is held once.
        let empty = Payload::Chunks(Chunks { part: Part::Chunk, title: None, items: Vec::new() });
        Self {
            source: source.derive(empty),
            units: Units::new(&text.content, &text.blocks),
            text,
            covered: 0,
            outline: Outline::new(),
            lines: Lines::new(),
            said: Said::default(),
            next_ordinal: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
        }
    }

    /// Says in the document how it is cut, before its first record goes out.
    pub(crate) fn state(&mut self, strategy: Strategy) {
        let mut document = Document::clone(&self.source.document);
        document.metadata.insert("strategy".to_owned(), strategy.as_str().into());
        self.source.document = Arc::new(document);
    }

    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// Where the last chunk ended.
    pub(crate) fn covered(&self) -> usize {
        self.covered
    }

    /// How many chunks there were.
    pub(crate) fn count(&self) -> u32 {
        self.next_ordinal
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a chunk, unless it says nothing new. Rows of a table may stand under its header again.
    pub(crate) fn add(&mut self, measure: &Measure, stretch: Range<usize>, header: Option<&Header>) {
        self.take(measure.limit, stretch, header, |content, stretch| match header {
            Some(header) => header.tokens(measure, content, stretch),
            None => measure.tokens(content, stretch),
        });
    }

    /// Adds a chunk that may be part of an endless word, which knows how many tokens it has.
    pub(crate) fn add_endless(&mut self, measure: &Measure, words: &EndlessWords<'_>, stretch: Range<usize>) {
        self.take(measure.limit, stretch, None, |content, stretch| {
            words.count(stretch.clone()).unwrap_or_else(|| measure.tokens(content, stretch))
        });
    }

    fn take(
        &mut self,
        limit: Limit,
        stretch: Range<usize>,
        header: Option<&Header>,
        tokens: impl FnOnce(&str, Range<usize>) -> usize,
    ) {
        let content = self.text.content.clone();
        let stretch = stretch.start..stretch.start + content[stretch].trim_end().len();
        if stretch.end <= self.covered {
            return;
        }
        self.covered = stretch.end;
        let text = match header {
            Some(header) => Some(Slice::from(header.joined(&content, stretch.clone()))),
            None => Slice::new(&content, stretch.clone()),
        };
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return };
        let place = header.is_none().then(|| stretch.clone());
        if !self.said.is_new(&content, &text, place) {
            return;
        }
        let tokens = tokens(&content, stretch.clone());
        debug_assert!(limit.unit == Unit::Characters || tokens <= limit.size, "whoever cuts keeps to the limit");
        let line_start = self.text.lines.then(|| self.lines.at(&content, stretch.start));
        let chunk = Chunk {
            ordinal: self.next_ordinal,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            page: page_at(&self.text.pages, stretch.start),
            line_start,
            line_end: line_start.map(|line| line.saturating_add(line_ends(&content[stretch.clone()]))),
            heading: self.heading(&content, stretch),
            text,
        };
        self.next_ordinal += 1;
        self.pending_bytes += cost(&chunk);
        self.pending.push_back(chunk);
    }

    fn heading(&mut self, content: &str, stretch: Range<usize>) -> Arc<[String]> {
        match self.text.kind {
            TextKind::Markdown => {
                self.outline.advance(content, stretch.start);
                self.outline.path()
            }
            TextKind::Code(_) => self.units.path(stretch.start, stretch.end),
            TextKind::Plain => Arc::new([]),
        }
    }

    /// Emits records while there is room and enough for one; once all chunks are made, anything is enough.
    pub(crate) fn emit(&mut self, out: &mut Outputs, finished: bool) {
        let enough = if finished { 1 } else { RECORD_BYTES };
        while self.pending_bytes >= enough && !out.is_full() {
            let (mut items, mut bytes) = (Vec::new(), 0);
            while bytes < RECORD_BYTES
                && let Some(chunk) = self.pending.pop_front()
            {
                bytes += cost(&chunk);
                items.push(chunk);
            }
            self.pending_bytes -= bytes;
            let chunks = Chunks { part: Part::Chunk, title: self.text.title.clone(), items };
            out.emit(self.source.derive(Payload::Chunks(chunks)));
        }
    }
}

/// What a chunk counts for in a record.
fn cost(chunk: &Chunk) -> usize {
    chunk.text.len() + size_of::<Chunk>()
}
