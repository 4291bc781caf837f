//! The work on one document: part after part of its text is cut in the way that suits it, and records of chunks come
//! out.
//!
//! Prose goes through a splitter a window at a time: what is found and encoded for one stays small, and Markdown's splitter
//! does work that grows with the square of what it sees, since for each chunk it looks at all elements that are left. A
//! window ends anywhere, so its last chunk is dropped and the next window begins with it: borders are those that the
//! splitter chose, with their overlap, and a reader of the chunks cannot tell where the windows were. For that price, one
//! chunk of some twelve is split twice, and nothing is encoded twice.
//!
//! A table or a block of fenced code that fits a chunk is kept whole by the splitter. One that does not is a region of
//! its own, and so is a line that does not fit, in text that is cut at lines: regions lie in one another, and the
//! innermost is worked on first.

use std::ops::Range;

use docmill_api::{ByteString, Outputs, Record, StageError, Step, StepContext, Text, TextKind, Work};

use crate::ahead::Lookahead;
use crate::cuts::cut_after;
use crate::endless;
use crate::gather::Gather;
use crate::limit::{Limit, WINDOW};
use crate::lines::{self, Cut};
use crate::measure::{Measure, first_said, trimmed};
use crate::prose::split;
use crate::spans::{Scanner, Span};
use crate::strategy::Strategy;
use crate::tables::{Header, Piece};
use crate::tokenizer::{Tokenizer, segment};

/// How many windows a step takes at most, some 5 ms, whatever room there is for their chunks.
const WINDOWS_PER_STEP: usize = 12;

/// From this size on a document is encoded on threads of the pool that are idle while it is cut.
const LARGE: usize = 512 << 10;

/// As many chunks of lines or rows are cut as a window of prose gives.
const CUTS_PER_WINDOW: usize = 12;

/// How much of a Markdown text says whether it is mostly a table.
const SAMPLE: usize = 256 << 10;

/// The chunks of one document, in the making.
pub(crate) struct Chunker {
    content: ByteString,
    kind: TextKind,
    measure: Measure,
    gather: Gather,
    scanner: Scanner,
    /// What others encode of a large document.
    ahead: Option<Lookahead>,
    /// Where the next chunk begins.
    place: usize,
    /// What is worked on, the innermost last; `None` before the first step.
    regions: Option<Vec<Region>>,
}

/// A part of the text that is cut in one way.
#[derive(Clone, Debug)]
struct Region {
    end: usize,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// By the splitter, with Markdown's marks or without.
    Prose { markdown: bool },
    /// At units and lines.
    Lines,
    /// Between rows, below this header.
    Rows(Header),
}

/// What the splitter sees at once.
struct Window {
    range: Range<usize>,
    /// Whether it ends with its region, or where another begins.
    is_last: bool,
    /// What is to stay whole in it.
    wholes: Vec<Range<usize>>,
    /// What does not fit a chunk and begins at its end.
    next: Option<Span>,
}

impl Chunker {
    pub(crate) fn new(tokenizer: Tokenizer, limit: Limit, text: Text, source: &Record) -> Self {
        Self {
            content: text.content.clone(),
            kind: text.kind.clone(),
            measure: Measure::new(tokenizer, limit),
            gather: Gather::new(text, source),
            scanner: Scanner::default(),
            ahead: None,
            place: 0,
            regions: None,
        }
    }

    fn is_finished(&self) -> bool {
        self.regions.as_ref().is_some_and(Vec::is_empty)
    }

    /// Makes some chunks more.
    fn advance(&mut self) {
        let Some(regions) = &mut self.regions else { return self.begin() };
        let Some(region) = regions.last().cloned() else { return };
        self.place = first_said(&self.content, self.place.min(region.end)..region.end);
        if self.place == region.end {
            regions.pop();
            return;
        }
        match region.way {
            Way::Prose { markdown } => self.window(region.end, markdown),
            Way::Lines => self.lines(region.end),
            Way::Rows(header) => self.rows(region.end, &header),
        }
    }

    /// Chooses how the document is cut; one that fits a chunk is one.
    fn begin(&mut self) {
        let content = self.content.clone();
        let whole = trimmed(&content, 0..content.len());
        if content.len() <= self.measure.limit.window() {
            self.measure.counts.cover(&content, 0..content.len());
            if self.measure.fits(&content, whole.clone()) {
                self.gather.state(Strategy::Whole);
                self.gather.add(&self.measure, whole, None);
                self.regions = Some(Vec::new());
                return;
            }
        }
        let (strategy, way) = match self.kind {
            TextKind::Plain => (Strategy::Prose, Way::Prose { markdown: false }),
            TextKind::Code(_) => (Strategy::Code, Way::Lines),
            TextKind::Markdown => {
                let sample = content.len().min(SAMPLE);
                self.scanner.read(&content, sample);
                let tables = self.scanner.spans().filter(|span| span.rows.is_some());
                let bytes: usize = tables.map(|span| span.range.end.min(sample) - span.range.start).sum();
                let strategy = if bytes * 2 > sample { Strategy::Table } else { Strategy::Prose };
                (strategy, Way::Prose { markdown: true })
            }
        };
        self.gather.state(strategy);
        self.regions = Some(vec![Region { end: content.len(), way }]);
    }

