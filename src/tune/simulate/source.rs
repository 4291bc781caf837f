//! Sources, and documents from admission to their end: a place in flight, memory, and what waits for either.

use std::collections::VecDeque;

use super::engine::Simulation;
use super::stage::{Doing, Record};

impl Simulation {
    /// A source lists its next document, if there is one.
    pub(super) fn list(&mut self, stage: usize, worker: usize) {
        if self.documents.listed >= self.model.documents {
            self.becomes(stage, worker, Doing::Gone);
            return;
        }
        self.documents.listed += 1;
        self.stages[stage].counters.input += 1;
        self.lists(stage, worker);
    }

    pub(super) fn has_listed(&mut self, stage: usize, worker: usize) {
        self.becomes(stage, worker, Doing::AtTheGate);
        self.waiting_sources.push_back(stage);
        self.admit();
    }

    fn in_flight(&self) -> u64 {
        self.documents.seen - self.documents.ended
    }

    pub(super) fn memory_used(&self) -> u64 {
        self.in_flight() * self.model.bytes
    }

    /// Whether what is missing for another document is memory.
    fn lacks_memory(&self) -> bool {
        let budget = self.model.memory;
        budget > 0 && self.in_flight() > 0 && self.memory_used() + self.model.bytes > budget
    }

    /// Takes in what there is a place and memory for.
    fn admit(&mut self) {
        while !self.lacks_memory() && self.in_flight() < self.model.in_flight as u64 {
            let Some(stage) = self.waiting_sources.pop_front() else { return };
            self.tell_wait(stage);
            self.documents.seen += 1;
            let record = self.documents.free.pop().unwrap_or_else(|| {
                self.documents.records.push(0);
                self.documents.records.len() - 1
            });
            self.documents.records[record] = 1;
            let mut made = VecDeque::new();
            for place in 0..self.stages[stage].readers.len() {
                self.documents.records[record] += 1;
                made.push_back((place, record));
            }
            self.worker(stage, 0).records = vec![record];
            self.becomes(stage, 0, Doing::Blocked(made));
            self.hand_on(stage, 0);
        }
        if self.lacks_memory() {
            return;
        }
        // From here on they wait for a place.
        for stage in self.waiting_sources.clone() {
            self.tell_wait(stage);
        }
    }

    /// Counts what a source has waited since it was last told, by what was missing then.
    pub(super) fn tell_wait(&mut self, stage: usize) {
        let memory = self.lacks_memory() || self.documents_were_bound_by_memory();
        let waited = self.becomes(stage, 0, Doing::AtTheGate);
        let counters = &mut self.stages[stage].counters;
        if memory {
            counters.memory += waited;
        } else {
            counters.blocked += waited;
        }
    }

    /// With a budget that holds fewer documents than there are places, memory is what is waited for.
    fn documents_were_bound_by_memory(&self) -> bool {
        let (budget, bytes) = (self.model.memory, self.model.bytes);
        budget > 0 && bytes > 0 && budget / bytes < self.model.in_flight as u64
    }

    /// A record has come to its end; with the last its document.
    pub(super) fn consumed(&mut self, record: Record) {
        let left = &mut self.documents.records[record];
        *left -= 1;
        if *left == 0 {
            self.documents.free.push(record);
            self.documents.ended += 1;
            self.admit();
        }
    }
}
