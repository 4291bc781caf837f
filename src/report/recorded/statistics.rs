//! Whether two stretches of throughput differ, or only seem to: means of slots, and the interval that their ratio lies in.

use serde::Serialize;

use super::series::Curve;
use super::words::{number, percent, rate, rounded, rounded_rate, signed};

/// Fewer slots than this say nothing of how much throughput varies by itself.
const FEWEST: usize = 5;
/// More slots than this make one too short: documents come in bursts.
const MOST: usize = 40;
/// How many seconds a slot has at least.
const SLOT: f64 = 0.5;

/// A mean of documents a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Mean {
    /// Documents a second.
    pub per_second: f64,
    /// Over how many seconds.
    pub seconds: f64,
    /// Its standard error; none where the time is too short to tell.
    pub error: Option<f64>,
}

/// What lies between two means.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Effect {
    /// Without the change.
    pub before: Mean,
    /// With it.
    pub after: Mean,
    /// By how much it grew, as a share; none where there was nothing before.
    pub change: Option<f64>,
    /// The interval that this lies in, 95 times of 100, as shares; none where the time is too short to tell.
    pub within: Option<(f64, f64)>,
    /// Whether it is more than noise; none where that cannot be told.
    pub beyond_noise: Option<bool>,
}

impl Mean {
    /// The mean of a stretch of time, with how sure it is.
    pub(super) fn of(curve: &Curve, from: f64, to: f64) -> Self {
        let seconds = to - from;
        if seconds <= 0.0 {
            return Self::default();
        }
        let slots = slots(curve, from, to);
        Self {
            per_second: rounded_rate(curve.rate(from, to)),
            seconds: rounded(seconds),
            error: (slots.len() >= FEWEST).then(|| standard_error(&slots)),
        }
    }

