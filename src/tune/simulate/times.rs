//! How long a call takes: a distribution, or what was counted of a real run.

use fastrand::Rng;

/// A distribution of times, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Times {
    /// Always as long.
    Fixed(f64),
    /// Without memory, with this mean: mostly short, sometimes long.
    Exponential(f64),
    /// Log-normal: like documents, of which few are very large.
    LogNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation as a share of the mean.
        spread: f64,
    },
    /// As counted: how many took from 2^k up to 2^(k+1) microseconds, from k = 0 on. It is
    /// [`StageSnapshot::service_buckets`](crate::monitor::StageSnapshot::service_buckets) of a recorded run.
    Counted(Vec<u64>),
    /// As counted, and stretched so that the mean is as told: the counts know it within a factor of one and a half only.
    Measured {
        /// As in [`Times::Counted`].
        counts: Vec<u64>,
        /// The mean.
        mean: f64,
    },
}

impl Default for Times {
    fn default() -> Self {
        Self::Fixed(0.0)
    }
}

impl Times {
    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Self::Fixed(mean)
            | Self::Exponential(mean)
            | Self::LogNormal { mean, .. }
            | Self::Measured { mean, .. } => *mean,
            Self::Counted(counts) => mean_of(counts),
        }
    }

    pub(super) fn sample(&self, random: &mut Rng) -> f64 {
        match self {
            Self::Fixed(time) => *time,
            Self::Exponential(mean) => -mean * (1.0 - random.f64()).ln(),
            Self::LogNormal { mean, spread } => {
                let variance = (1.0 + spread * spread).ln();
                // Box and Muller: two even numbers make a normal one.
                let (first, second) = (1.0 - random.f64(), random.f64());
                let normal = (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos();
                mean * (normal * variance.sqrt() - variance / 2.0).exp()
            }
            Self::Counted(counts) => sample_of(counts, random),
            Self::Measured { counts, mean } => {
                let counted = mean_of(counts);
                if counted > 0.0 { sample_of(counts, random) * mean / counted } else { *mean }
            }
        }
    }
}

fn mean_of(counts: &[u64]) -> f64 {
    let all = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().enumerate().map(|(power, count)| *count as f64 * middle(power)).sum::<f64>() / all
}

fn sample_of(counts: &[u64], random: &mut Rng) -> f64 {
    let all = counts.iter().sum::<u64>();
    if all == 0 {
        return 0.0;
    }
    let mut which = random.u64(0..all);
    let power = counts.iter().position(|count| {
        let here = which < *count;
        which = which.saturating_sub(*count);
        here
    });
    // Within a power of two nothing is known: every time in it is as likely.
    least(power.unwrap_or_default()) * (1.0 + random.f64())
}

fn least(power: usize) -> f64 {
    1e-6 * 2_f64.powi(i32::try_from(power).unwrap_or(i32::MAX))
}

fn middle(power: usize) -> f64 {
    1.5 * least(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_mean_that_is_told() {
        let mut random = Rng::with_seed(7);
        let counted = Times::Counted(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 10]);
        let measured = Times::Measured { counts: vec![0, 0, 0, 5, 0, 0, 1], mean: 0.02 };
        let normal = Times::LogNormal { mean: 0.3, spread: 0.8 };
        for times in [Times::Fixed(0.2), Times::Exponential(0.1), normal, counted, measured] {
            let sum: f64 = (0..20_000).map(|_| times.sample(&mut random)).sum();
            let mean = sum / 20_000.0;
            assert!((mean / times.mean() - 1.0).abs() < 0.03, "{times:?}: {mean} instead of {}", times.mean());
        }
    }
}
