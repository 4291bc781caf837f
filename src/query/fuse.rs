//! Fusion of two rankings by normalised scores.
//!
//! Each side's scores become z-scores over its candidates, and a row's score is their sum; a row that one side did not
//! bring counts there as that side's worst. On three public retrieval sets this beat both sides alone, which reciprocal
//! ranks did not (docs/adr/006-search.md).

use std::collections::HashMap;

use docmill_api::Hit;

/// Fuses the nearest rows with the matching ones, best first.
#[must_use]
pub fn fuse(near: Vec<Hit>, matching: Vec<Hit>) -> Vec<Hit> {
    let (near_worst, matching_worst) = (normalise(&near).1, normalise(&matching).1);
    let mut scores: HashMap<String, (f32, f32)> = HashMap::new();
    for (hit, score) in near.iter().zip(normalise(&near).0) {
        scores.insert(hit.id.clone(), (score, matching_worst));
    }
    for (hit, score) in matching.iter().zip(normalise(&matching).0) {
        scores.entry(hit.id.clone()).or_insert((near_worst, score)).1 = score;
    }
    let mut fused: Vec<Hit> = Vec::with_capacity(scores.len());
    for mut hit in near.into_iter().chain(matching) {
        if let Some((by_vector, by_text)) = scores.remove(&hit.id) {
            hit.score = by_vector + by_text;
            fused.push(hit);
        }
    }
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    fused
}

/// The z-scores, and the least of them. A side without spread counts for nothing.
fn normalise(hits: &[Hit]) -> (Vec<f32>, f32) {
    if hits.is_empty() {
        return (Vec::new(), 0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred hits at most")]
    let count = hits.len() as f32;
    let mean = hits.iter().map(|hit| hit.score).sum::<f32>() / count;
    let spread = (hits.iter().map(|hit| (hit.score - mean).powi(2)).sum::<f32>() / count).sqrt();
    let scores: Vec<f32> =
        hits.iter().map(|hit| if spread > f32::EPSILON { (hit.score - mean) / spread } else { 0.0 }).collect();
    let worst = scores.iter().copied().fold(0.0, f32::min);
    (scores, worst)
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

    #[test]
    fn one_empty_side_leaves_the_other_in_its_order() {
        let fused = fuse(vec![hit("a", 0.9), hit("b", 0.2)], Vec::new());
        assert_eq!(fused.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fuse(vec![hit("a", 0.5), hit("b", 0.5)], Vec::new()).len(), 2, "no spread, no division by nought");
    }
}
