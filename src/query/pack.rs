//! Which rows of the documents that were found go into a budget of tokens.
//!
//! In three passes, each best document first:
//!
//! 1. Every document is to be there: with its best chunk where that is within the document's fair share, else with its
//!    summary. The fair share is what is left divided among those still to come; and half of the budget is for chunks in
//!    any case, so that many documents do not leave only summaries of each. The best document has its chunk always.
//! 2. Further chunks that the question found, one a document in each round.
//! 3. What stands beside them, document by document, until the best documents are there whole.

use std::collections::HashMap;

use docmill_api::{Filter, Hit, Search, StageError};

use super::found::Found;
use super::source::{Part, Source, header_cost, row_cost};

/// How many chunks of a document the second pass takes at most. A search brings rows as long as there are any, and those
/// far behind are less worth than what stands beside the best.
const FOUND_CHUNKS: usize = 4;

/// How many documents' rows are read at once in the third pass: what is in memory beside the budget.
const DOCUMENTS_AT_ONCE: usize = 8;

/// How many chunks of a document are looked at in the third pass: its first ones, some 200,000 tokens of the default
/// length.
const CHUNKS_A_DOCUMENT: usize = 400;

/// What is left when the third pass ends: nothing worth reading fits into less.
const REST: usize = 32;

/// Documents on their way into a budget.
pub(super) struct Pack {
    budget: usize,
    used: usize,
    entries: Vec<Entry>,
}

/// A document, and what of it has been taken.
struct Entry {
    found: Found,
    /// What its header costs, once.
    header: usize,
    taken: Vec<Hit>,
    /// How many chunks of those found were offered: taken, or too long for what was left.
    offered: usize,
}

impl Entry {
    fn new(place: usize, found: Found) -> Self {
        // Its number in the text is at most its place, and so no longer.
        let header = found.rows.first().map_or(0, |hit| header_cost(&Source::of(place + 1, hit).header(&hit.uri)));
        Self { found, header, taken: Vec::new(), offered: 0 }
    }

    fn chunk(&self, nth: usize) -> Option<&Hit> {
        self.found.rows.iter().filter(|hit| hit.part == "chunk").nth(nth)
    }

    /// Its best chunk, or its summary where that alone was found.
    fn best(&self) -> Option<&Hit> {
        self.chunk(0).or(self.found.rows.first())
    }

    fn cost(&self, hit: &Hit) -> usize {
        row_cost(hit) + if self.taken.is_empty() { self.header } else { 0 }
    }

    /// Whether a row belongs here and is not here yet.
    fn wants(&self, hit: &Hit) -> bool {
        let same = |taken: &Hit| taken.part == hit.part && taken.ordinal == hit.ordinal;
        hit.version == self.found.version && !self.taken.iter().any(same)
    }

    /// How far a chunk is from those that are there.
    fn distance(&self, hit: &Hit) -> u32 {
        let chunks = self.taken.iter().filter(|taken| taken.part == "chunk");
        chunks.map(|taken| taken.ordinal.abs_diff(hit.ordinal)).min().unwrap_or_default()
    }
}

impl Pack {
    pub(super) fn new(found: Vec<Found>, budget: usize) -> Self {
        let entries = found.into_iter().enumerate().map(|(place, found)| Entry::new(place, found)).collect();
        Self { budget, used: 0, entries }
    }

    /// What the best document's best row takes.
    pub(super) fn least(&self) -> usize {
        self.entries.first().and_then(|entry| Some(entry.cost(entry.best()?))).unwrap_or_default()
    }

    /// Makes room for the best document's best row beside everything else, where it is longer than all of the budget.
    pub(super) fn widen(&mut self) {
        if self.least() > self.budget {
            self.budget += self.least();
        }
    }

    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Takes what fits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn fill(&mut self, store: &dyn Search, filter: &Filter) -> Result<(), StageError> {
        if self.entries.is_empty() || self.least() > self.budget {
            return Ok(());
        }
        let waiting = self.take_best_chunks();
        self.take_summaries(store, filter, &waiting).await?;
        self.take_further_chunks();
        self.take_neighbours(store, filter).await
    }