    /// How many slots stand behind the error.
    fn slots(&self) -> usize {
        slot_count(self.seconds)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some tens of slots")]
fn slot_count(seconds: f64) -> usize {
    ((seconds / SLOT).floor().max(0.0) as usize).min(MOST)
}

/// Documents a second in equal parts of a stretch.
fn slots(curve: &Curve, from: f64, to: f64) -> Vec<f64> {
    let count = slot_count(to - from);
    let slot = (to - from) / number(count.max(1));
    let begin = |index: usize| from + number(index) * slot;
    (0..count).map(|index| curve.rate(begin(index), begin(index + 1))).collect()
}

/// The standard error of the mean of slots. What follows on one another is alike, and then each says less: the variance is
/// taken larger by the correlation of neighbours.
fn standard_error(slots: &[f64]) -> f64 {
    let count = number(slots.len());
    let mean = slots.iter().sum::<f64>() / count;
    let squares: f64 = slots.iter().map(|slot| (slot - mean).powi(2)).sum();
    if squares <= 0.0 {
        return 0.0;
    }
    let neighbours: f64 = slots.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = (neighbours / squares).clamp(0.0, 0.8);
    let variance = squares / (count - 1.0);
    (variance / count * (1.0 + correlation) / (1.0 - correlation)).sqrt()
}

/// Student's t for 95 of 100, two-sided: Cornish and Fisher's expansion, right within 2 % from three degrees on.
fn student(degrees: f64) -> f64 {
    1.96 + 2.372 / degrees + 2.823 / degrees.powi(2) + 2.556 / degrees.powi(3)
}

impl Effect {
    /// Compares two means. A change of less than `least` (a share) counts as none, whatever the noise.
    pub(super) fn between(before: Mean, after: Mean, least: f64) -> Self {
        let mut effect = Self { before, after, ..Self::default() };
        if before.per_second <= 0.0 {
            return effect;
        }
        let ratio = after.per_second / before.per_second;
        effect.change = Some(rounded(ratio - 1.0));
        let (Some(first), Some(second)) = (before.error, after.error) else { return effect };
        let relative = (first / before.per_second).powi(2);
        let error = ((second / before.per_second).powi(2) + ratio.powi(2) * relative).sqrt();
        let half = student(number(before.slots().min(after.slots()) - 1)) * error;
        let (low, high) = (ratio - 1.0 - half, ratio - 1.0 + half);
        effect.within = Some((rounded(low), rounded(high)));
        effect.beyond_noise = Some((low > 0.0 || high < 0.0) && (ratio - 1.0).abs() >= least);
        effect
    }

    /// In words: `73.1 → 95.8 documents/s, +31 % (+24 % to +38 %): more than noise`.
    #[must_use]
    pub fn words(&self) -> String {
        let (before, after) = (rate(self.before.per_second), rate(self.after.per_second));
        let Some(change) = self.change else {
            return format!("{after} documents/s, and nothing before to compare with");
        };
        let told = format!("{before} → {after} documents/s, {}", signed(change));
        match (self.within, self.beyond_noise) {
            (Some(within), Some(true)) => format!("{told} ({}): more than noise", interval(within)),
            (Some(within), _) => format!("{told} ({}): within the noise", interval(within)),
            (None, _) => format!("{told}: too short a time to tell from noise"),
        }
    }
}

/// An interval of shares: `+24 % to +38 %`.
pub(super) fn interval((low, high): (f64, f64)) -> String {
    if high - low < 0.001 { format!("±{}", percent(0.0)) } else { format!("{} to {}", signed(low), signed(high)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A count that grows by `rate` a second, in bursts that come and go by `wobble`.
    fn curve(rates: &[(f64, f64)]) -> Curve {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut at, mut ended, mut points) = (0.0, 0.0, vec![(0.0, 0.0)]);
        for (rate, wobble) in rates {
            for _ in 0..120 {
                at += 0.25;
                ended += 0.25 * rate * (1.0 + wobble * (random.f64() - 0.5));
                points.push((at, ended));
            }
        }
        Curve::new(points)
    }

    #[test]
    fn a_real_change_is_told_from_noise() {
        let curve = curve(&[(50.0, 0.4), (65.0, 0.4), (65.5, 0.4)]);
        let mean = |from, to| Mean::of(&curve, from, to);
        let grown = Effect::between(mean(0.0, 30.0), mean(30.0, 60.0), 0.0);
        assert_eq!(grown.beyond_noise, Some(true), "{grown:?}");
        let (low, high) = grown.within.expect("long enough");
        assert!(low < 0.30 && 0.30 < high && high - low < 0.15, "{grown:?}");
        assert!(grown.words().contains("more than noise"), "{}", grown.words());
        let same = Effect::between(mean(30.0, 60.0), mean(60.0, 90.0), 0.0);
        assert_eq!(same.beyond_noise, Some(false), "{same:?}");
    }

    #[test]
    fn what_is_too_short_or_empty_is_not_judged() {
        let curve = curve(&[(50.0, 0.0)]);
        let short = Effect::between(Mean::of(&curve, 0.0, 1.0), Mean::of(&curve, 1.0, 30.0), 0.0);
        assert_eq!((short.beyond_noise, short.within), (None, None));
        assert!(short.change.is_some() && short.words().contains("too short"), "{}", short.words());
        let nothing = Effect::between(Mean::of(&curve, 40.0, 50.0), Mean::of(&curve, 0.0, 30.0), 0.0);
        assert_eq!(nothing.change, None);
        assert_eq!(Mean::of(&curve, 5.0, 5.0), Mean::default());
    }

    #[test]
    fn a_change_below_what_counts_is_none_even_without_noise() {
        let curve = curve(&[(100.0, 0.0), (101.0, 0.0)]);
        let (before, after) = (Mean::of(&curve, 0.0, 30.0), Mean::of(&curve, 30.0, 60.0));
        assert_eq!(Effect::between(before, after, 0.0).beyond_noise, Some(true));
        assert_eq!(Effect::between(before, after, 0.02).beyond_noise, Some(false));
    }

    #[test]
    fn students_t_is_that_of_the_tables() {
        for (degrees, table) in [(4.0, 2.776), (10.0, 2.228), (30.0, 2.042)] {
            assert!((student(degrees) / table - 1.0_f64).abs() < 0.02, "{degrees}: {}", student(degrees));
        }
    }
}
