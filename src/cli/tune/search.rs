//! Which widths are tried next, and when it is enough. Pure: what was measured comes in, widths go out.

use crate::tune::{Bottleneck, Change};

/// Nine of ten of what is measured lie within so many standard errors.
pub(super) const NINE_OF_TEN: f64 = 1.645;
/// Less than this share is no gain, however sure it is: nobody rewrites a file for it.
const GAIN: f64 = 0.02;
/// So many trials in a row without a gain end it.
const WITHOUT_GAIN: usize = 2;
/// A neighbour is so many times as wide, or as narrow.
const STEP: f64 = 1.5;

/// A stage, as far as its width goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) id: String,
    pub(super) start: usize,
    pub(super) min: usize,
    pub(super) max: usize,
}

/// What a trial measured, as far as the search needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Documents a second.
    pub(super) rate: f64,
    /// The standard error of it.
    pub(super) error: f64,
    /// What bounded it.
    pub(super) limit: Bottleneck,
    /// What the planner would change after it.
    pub(super) proposed: Vec<Change>,
}

/// What is to be tried, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) widths: Vec<usize>,
    pub(super) why: String,
}

/// A search over widths.
#[derive(Debug)]
pub(super) struct Search {
    stages: Vec<Bounds>,
    most: usize,
    tried: Vec<(Vec<usize>, Measured)>,
    best: usize,
    without_gain: usize,
}

impl Search {
    /// A search with so many trials at most.
    pub(super) fn new(stages: Vec<Bounds>, most: usize) -> Self {
        Self { stages, most, tried: Vec::new(), best: 0, without_gain: 0 }
    }

    /// The stop rule, for people.
    pub(super) fn rule(&self) -> String {
        format!(
            "{} trials at most; {WITHOUT_GAIN} in a row that bring no more than noise (nine of ten), or less than {:.0} %, \
             end it",
            self.most,
            100.0 * GAIN
        )
    }

    /// The trial that was best, by its number from 0 on. A later one is better only beyond noise.
    pub(super) fn best(&self) -> usize {
        self.best
    }

    /// What is tried next, or why nothing is.
    pub(super) fn next(&self) -> Result<Candidate, String> {
        let Some((widths, measured)) = self.tried.get(self.best) else {
            let widths = self.stages.iter().map(|stage| stage.start).collect();
            return Ok(Candidate { widths, why: "as the pipeline has it".to_owned() });
        };
        if self.tried.len() >= self.most {
            return Err(format!("{} trials were made: `--trials` allows no more", self.most));
        }
        if self.without_gain >= WITHOUT_GAIN {
            return Err(format!("{WITHOUT_GAIN} trials in a row brought no more than noise"));
        }
        let new = |candidate: &Candidate| !self.tried.iter().any(|(tried, _)| *tried == candidate.widths);
        let all = self.candidates(widths, measured);
        all.into_iter().find(new).ok_or_else(|| "there is no neighbour that was not tried".to_owned())
    }

    /// Notes what a trial brought.
    pub(super) fn tried(&mut self, widths: Vec<usize>, measured: Measured) {
        let better = self.tried.get(self.best).is_none_or(|(_, best)| {
            let noise = NINE_OF_TEN * best.error.hypot(measured.error);
            measured.rate - best.rate > noise.max(GAIN * best.rate)
        });
        if better {
            self.best = self.tried.len();
            self.without_gain = 0;
        } else {
            self.without_gain += 1;
        }
        self.tried.push((widths, measured));
    }

    /// The planner's proposal first, then the neighbours of the best trial: its bottleneck wider, and narrower.
    fn candidates(&self, widths: &[usize], measured: &Measured) -> Vec<Candidate> {
        let mut all = Vec::new();
        let mut planned = widths.to_vec();
        for change in &measured.proposed {
            if let Some(index) = self.index(&change.stage) {
                planned[index] = self.within(index, change.to);
            }
        }
        all.push(Candidate { widths: planned, why: "as the planner reckons from the best trial".to_owned() });
        let Some(index) = self.index(&measured.limit.stage) else { return all };
        let width = widths[index] as f64;
        let stage = &measured.limit.stage;
        for (to, how) in [((STEP * width).ceil(), "wider"), ((width / STEP).floor(), "narrower")] {
            let mut widths = widths.to_vec();
            widths[index] = self.within(index, to as usize);
            all.push(Candidate { widths, why: format!("{stage}, the bottleneck, {how}") });
        }
        all
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.id == id)
    }

    fn within(&self, index: usize, width: usize) -> usize {
        let stage = &self.stages[index];
        width.clamp(stage.min, stage.max.max(stage.min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(most: usize) -> Search {
        let stage = |id: &str, start: usize, max: usize| Bounds { id: id.into(), start, min: 1, max };
        Search::new(vec![stage("parse", 2, 256), stage("embed", 2, 32), stage("store", 1, 1)], most)
    }

    fn limit(stage: &str) -> Bottleneck {
        Bottleneck { stage: stage.into(), resource: "width".into(), because: String::new() }
    }

    /// Tries all that the search proposes against a pipeline that does ten documents a second for each worker of `embed`,
    /// up to 90.
    fn carried_out(mut search: Search, error: f64) -> (Search, String) {
        loop {
            match search.next() {
                Err(why) => return (search, why),
                Ok(Candidate { widths, .. }) => {
                    let rate = (10.0 * widths[1] as f64).min(90.0);
                    let proposed = vec![Change { stage: "embed".into(), from: widths[1], to: 5 }];
                    search.tried(widths, Measured { rate, error, limit: limit("embed"), proposed });
                }
            }
        }
    }

    #[test]
    fn the_planner_is_asked_first_and_then_neighbours_until_nothing_is_gained() {
        let (search, why) = carried_out(search(20), 0.5);
        let embed: Vec<usize> = search.tried.iter().map(|(widths, _)| widths[1]).collect();
        assert_eq!(embed, [2, 5, 8, 12, 18], "{why}");
        assert_eq!(search.tried[search.best()].0, [2, 12, 1]);
        assert_eq!(why, "there is no neighbour that was not tried");
    }

    #[test]
    fn what_lies_within_noise_is_no_gain_and_trials_are_counted() {
        let (noisy, why) = carried_out(search(20), 100.0);
        assert_eq!((noisy.best(), noisy.tried.len()), (0, 3), "the pipeline's own widths stay");
        assert_eq!(why, "2 trials in a row brought no more than noise");
        let (few, why) = carried_out(search(2), 0.5);
        assert_eq!(few.tried.len(), 2);
        assert!(why.contains("`--trials`"), "{why}");
    }

    #[test]
    fn widths_stay_within_their_bounds() {
        let mut search = search(20);
        let proposed = vec![Change { stage: "embed".into(), from: 2, to: 500 }];
        search.tried(vec![2, 2, 1], Measured { rate: 10.0, limit: limit("store"), proposed, error: 0.1 });
        assert_eq!(search.next().map(|candidate| candidate.widths), Ok(vec![2, 32, 1]));
        search.tried(vec![2, 32, 1], Measured { rate: 10.0, limit: limit("store"), ..Measured::default() });
        // A store has one committer: it has no neighbour.
        assert!(search.next().is_err_and(|why| why.contains("no neighbour")));
    }
}
