//! What a run would do with other widths, before anybody changes one.

use super::advice::{Change, Prediction};
use super::bottleneck::Bottleneck;
use super::estimate::{Estimate, Term};
use super::meter;
use crate::monitor::Snapshot;

/// Nine of ten of a normal distribution lie within so many standard errors.
const NINE_OF_TEN: f64 = 1.645;
/// What the closed form itself is off by, where all it is fed is exact: it knows no bursts.
const OWN_ERROR: f64 = 0.04;
/// What is added for a width beyond twice what was ever seen.
const EXTRAPOLATED: f64 = 0.15;
/// Measured throughput and the closed form may differ by so much; beyond, something else went on while it was measured.
const CALIBRATED: (f64, f64) = (0.7, 1.1);

/// What a run would do with these widths, from all that it did so far. `None` before a document has come to its end, and
/// for a stage that there is not.
///
/// [`super::Advisor::what_if`] knows better what it does lately.
#[must_use]
pub fn what_if(snapshot: &Snapshot, changes: &[Change]) -> Option<Prediction> {
    meter::of_run(snapshot)?.predict(changes)
}

impl Estimate {
    pub(super) fn predict(&self, changes: &[Change]) -> Option<Prediction> {
        let mut widths = self.widths();
        let mut extrapolated = false;
        for change in changes {
            let index = self.index(&change.stage)?;
            let stage = &self.stages[index];
            widths[index] = change.to.clamp(stage.min, stage.max);
            extrapolated |= widths[index] > 2 * stage.cost.widest;
        }
        Some(self.prediction(&widths, extrapolated))
    }

    pub(super) fn prediction(&self, widths: &[usize], mut extrapolated: bool) -> Prediction {
        let (model_now, _) = self.limit(&self.widths());
        let (model_then, term) = self.limit(widths);
        let fits = if model_now > 0.0 && self.rate > 0.0 {
            (self.rate / model_now).clamp(CALIBRATED.0, CALIBRATED.1)
        } else {
            1.0
        };
        let then = model_then * fits;
        let error = match term {
            Term::Width(index) | Term::Cpu(index) | Term::Provider(index) => self.stages[index].cost.error,
            Term::Memory | Term::Unknown => 0.1,
        };
        let mut spread = NINE_OF_TEN * error.hypot(OWN_ERROR);
        if extrapolated {
            spread += EXTRAPOLATED;
        }
        let mut low = then * (1.0 - spread).max(0.0);
        if let Some(times) = self.beyond_what_a_service_has_shown(then) {
            // It may refuse the first call more: then nothing is won.
            low = low.min(self.rate);
            extrapolated |= times > 2.0;
        }
        let in_hand = |stage: &super::estimate::Stage, width: usize, rate: f64| {
            stage.cost.bytes * (rate * stage.demand).min(width as f64)
        };
        let more: f64 = self
            .stages
            .iter()
            .zip(widths)
            .map(|(stage, width)| in_hand(stage, *width, then) - in_hand(stage, stage.width, self.rate))
            .sum();
        Prediction {
            now: self.rate,
            then,
            low,
            high: then * (1.0 + spread),
            cpus: then * self.cpus_each(),
            memory: (self.memory + more).max(0.0),
            limit: self.told(&term, widths, model_then),
            extrapolated,
        }
    }

    /// How many times the calls of now a service would be sent of which no limit is known; none where it is as many.
    fn beyond_what_a_service_has_shown(&self, then: f64) -> Option<f64> {
        let known = |limits: &super::estimate::ServiceLimits| limits.concurrency.is_some() || limits.rate.is_some();
        let open = self.services.iter().filter(|(_, limits)| !known(limits));
        let asked = open.filter(|(name, _)| self.stages.iter().any(|stage| stage.service == **name)).count();
        let times = then / self.rate.max(f64::MIN_POSITIVE);
        (asked > 0 && times > 1.25).then_some(times)
    }

    /// What bounds throughput at these widths, in words.
    pub(super) fn told(&self, term: &Term, widths: &[usize], rate: f64) -> Bottleneck {
        let (index, resource, because) = match term {
            Term::Width(index) => {
                let (stage, width) = (&self.stages[*index], widths[*index]);
                let resource = if stage.source {
                    "source"
                } else if stage.sink {
                    "sink"
                } else {
                    "width"
                };
                let workers = if width == 1 { "one worker does".to_owned() } else { format!("{width} workers do") };
                (*index, resource, format!("{workers} {rate:.1} documents a second at most"))
            }
            Term::Cpu(index) => {
                let each = 1000.0 * self.cpus_each();
                let because = format!("{:.1} CPUs do {rate:.1} documents a second of {each:.1}ms each", self.cpus);
                (*index, "cpu", because)
            }
            Term::Provider(index) => {
                let service = &self.stages[*index].service;
                (*index, "provider", format!("{service} takes {rate:.1} documents a second at most"))
            }
            Term::Memory => return memory(),
            Term::Unknown => return Bottleneck::default(),
        };
        Bottleneck { stage: self.stages[index].id.clone(), resource: resource.to_owned(), because }
    }
}

fn memory() -> Bottleneck {
    let because = "no more bytes may be in flight".to_owned();
    Bottleneck { stage: String::new(), resource: "memory".into(), because }
}
