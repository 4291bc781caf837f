//! Which document is read in which call, how long notes may be, and how often they are joined: known before anything is
//! asked, so that the calls can be counted and each fits into the model's context.

use std::ops::Range;

use docmill_api::{Chat, StageError};

use super::material::{Material, cut};
use super::prompt::{Prompts, Task};

/// How a question is going to be answered.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// In one call that reads all documents.
    Once,
    /// In calls that take notes, and one that answers from them.
    Read {
        /// The documents of each reading call.
        groups: Vec<Vec<usize>>,
        /// How many tokens a call's notes may have.
        notes: usize,
        /// Rounds that join notes: which of them become one.
        rounds: Vec<Vec<Range<usize>>>,
    },
}

/// Notes as shares of the context, longest first. Shorter ones leave more room to read, and more of them fit together.
const SHARES: [usize; 5] = [4, 6, 8, 12, 16];

/// Notes are a page at most.
const LONGEST_NOTES: usize = 1_024;

impl Plan {
    /// Plans with the fewest calls, and of those with the longest notes. Documents that no reading call can hold are
    /// cut.
    ///
    /// # Errors
    /// The model's context is too small.
    pub(super) fn new(prompts: &Prompts<'_>, material: &mut Material<'_>) -> Result<Self, StageError> {
        if material.cost() <= prompts.room(Task::Answer) {
            return Ok(Self::Once);
        }
        let lengths = SHARES.map(|share| (prompts.context / share).clamp(1, LONGEST_NOTES));
        // The longest notes leave the least room: what fits there fits with shorter ones.
        material.fit(prompts.room_or_refuse(Task::Read { notes: lengths[0] })?);
        let costs: Vec<usize> = material.documents.iter().map(super::material::Document::cost).collect();
        let plans = lengths.iter().filter_map(|notes| Self::with_notes(prompts, &costs, *notes));
        // Of equals the first.
        plans.min_by_key(Self::calls).ok_or_else(|| {
            StageError::rejected(format!("a context of {} tokens is too small to join notes in", prompts.context))
        })
    }

    fn with_notes(prompts: &Prompts<'_>, costs: &[usize], notes: usize) -> Option<Self> {
        let groups = groups(costs, prompts.room(Task::Read { notes }));
        let at_last = prompts.room(Task::Answer) / share(notes);
        let at_once = prompts.room(Task::Join { notes }) / share(notes);
        let mut rounds = Vec::new();
        let mut count = groups.len();
        while count > at_last {
            if at_once < 2 {
                return None;
            }
            let joined = count.div_ceil(at_once);
            rounds.push((0..joined).map(|nth| nth * count / joined..(nth + 1) * count / joined).collect());
            count = joined;
        }
        Some(Self::Read { groups, notes, rounds })
    }

    /// Calls that read documents and take notes.
    pub(super) fn reading(&self) -> usize {
        match self {
            Self::Once => 0,
            Self::Read { groups, .. } => groups.len(),
        }
    }

    /// Calls in all.
    pub(super) fn calls(&self) -> usize {
        let joining = match self {
            Self::Once => 0,
            // One that stands alone is not asked about.
            Self::Read { rounds, .. } => rounds.iter().flatten().filter(|range| range.len() > 1).count(),
        };
        self.reading() + joining + 1
    }
}

/// Puts each document into the first group that has room for it, best first.
fn groups(costs: &[usize], room: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for (document, cost) in costs.iter().enumerate() {
        match groups.iter_mut().find(|(used, _)| used + cost <= room) {
            Some((used, group)) => {
                *used += cost;
                group.push(document);
            }
            None => groups.push((*cost, vec![document])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// What a call's notes may count for in the next call. The model that writes them counts its own tokens, which may be
/// counted here as somewhat more.
fn share(notes: usize) -> usize {
    notes + notes / 4 + 16
}

/// Notes as the material of the next call. Those that turned out too long are cut.
pub(super) fn joined(chat: &dyn Chat, notes: usize, taken: &[String]) -> String {
    // The empty line between two of them is of the share as well.
    let texts = taken.iter().map(|text| cut(chat, text.trim(), share(notes) - 4));
    texts.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_in_the_first_group_with_room_for_it() {
        assert_eq!(groups(&[60, 50, 40, 10, 100], 100), [vec![0, 2], vec![1, 3], vec![4]]);
        assert!(groups(&[], 100).is_empty());
    }
}