    /// Works on a part of its own before what is around it.
    fn enter(&mut self, end: usize, way: Way) {
        if let Some(regions) = &mut self.regions {
            regions.push(Region { end, way });
        }
    }

    /// Makes the chunks of the next window of prose.
    fn window(&mut self, until: usize, markdown: bool) {
        let content = self.content.clone();
        let limit = self.measure.limit;
        let endless = segment(&content, self.place).endless;
        if endless && self.endless(until) {
            return;
        }
        let mut size = if endless { limit.smallest_window() } else { limit.window() };
        loop {
            let window = self.frame(&content, size, until, markdown);
            let stretches = self.split(&content, &window, markdown);
            let Some(keep) = keep(&stretches, &window) else {
                // One chunk fills the window: what it would be with more text cannot be known.
                size = size.saturating_mul(2);
                continue;
            };
            // A few words before a table that is to be cut go with its first rows.
            let is_lead = |last: &Range<usize>| self.measure.is_within(&content, last.clone(), limit.size / 4);
            let leads = window.next.is_some() && stretches.last().is_some_and(is_lead);
            let keep = if leads { stretches.len() - 1 } else { keep };
            self.place = stretches.get(keep).map_or(window.range.end, |stretch| stretch.start);
            for stretch in stretches.into_iter().take(keep) {
                self.gather.add(&self.measure, stretch, None);
            }
            if let Some(span) = window.next {
                let way = match span.rows {
                    Some(rows) if rows < span.range.end => {
                        Way::Rows(Header::new(&self.measure, &content, span.range.start..rows))
                    }
                    _ => Way::Lines,
                };
                self.enter(span.range.end, way);
            }
            return;
        }
    }

    /// Makes the next chunks of a word without end; says whether there are any.
    fn endless(&mut self, until: usize) -> bool {
        let content = self.content.clone();
        let window = window_end(&content, self.place, self.measure.limit.window(), until);
        let (start, size) = (self.place, self.measure.limit.size);
        let stop = cut_after(&content, start + 1, window).unwrap_or(window);
        if stop < until && self.measure.reach(&content, start, until, size) > stop {
            return false;
        }
        let words = self.measure.counts.tokenizer().endless_words(&content, start..stop);
        // What reaches beyond has better places, or waits for the next window.
        while self.place < stop
            && (stop == until || self.measure.reach(&content, self.place, until, size) <= stop)
            && let Some(cut) =
                endless::cut(&mut self.measure, &words, &content, self.place..until, self.gather.covered())
        {
            self.gather.add_endless(&self.measure, &words, self.place..cut.end);
            self.place = cut.next;
        }
        self.place > start
    }

    /// The next window of about `size` bytes.
    fn frame(&mut self, content: &str, size: usize, until: usize, markdown: bool) -> Window {
        let mut range = self.place..window_end(content, self.place, size, until);
        let mut wholes = Vec::new();
        let mut next = None;
        if markdown {
            self.scanner.read(content, range.end);
            self.scanner.pass(range.start);
            for span in self.scanner.spans().filter(|span| span.range.start >= self.place) {
                if span.range.start >= range.end {
                    break;
                }
                let whole = span.range.start..span.range.start + content[span.range.clone()].trim_end().len();
                let is_whole = whole.len() <= self.measure.limit.window() && {
                    self.measure.counts.cover(content, range.start..range.end.max(whole.end));
                    self.measure.fits(content, whole.clone())
                };
                if !is_whole {
                    next = Some(span.clone());
                    range.end = span.range.start;
                    break;
                }
                wholes.push(whole);
                range.end = range.end.max(span.range.end);
            }
        }
        self.measure.counts.cover(content, range.clone());
        Window { is_last: next.is_some() || range.end == until, range, wholes, next }
    }

    /// The chunks of a window, as places in the text.
    fn split(&self, content: &str, window: &Window, markdown: bool) -> Vec<Range<usize>> {
        let whole = trimmed(content, window.range.clone());
        if whole.is_empty() {
            return Vec::new();
        }
        if window.is_last && self.measure.fits(content, whole.clone()) {
            return vec![whole];
        }
        split(&self.measure, content, window.range.clone(), markdown, &window.wholes)
    }