    fn take_best_chunks(&mut self) -> Vec<usize> {
        let count = self.entries.len();
        let mut waiting = Vec::new();
        for at in 0..count {
            let entry = &self.entries[at];
            let best = if at == 0 { entry.best() } else { entry.chunk(0) };
            let Some(best) = best.cloned() else {
                waiting.push(at);
                continue;
            };
            let cost = entry.cost(&best);
            let share = (self.budget - self.used) / (count - at);
            if at == 0 || cost <= share || self.used + cost <= self.budget / 2 {
                self.take(at, best);
                self.entries[at].offered = 1;
            } else {
                waiting.push(at);
            }
        }
        waiting
    }

    async fn take_summaries(
        &mut self,
        store: &dyn Search,
        filter: &Filter,
        waiting: &[usize],
    ) -> Result<(), StageError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let documents: Vec<String> = waiting.iter().map(|at| self.entries[*at].found.document.clone()).collect();
        let mut rows = by_document(store.rows(&documents, Some("summary"), 1, filter).await?);
        for (at, document) in waiting.iter().zip(&documents) {
            for summary in rows.remove(document).unwrap_or_default() {
                self.take(*at, summary);
            }
        }
        Ok(())
    }

    fn take_further_chunks(&mut self) {
        for round in 0..FOUND_CHUNKS {
            for at in 0..self.entries.len() {
                let entry = &mut self.entries[at];
                if entry.offered > round {
                    continue;
                }
                if let Some(chunk) = entry.chunk(round).cloned() {
                    entry.offered += 1;
                    self.take(at, chunk);
                }
            }
        }
    }

    async fn take_neighbours(&mut self, store: &dyn Search, filter: &Filter) -> Result<(), StageError> {
        let places: Vec<usize> = (0..self.entries.len()).collect();
        for places in places.chunks(DOCUMENTS_AT_ONCE) {
            if self.budget - self.used < REST {
                break;
            }
            let documents: Vec<String> = places.iter().map(|at| self.entries[*at].found.document.clone()).collect();
            let mut rows = by_document(store.rows(&documents, Some("chunk"), CHUNKS_A_DOCUMENT, filter).await?);
            for (at, document) in places.iter().zip(&documents) {
                let mut chunks = rows.remove(document).unwrap_or_default();
                chunks.sort_by_key(|chunk| (self.entries[*at].distance(chunk), chunk.ordinal));
                chunks.retain(|chunk| self.entries[*at].wants(chunk));
                // What follows one that does not fit would leave a gap.
                for chunk in chunks {
                    if !self.take(*at, chunk) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a row, if it fits; tells whether it did.
    fn take(&mut self, at: usize, hit: Hit) -> bool {
        let entry = &mut self.entries[at];
        let cost = entry.cost(&hit);
        if !entry.wants(&hit) || self.used + cost > self.budget {
            return false;
        }
        self.used += cost;
        entry.taken.push(hit);
        true
    }

    /// What was taken, numbered, and what it costs.
    pub(super) fn finish(self) -> (Vec<Source>, usize) {
        let mut sources: Vec<Source> = Vec::new();
        for entry in self.entries {
            let Some(first) = entry.taken.first() else { continue };
            let mut source = Source::of(sources.len() + 1, first);
            source.parts = entry.taken.iter().enumerate().map(|(place, hit)| Part::of(hit, place)).collect();
            source.parts.sort_by_key(Part::order);
            sources.push(source);
        }
        (sources, self.used)
    }
}

fn by_document(rows: Vec<Hit>) -> HashMap<String, Vec<Hit>> {
    let mut documents: HashMap<String, Vec<Hit>> = HashMap::new();
    for row in rows {
        documents.entry(row.document.clone()).or_default().push(row);
    }
    documents
}
