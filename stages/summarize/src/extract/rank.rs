//! Which sentences say most.
//!
//! A document is about the words that many of its sentences share, though not all do. A sentence is as good as it is
//! near to their sum (the centroid), which is what a walk over the graph of all sentences (`TextRank`) comes to as
//! well, at a cost that grows with the number of sentences rather than with its square.

use std::f64::consts::E;

use crate::extract::sentences::{Sentence, is_ended};
use crate::extract::words::Words;

/// The title counts for so many sentences.
const TITLE: f64 = 2.0;

/// What a sentence is worth that shares no word with another.
const LEAST: f64 = 1e-6;

/// How much the first sentence of a document is worth above a late one, and after how many that has faded by `e`.
const EARLY: f64 = 0.5;
const FADES: f64 = 6.0;

/// The indices of the best sentences, ascending: at most `count`, at most `room` characters, no two that say the same.
pub(crate) fn best(sentences: &[Sentence], title: Option<&str>, count: usize, room: usize) -> Vec<usize> {
    let mut words = Words::new();
    let analysed: Vec<(Vec<u32>, usize)> = sentences.iter().map(|sentence| words.of(&sentence.text)).collect();
    let title = title.map(|title| words.of(title).0).unwrap_or_default();
    let weights = Weights::new(&analysed, &title, words.count());
    let scores: Vec<f64> = sentences
        .iter()
        .zip(&analysed)
        .enumerate()
        .map(|(index, (sentence, (found, total)))| weights.nearness(found) * shape(sentence, index, *total))
        .collect();
    choose(sentences, &analysed, &weights, &scores, count, room)
}

/// What each word is worth.
struct Weights {
    /// How rare a word is among the sentences.
    rarity: Vec<f64>,
    /// The sum of all sentences, as far as they share words.
    centroid: Vec<f64>,
}

impl Weights {
    fn new(analysed: &[(Vec<u32>, usize)], title: &[u32], words: usize) -> Self {
        let mut sentences_with = vec![0_u32; words];
        for &word in analysed.iter().flat_map(|(found, _)| found) {
            sentences_with[word as usize] += 1;
        }
        let all = analysed.len() as f64 + 1.0;
        let rarity: Vec<f64> = sentences_with.iter().map(|&with| (all / f64::from(with.max(1))).ln()).collect();
        // A word of one sentence joins it to no other, however rare it is.
        let mut shared: Vec<f64> = sentences_with.iter().map(|&with| f64::from(with.saturating_sub(1))).collect();
        for &word in title {
            shared[word as usize] += TITLE;
        }
        let centroid = rarity.iter().zip(shared).map(|(rarity, shared)| rarity * shared).collect();
        Self { rarity, centroid }
    }

    /// The length of a sentence's vector.
    fn norm(&self, found: &[u32]) -> f64 {
        found.iter().map(|&word| self.rarity[word as usize].powi(2)).sum::<f64>().sqrt()
    }

    /// How near a sentence is to the centroid. Its length is damped, or sentences of one fitting word would win.
    fn nearness(&self, found: &[u32]) -> f64 {
        if found.is_empty() {
            return 0.0;
        }
        let product: f64 = found.iter().map(|&word| self.rarity[word as usize] * self.centroid[word as usize]).sum();
        // Where no two sentences share a word, their places and shapes have to decide.
        (product / (self.norm(found) * (found.len() as f64 + 4.0).sqrt())).max(LEAST)
    }
}

/// Beginnings of sentences that lean on the one before.
const LEANING: [&str; 20] = [
    "it",
    "this",
    "these",
    "those",
    "that",
    "he",
    "she",
    "they",
    "however",
    "but",
    "and",
    "or",
    "so",
    "also",
    "therefore",
    "thus",
    "hence",
    "then",
    "moreover",
    "furthermore",
];

