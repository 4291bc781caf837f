//! Fusion of two rankings by normalised scores.
//!
//! Both sides' scores become z-scores over the union of their candidates, and a row's score is their sum. A row that the
//! text side did not bring has no word in common with the question: its text score is nought, which is known, not
//! guessed. A row that the vector side did not bring is no nearer than that side's last. On three public retrieval sets
//! this beat both sides alone, which reciprocal ranks did not (docs/adr/006-search.md).

use std::collections::HashMap;

use docmill_api::Hit;

/// Fuses the nearest rows with the matching ones, best first.
#[must_use]
pub fn fuse(near: Vec<Hit>, matching: Vec<Hit>) -> Vec<Hit> {
    let by_vector: HashMap<String, f32> = near.iter().map(|hit| (hit.id.clone(), hit.score)).collect();
    let by_text: HashMap<String, f32> = matching.iter().map(|hit| (hit.id.clone(), hit.score)).collect();
    let farthest = near.iter().map(|hit| hit.score).reduce(f32::min).unwrap_or_default();
    let mut fused = near;
    fused.extend(matching.into_iter().filter(|hit| !by_vector.contains_key(&hit.id)));
    let vector = normalised(&fused, |hit| by_vector.get(&hit.id).copied().unwrap_or(farthest));
    let text = normalised(&fused, |hit| by_text.get(&hit.id).copied().unwrap_or_default());
    for ((hit, vector), text) in fused.iter_mut().zip(vector).zip(text) {
        hit.score = vector + text;
    }
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    fused
}

/// The z-scores of one side. A side that tells no row from another counts for nothing.
fn normalised(hits: &[Hit], score: impl Fn(&Hit) -> f32) -> Vec<f32> {
    let scores: Vec<f32> = hits.iter().map(score).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred hits at most")]
    let count = scores.len().max(1) as f32;
    let mean = scores.iter().sum::<f32>() / count;
    let spread = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f32>() / count).sqrt();
    scores.iter().map(|score| if spread > f32::EPSILON { (score - mean) / spread } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: &str, score: f32) -> Hit {
        Hit {
            id: id.into(),
            document: String::new(),
            version: String::new(),
            uri: String::new(),
            filename: String::new(),
            media_type: String::new(),
            title: None,
            part: "chunk".into(),
            ordinal: 0,
            page: None,
            line_start: None,
            line_end: None,
            heading: Vec::new(),
            text: String::new(),
            tokens: 0,
            score,
            ingested_at: 0,
        }
    }

    #[test]
    fn good_in_both_beats_best_in_one_and_every_row_comes_once() {
        let near = vec![hit("a", 0.9), hit("b", 0.8), hit("c", 0.1), hit("d", 0.1)];
        let matching = vec![hit("e", 12.0), hit("b", 11.0), hit("c", 1.0), hit("f", 1.0)];
        let fused = fuse(near, matching);
        let ids: Vec<&str> = fused.iter().map(|hit| hit.id.as_str()).collect();
        assert_eq!(ids[0], "b");
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["a", "b", "c", "d", "e", "f"]);
    }

    /// A word that stands in one row only: the text side brings one hit, the vector side noise.
    #[test]
    fn the_only_row_with_a_rare_word_beats_vector_noise() {
        let near: Vec<Hit> = (0_u8..50).map(|n| hit(&format!("noise{n}"), 0.4 - f32::from(n) / 200.0)).collect();
        assert_eq!(fuse(near.clone(), vec![hit("only", 3.0)])[0].id, "only");
        assert_eq!(fuse(near, vec![hit("noise49", 3.0)])[0].id, "noise49");
    }

    #[test]
    fn one_empty_side_leaves_the_other_in_its_order() {
        let fused = fuse(vec![hit("a", 0.9), hit("b", 0.2)], Vec::new());
        assert_eq!(fused.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fuse(vec![hit("a", 0.5), hit("b", 0.5)], Vec::new()).len(), 2, "no spread, no division by nought");
    }
}
