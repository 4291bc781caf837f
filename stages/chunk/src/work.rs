//! The work on one document: windows of its text go through the splitter one after another, and records of chunks
//! come out.
//!
//! The splitter is given a window at a time because its own work grows with the square of what it sees: at 64 KiB it
//! takes a fifth of the time that encoding takes, at 10 MB thirty times. A window ends anywhere, so its last chunk
//! is dropped and the next window begins with it: borders are those that the splitter chose, with their overlap, and
//! a reader of the chunks cannot tell where the windows were. For that price, one chunk of some thirty is split twice,
//! and nothing is encoded twice.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use docmill_api::{
    Chunk, Chunks, Outputs, Part, Payload, Record, Slice, StageError, Step, StepContext, Text, TextKind, Work,
};
use text_splitter::{Characters, ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use crate::counts::{Counts, TokenSizer};
use crate::limit::{Limit, Unit, WINDOW};
use crate::outline::{Lines, Outline, line_ends, page_at};
use crate::tokenizer::{Tokenizer, segment};

/// A record is emitted when its chunks reach this: enough to make its envelope cheap, little enough to start what
/// comes after early.
const RECORD_BYTES: usize = 64 << 10;

/// How many windows a step takes at most, some 10 ms, whatever room there is for their chunks.
const WINDOWS_PER_STEP: usize = 8;

/// The chunks of one document, in the making.
pub(crate) struct Chunker {
    source: Record,
    text: Text,
    limit: Limit,
    counts: Counts,
    /// Where the next window begins.
    place: usize,
    /// Where the last chunk ended.
    covered: usize,
    outline: Outline,
    lines: Lines,
    seen: HashSet<Seen>,
    next_ordinal: u32,
    /// Chunks that are in no record yet: those of one window and the rest of the one before.
    pending: VecDeque<Chunk>,
    pending_bytes: usize,
    finished: bool,
}

impl Chunker {
    pub(crate) fn new(tokenizer: Tokenizer, limit: Limit, text: Text, source: &Record) -> Self {
        // The record is kept for its document; its text is held once.
        let empty = Payload::Chunks(Chunks { part: Part::Chunk, title: None, items: Vec::new() });
        Self {
            source: source.derive(empty),
            text,
            limit,
            counts: Counts::new(tokenizer),
            place: 0,
            covered: 0,
            outline: Outline::new(),
            lines: Lines::new(),
            seen: HashSet::new(),
            next_ordinal: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            finished: false,
        }
    }

    /// Makes the chunks of the next window.
    fn window(&mut self) {
        let content = Arc::clone(&self.text.content);
        self.skip_white_space(&content);
        let mut size = match segment(&content, self.place).endless {
            true => self.limit.smallest_window(),
            false => self.limit.window(),
        };
        loop {
            let end = window_end(&content, self.place, size);
            self.counts.cover(&content, self.place..end);
            let stretches = self.split(&content, self.place..end);
            let Some(keep) = self.keep(&content, &stretches, end) else {
                // One chunk fills the window: what it would be with more text cannot be known.
                size = size.saturating_mul(2);
                continue;
            };
            self.place = stretches.get(keep).map_or(end, |stretch| stretch.start);
            for stretch in stretches.into_iter().take(keep) {
                self.add(&content, stretch);
            }
            self.finished = end == content.len();
            return;
        }
    }

    /// Goes on to the first line that says something.
    fn skip_white_space(&mut self, content: &str) {
        let rest = &content[self.place..];
        let blank = rest.len() - rest.trim_start().len();
        // Indentation belongs to the line, but not without bound.
        let indentation = rest[..blank].len() - rest[..blank].trim_end_matches([' ', '\t']).len();
        self.place += if indentation < 256 { blank - indentation } else { blank };
    }

    /// How many chunks of a window that ends at `end` stand; the next window begins with the first that does not. That
    /// is its last one; in Markdown rather one outside fenced code, lest the end of the fence be taken for the
    /// beginning of one. `None` if the window is too small to tell.
    fn keep(&self, content: &str, stretches: &[Range<usize>], end: usize) -> Option<usize> {
        let count = stretches.len();
        let final_end = stretches.last().map_or(end, |stretch| stretch.end);
        if end == content.len() || (count <= 1 && end - final_end >= WINDOW / 2) {
            return Some(count);
        }
        if count <= 1 {
            return None;
        }
        let mut keep = count - 1;
        if self.text.kind == TextKind::Markdown {
            let mut ahead = self.outline.clone();
            let fenced: Vec<bool> = stretches.iter().map(|stretch| ahead.advance(content, stretch.start)).collect();
            keep = (count / 2..count).rev().find(|&index| !fenced[index]).unwrap_or(keep);
        }
        Some(keep)
    }

    /// The chunks of a window, as places in the text.
    fn split(&self, content: &str, window: Range<usize>) -> Vec<Range<usize>> {
        let whole = trimmed(content, window.clone());
        if window.end == content.len() && self.fits(content, whole.clone()) {
            return if whole.is_empty() { Vec::new() } else { vec![whole] };
        }
        match self.limit.unit {
            Unit::Tokens => {
                let sizer = TokenSizer { counts: &self.counts, text: content, limit: self.limit.size };
                self.split_by(sizer, content, window)
            }
            Unit::Characters => self.split_by(Characters, content, window),
        }
    }

    fn split_by(&self, sizer: impl ChunkSizer, content: &str, window: Range<usize>) -> Vec<Range<usize>> {
        let size = self.limit.size.max(1);
        let overlap = self.limit.overlap.min(size - 1);
        let config = ChunkConfig::new(size)
            .with_sizer(NothingIsSome { sizer, nothing: overlap + 1 })
            .with_overlap(overlap)
            .expect("the overlap is below the size");
        let text = &content[window.clone()];
        let found = |(offset, chunk): (usize, &str)| window.start + offset..window.start + offset + chunk.len();
        match self.text.kind {
            TextKind::Markdown => MarkdownSplitter::new(config).chunk_indices(text).map(found).collect(),
            TextKind::Plain | TextKind::Code(_) => TextSplitter::new(config).chunk_indices(text).map(found).collect(),
        }
    }

    fn fits(&self, content: &str, stretch: Range<usize>) -> bool {
        match self.limit.unit {
            Unit::Tokens => self.counts.size(content, stretch, self.limit.size) <= self.limit.size,
            Unit::Characters => content[stretch].chars().count() <= self.limit.size,
        }
    }

    /// Adds a chunk, unless it says nothing new.
    fn add(&mut self, content: &Arc<str>, stretch: Range<usize>) {
        if stretch.end <= self.covered {
            return;
        }
        self.covered = stretch.end;
        let Some(text) = Slice::new(content, stretch.clone()).filter(|text| !text.trim().is_empty()) else {
            return;
        };
        if !self.seen.insert(Seen(text.clone())) {
            return;
        }
        let tokens = self.counts.exact(content, stretch.clone());
        debug_assert!(
            self.limit.unit == Unit::Characters || tokens <= self.limit.size,
            "the splitter keeps to the limit"
        );
        let line_start = self.text.lines.then(|| self.lines.at(content, stretch.start));
        if self.text.kind == TextKind::Markdown {
            self.outline.advance(content, stretch.start);
        }
        let chunk = Chunk {
            ordinal: self.next_ordinal,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            page: page_at(&self.text.pages, stretch.start),
            line_start,
            line_end: line_start.map(|line| line.saturating_add(line_ends(&text))),
            heading: self.outline.path(),
            text,
        };
        self.next_ordinal += 1;
        self.pending_bytes += cost(&chunk);
        self.pending.push_back(chunk);
    }

    /// Emits records while there is room and enough for one; once all chunks are made, anything is enough.
    fn emit(&mut self, out: &mut Outputs) {
        let enough = if self.finished { 1 } else { RECORD_BYTES };
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

impl Work for Chunker {
    fn step(&mut self, cx: &StepContext, out: &mut Outputs) -> Result<Step, StageError> {
        for _ in 0..WINDOWS_PER_STEP {
            self.emit(out);
            if out.is_full() || cx.is_over() || self.finished {
                break;
            }
            self.window();
        }
        self.emit(out);
        if !self.finished || !self.pending.is_empty() {
            return Ok(Step::More);
        }
        if self.next_ordinal == 0 {
            out.skip("empty");
        }
        Ok(Step::Done)
    }
}

/// What a chunk counts for in a record.
fn cost(chunk: &Chunk) -> usize {
    chunk.text.len() + size_of::<Chunk>()
}

/// Measures white space alone as just too much for an overlap. Were it nothing, as a sizer has it, a chunk that ends in
/// a thousand blank lines would be followed by a thousand that begin one line later and say nothing.
struct NothingIsSome<S> {
    sizer: S,
    nothing: usize,
}

impl<S: ChunkSizer> ChunkSizer for NothingIsSome<S> {
    fn size(&self, candidate: &str) -> usize {
        if candidate.is_empty() { self.nothing } else { self.sizer.size(candidate) }
    }
}

/// Where a window of about `size` bytes ends: with the text where no more than a quarter of a window would be left.
fn window_end(content: &str, start: usize, size: usize) -> usize {
    let end = start.saturating_add(size);
    if end.saturating_add(size / 4) >= content.len() { content.len() } else { content.floor_char_boundary(end) }
}

/// The stretch without the white space at its ends.
fn trimmed(content: &str, stretch: Range<usize>) -> Range<usize> {
    let text = &content[stretch.clone()];
    let start = stretch.end - text.trim_start().len();
    start..start + text.trim().len()
}

/// A chunk's text, equal to any other that says the same.
struct Seen(Slice);

impl Hash for Seen {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0).hash(state);
    }
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Seen {}

#[cfg(test)]
mod tests {
    use docmill_api::{Digest, Document, SourceItem};

    use super::*;
    use crate::encoding::Encoding;

    fn effort_of(content: &str, kind: TextKind) -> (f64, f64) {
        let text = Text { content: content.into(), kind, title: None, pages: Arc::new([]), lines: false };
        let document = Arc::new(Document::admit(SourceItem::default(), Digest::of(&[])));
        let source = Record { document, payload: Payload::Text(text.clone()) };
        let limit = Limit { unit: Unit::Tokens, size: 512, overlap: 64 };
        let mut work = Chunker::new(Tokenizer::new(Encoding::Cl100kBase), limit, text, &source);
        let cx = StepContext::detached();
        while work.step(&cx, &mut Outputs::new()).unwrap() == Step::More {}
        let effort = work.counts.effort();
        #[expect(clippy::cast_precision_loss, reason = "a ratio for a bound")]
        let ratio = |bytes: usize| bytes as f64 / content.len() as f64;
        (ratio(effort.once), ratio(effort.again))
    }

    #[test]
    fn a_text_is_encoded_once_however_many_candidates_are_weighed() {
        let sentence = "It was a bright day, and the clocks (all of them) were striking thirteen; \"why\"? ";
        let paragraphs = format!("{}\n\n", sentence.repeat(20)).repeat(400);
        let markdown =
            format!("## Head\n\n{}\n\n- item\n- item\n\n```\nlet a = 1;\n```\n\n", sentence.repeat(5)).repeat(1000);
        let lines = "    let value = self.read(0x1f).map(|byte| byte + 1);\n".repeat(10_000);
        let chinese = format!("{}。\n", "天地玄黄，宇宙洪荒日月盈昃".repeat(8)).repeat(1000);
        for (name, content, kind) in [
            ("paragraphs", paragraphs, TextKind::Plain),
            ("markdown", markdown, TextKind::Markdown),
            ("lines", lines, TextKind::Code("rust".into())),
            ("chinese", chinese, TextKind::Plain),
        ] {
            let (once, again) = effort_of(&content, kind);
            assert!(once <= 1.0, "{name}: {once} in the pass");
            assert!(again < 0.3, "{name}: {again} at the edges");
        }
    }
}
