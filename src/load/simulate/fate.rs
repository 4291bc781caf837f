//! What becomes of a granted call, and when: drawn from a hash, so that it does not depend on the order of arrival.

use std::time::Duration;

use docmill_api::Digest;

use super::{Endpoint, Settings};

/// What becomes of a granted call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answer,
    Error,
    Hang,
    Overload,
    Unavailable,
    Garbage,
    Half,
    WrongLength,
}

/// The numbers that were drawn for one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw(Digest);

impl Draw {
    /// Draws for the `nth` time that a body is granted, counted from 0.
    pub(super) fn new(seed: u64, body: &Digest, nth: u32) -> Self {
        Self(Digest::of(&[&seed.to_le_bytes(), body.as_bytes(), &nth.to_le_bytes()]))
    }

    /// One of four numbers that are spread evenly over 0 to 1, without 1.
    fn uniform(&self, which: usize) -> f64 {
        let bytes = self.0.as_bytes()[which * 8..][..8].try_into().expect("a digest holds four times eight bytes");
        // As many bits as the fraction of a 64-bit float holds: more could round up to 1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let number = (u64::from_le_bytes(bytes) >> 11) as f64;
        number / (1_u64 << 53) as f64
    }

    pub(super) fn fate(&self, settings: &Settings, endpoint: Endpoint) -> Fate {
        let wrong_length = if endpoint == Endpoint::Embeddings { settings.wrong_length } else { 0.0 };
        let mut left = self.uniform(0);
        for (fate, share) in [
            (Fate::Error, settings.errors),
            (Fate::Hang, settings.hangs),
            (Fate::Overload, settings.overloads),
            (Fate::Unavailable, settings.unavailable),
            (Fate::Garbage, settings.garbage),
            (Fate::Half, settings.halves),
            (Fate::WrongLength, wrong_length),
        ] {
            if left < share {
                return fate;
            }
            left -= share;
        }
        Fate::Answer
    }

    /// How long the call takes until the answer begins: log-normal about the median.
    pub(super) fn latency(&self, settings: &Settings) -> Duration {
        // Box and Muller's way from two even numbers to a normal one. The logarithm is of (0, 1].
        let radius = (-2.0 * (1.0 - self.uniform(1)).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.uniform(2)).cos();
        let seconds = settings.latency.as_secs_f64() * (settings.spread * normal).exp();
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |latency| latency.min(LONGEST))
    }
}

/// What a latency is cut at, where a wide spread would give one beyond any test: no timer wants to be set to more.
const LONGEST: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(count: u32) -> impl Iterator<Item = Draw> {
        (0..count).map(|nth| Draw::new(7, &Digest::of(&[b"a body"]), nth))
    }

    #[test]
    fn the_median_latency_is_the_one_that_was_asked_for() {
        let settings = Settings { spread: 0.5, ..Settings::default() };
        let mut latencies: Vec<Duration> = draws(4001).map(|draw| draw.latency(&settings)).collect();
        latencies.sort();
        let median = latencies[2000].as_secs_f64();
        assert!((0.19..0.21).contains(&median), "{median}");
        // A sigma above the median is at 84.1 %.
        let above = latencies[3366].as_secs_f64();
        assert!((0.31..0.35).contains(&above), "{above}");
        let constant = Settings { spread: 0.0, ..Settings::default() };
        assert!(draws(50).all(|draw| draw.latency(&constant) == Duration::from_millis(200)));
        let wild = Settings { spread: 1000.0, ..Settings::default() };
        assert!(draws(50).all(|draw| draw.latency(&wild) <= LONGEST));
    }

    #[test]
    fn a_chat_has_no_vector_to_shorten() {
        let settings = Settings { wrong_length: 1.0, ..Settings::default() };
        assert!(draws(50).all(|draw| draw.fate(&settings, Endpoint::Embeddings) == Fate::WrongLength));
        assert!(draws(50).all(|draw| draw.fate(&settings, Endpoint::Chat) == Fate::Answer));
    }
}
