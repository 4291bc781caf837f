//! The most that a run could do, and the widths for it. No clock, no memory: one estimate in, widths out.

use super::super::estimate::{Estimate, Stage, Term};

/// The share of its time that a worker is to be at work: with less to spare, a stage whose records are uneven falls
/// behind now and then, and those after it starve.
const AT_WORK: f64 = 0.8;
/// A service is sent so many times what it takes at once: it is seen to be the limit, and what it comes to take is used.
const BEYOND_A_LIMIT: f64 = 1.25;

/// What would be best.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tune) struct Ideal {
    /// Documents a second with every width as large as it may be.
    pub(in crate::tune) rate: f64,
    /// What bounds them then.
    pub(in crate::tune) term: Term,
    /// The width that each stage needs for it; for a stage that is not to be changed, its own.
    pub(in crate::tune) needed: Vec<usize>,
    /// The width beyond which each stage gains nothing, whatever it needs.
    pub(in crate::tune) caps: Vec<usize>,
}

impl Ideal {
    /// Reckons. Widths are for at most `most` times what the widths of now allow: more would be provided for work that is
    /// not there, if what is not known yet bounds it before.
    pub(in crate::tune) fn of(estimate: &Estimate, threads: usize, most: f64, free: impl Fn(&Stage) -> bool) -> Self {
        let caps: Vec<usize> = estimate
            .stages
            .iter()
            .map(|stage| if free(stage) { cap(estimate, stage, threads) } else { stage.width })
            .collect();
        let (rate, term) = estimate.limit(&caps);
        let (now, _) = estimate.limit(&estimate.widths());
        let target = rate.min(most * now.max(estimate.rate));
        let needed = estimate.stages.iter().zip(&caps).map(|(stage, cap)| {
            if !free(stage) || stage.demand <= 0.0 {
                return stage.width.min(*cap);
            }
            let workers = (target * (stage.demand + stage.wait) / AT_WORK).ceil();
            (workers as usize).clamp(stage.min, *cap)
        });
        let needed = needed.collect();
        Self { rate, term, needed, caps }
    }
}

/// The width beyond which a stage gains nothing.
fn cap(estimate: &Estimate, stage: &Stage, threads: usize) -> usize {
    let most = if stage.source || stage.sink {
        stage.width
    } else if stage.cpu && stage.isolated {
        // A child that waits for a disk leaves its CPU to another.
        let share = stage.cost.cpu_share.unwrap_or(1.0).clamp(0.1, 1.0);
        let cpus = if estimate.cpus > 0.0 { estimate.cpus } else { threads as f64 };
        ((cpus / share).ceil() as usize).saturating_add(1)
    } else if stage.cpu {
        // One more than there are permits: while a worker hands on, another computes.
        threads.saturating_add(1)
    } else {
        let limits = estimate.services.get(&stage.service);
        match limits.and_then(|limits| limits.concurrency) {
            Some(concurrency) => (BEYOND_A_LIMIT * concurrency).ceil() as usize + 1,
            None => stage.max,
        }
    };
    most.clamp(stage.min, stage.max)
}