/// What place, length and form of a sentence add to or take from its worth.
fn shape(sentence: &Sentence, index: usize, words: usize) -> f64 {
    let mut worth = 1.0 + EARLY * E.powf(-(index as f64) / FADES);
    if sentence.first {
        worth *= 1.1;
    }
    match words {
        0..7 => worth *= 0.6,
        46.. => worth *= 0.8,
        _ => {}
    }
    let text = &sentence.text;
    if !is_ended(text) {
        worth *= 0.4;
    } else if text.ends_with(['?', '？', '؟']) {
        worth *= 0.7;
    }
    let opening = text.split([' ', ',']).next().unwrap_or_default();
    if LEANING.iter().any(|word| word.eq_ignore_ascii_case(opening)) {
        worth *= 0.75;
    }
    worth
}

/// Takes the best, then the best of what is unlike it, and so on.
fn choose(
    sentences: &[Sentence],
    analysed: &[(Vec<u32>, usize)],
    weights: &Weights,
    scores: &[f64],
    count: usize,
    mut room: usize,
) -> Vec<usize> {
    let mut likeness = vec![0.0_f64; sentences.len()];
    let mut marked = vec![false; weights.rarity.len()];
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let mut best: Option<(usize, f64)> = None;
        for (index, sentence) in sentences.iter().enumerate() {
            let score = scores[index] * (1.0 - likeness[index]);
            if score > best.map_or(0.0, |(_, best)| best) && sentence.characters <= room && likeness[index] < ALIKE {
                best = Some((index, score));
            }
        }
        let Some((index, _)) = best else { break };
        chosen.push(index);
        room = room.saturating_sub(sentences[index].characters + 1);
        compare(analysed, weights, index, &mut marked, &mut likeness);
        likeness[index] = 1.0;
    }
    chosen.sort_unstable();
    chosen
}

/// Two sentences that are as near as this say the same.
const ALIKE: f64 = 0.7;

/// Raises every sentence's likeness to that with the one just chosen.
fn compare(
    analysed: &[(Vec<u32>, usize)],
    weights: &Weights,
    chosen: usize,
    marked: &mut [bool],
    likeness: &mut [f64],
) {
    let one = &analysed[chosen].0;
    for &word in one {
        marked[word as usize] = true;
    }
    let norm = weights.norm(one);
    for ((other, _), likeness) in analysed.iter().zip(likeness) {
        let shared: f64 = other
            .iter()
            .filter(|&&word| marked[word as usize])
            .map(|&word| weights.rarity[word as usize].powi(2))
            .sum();
        if shared > 0.0 {
            *likeness = likeness.max(shared / (norm * weights.norm(other)));
        }
    }
    for &word in one {
        marked[word as usize] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::sentences::split;

    fn summary(text: &str, title: Option<&str>, count: usize, room: usize) -> Vec<String> {
        let mut sentences = Vec::new();
        split(text, &mut sentences);
        best(&sentences, title, count, room).into_iter().map(|index| sentences[index].text.clone()).collect()
    }

    const TEXT: &str = "Whales are mammals that live in the oceans. Lunch was served at noon in the yellow kitchen. \
        Many whales swim long distances through the oceans to breed. The bus to town was late again. \
        Oceans are warming, and the whales that live there lose their food.";

    #[test]
    fn the_sentences_that_share_words_are_the_summary_in_the_order_of_the_text() {
        let chosen = summary(TEXT, None, 2, 1000);
        assert!(chosen.len() == 2 && chosen.iter().all(|text| text.contains("hales")), "{chosen:?}");
        assert!(TEXT.find(&chosen[0]) < TEXT.find(&chosen[1]));
    }

    #[test]
    fn a_title_says_what_matters() {
        let chosen = summary(TEXT, Some("Lunch in the yellow kitchen at noon"), 1, 1000);
        let without = summary(TEXT, None, 1, 1000);
        assert_ne!(chosen, without);
        assert!(chosen[0].contains("Lunch"), "{chosen:?}");
    }

    #[test]
    fn nothing_is_said_twice_and_the_room_is_kept() {
        let twice = format!("{TEXT} {TEXT}");
        let chosen = summary(&twice, None, 9, 1000);
        let mut distinct = chosen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), chosen.len());
        for room in [0, 30, 50, 100, 150] {
            let characters: usize = summary(TEXT, None, 9, room).iter().map(|text| text.chars().count() + 1).sum();
            assert!(characters <= room + 1, "{characters} of {room}");
        }
    }
}