    /// Makes the next chunks of text that is made of lines.
    fn lines(&mut self, until: usize) {
        let content = self.content.clone();
        for _ in 0..CUTS_PER_WINDOW {
            self.place = first_said(&content, self.place..until);
            if self.place == until {
                return;
            }
            match lines::cut(&mut self.measure, &content, self.gather.units(), self.place..until) {
                Cut::Between(end) => {
                    self.gather.add(&self.measure, self.place..end, None);
                    self.place = end;
                }
                Cut::Within(end) if end <= self.gather.covered() => self.place = end,
                Cut::Within(end) => {
                    self.gather.add(&self.measure, self.place..end, None);
                    self.place = lines::overlap(&self.measure, &content, self.place, end);
                }
                Cut::Never(end) => return self.enter(end, Way::Prose { markdown: false }),
            }
        }
    }

    /// Makes the next chunks of a table.
    fn rows(&mut self, until: usize, header: &Header) {
        let content = self.content.clone();
        for _ in 0..CUTS_PER_WINDOW {
            self.place = first_said(&content, self.place..until);
            if self.place == until {
                return;
            }
            match header.cut(&mut self.measure, &content, self.place..until) {
                Piece::Rows { end, headed } => {
                    self.gather.add(&self.measure, self.place..end, headed.then_some(header));
                    self.place = end;
                }
                Piece::Never(end) => return self.enter(end, Way::Prose { markdown: false }),
            }
        }
    }

    /// Makes some chunks more, as far as there is room for them.
    fn windows(&mut self, cx: &StepContext, out: &mut Outputs) {
        for _ in 0..WINDOWS_PER_STEP {
            self.gather.emit(out, self.is_finished());
            if out.is_full() || cx.is_over() || self.is_finished() {
                break;
            }
            if let Some(ahead) = &self.ahead {
                // A window may grow by a quarter to meet the end of what it is in.
                let need = self.place.saturating_add(self.measure.limit.window() / 4 * 5).min(self.content.len());
                ahead.reach(&mut self.measure.counts, self.place, need);
            }
            self.advance();
        }
        self.gather.emit(out, self.is_finished());
    }
}

impl Work for Chunker {
    fn step(&mut self, cx: &StepContext, out: &mut Outputs) -> Result<Step, StageError> {
        if self.ahead.is_none() && self.content.len() >= LARGE {
            self.ahead = Lookahead::new(self.measure.counts.tokenizer(), self.content.clone());
        }
        self.windows(cx, out);
        if let Some(ahead) = &self.ahead {
            // Threads are the next step's between steps.
            ahead.pause();
        }
        if !self.is_finished() || !self.gather.is_empty() {
            return Ok(Step::More);
        }
        if self.gather.count() == 0 {
            out.skip("empty");
        }
        Ok(Step::Done)
    }
}

/// How many chunks of a window stand; the next window begins with the first that does not, the last one. `None` if the
/// window is too small to tell.
fn keep(stretches: &[Range<usize>], window: &Window) -> Option<usize> {
    let (count, end) = (stretches.len(), window.range.end);
    let last_end = stretches.last().map_or(end, |stretch| stretch.end);
    if window.is_last || (count <= 1 && end - last_end >= WINDOW / 2) {
        return Some(count);
    }
    (count > 1).then(|| count - 1)
}

/// Where a window of about `size` bytes ends: with its region where no more than a quarter of a window would be left.
fn window_end(content: &str, start: usize, size: usize, until: usize) -> usize {
    let end = start.saturating_add(size);
    if end.saturating_add(size / 4) >= until { until } else { content.floor_char_boundary(end) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use docmill_api::{Digest, Document, Payload, SourceItem};

    use crate::limit::Unit;

    use super::*;
    use crate::encoding::Encoding;

    fn effort_of(content: &str, kind: TextKind) -> (f64, f64) {
        let text = Text {
            content: content.into(),
            kind,
            title: None,
            pages: Arc::new([]),
            blocks: Arc::new([]),
            lines: false,
        };
        let document = Arc::new(Document::admit(SourceItem::default(), Digest::of(&[])));
        let source = Record { document, payload: Payload::Text(text.clone()) };
        let limit = Limit { unit: Unit::Tokens, size: 512, overlap: 64 };
        let mut work = Chunker::new(Tokenizer::new(Encoding::Cl100kBase), limit, text, &source);
        let cx = StepContext::detached();
        while work.step(&cx, &mut Outputs::new()).unwrap() == Step::More {}
        let effort = work.measure.counts.effort();
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
