//! How a load test loads: steps of a rate, or of documents at once, one after another, and the clock that they keep.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use docmill_api::units::{Span, parse_span};
use serde::Serialize;
use tokio::time::Instant;

/// A stretch of a load test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Documents that are taken in in a second; as many as the pipeline takes where it is not said.
    pub rate: Option<f64>,
    /// Documents under way at once at most.
    pub at_once: Option<usize>,
    /// How long it lasts; to the last document where it is not said.
    #[serde(serialize_with = "seconds")]
    pub lasts: Option<Duration>,
    /// Whether it is left out of what is compared with thresholds.
    pub warm_up: bool,
}

fn seconds<S: serde::Serializer>(lasts: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    lasts.map(|lasts| lasts.as_secs_f64()).serialize(serializer)
}

/// The steps of a load test. At least one; only the last may be without an end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Profile(Vec<Step>);

/// How many documents may be under way at once at most, whatever is asked for: what the runtime grants without a test.
const MOST_AT_ONCE: usize = 16_384;

/// The lowest and the highest rate: one an hour, and more than any sink takes.
const RATES: std::ops::RangeInclusive<f64> = 1.0 / 3600.0..=1e6;

const SYNTAX: &str = "write steps as `10/s for 30s, 20/s for 30s`, or `4 at once for 1m, 8 at once for 1m`";

impl Profile {
    /// One step to the last document.
    #[must_use]
    pub fn steady(rate: Option<f64>, at_once: Option<usize>) -> Self {
        Self(vec![Step { rate, at_once, ..Step::default() }])
    }

    /// The same after a warm-up, which loads as the first step does.
    #[must_use]
    pub fn warmed_up(mut self, lasts: Duration) -> Self {
        if !lasts.is_zero()
            && let Some(first) = self.0.first()
        {
            let warm_up = Step { lasts: Some(lasts), warm_up: true, ..*first };
            self.0.insert(0, warm_up);
        }
        self
    }

    /// The same with no more than so many documents under way at once.
    #[must_use]
    pub fn at_once(mut self, most: usize) -> Self {
        for step in &mut self.0 {
            step.at_once = Some(step.at_once.map_or(most, |at_once| at_once.min(most)));
        }
        self
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The most documents at once of any step.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.0.iter().map(|step| step.at_once.unwrap_or(MOST_AT_ONCE)).max().unwrap_or(MOST_AT_ONCE)
    }

    /// Which step sets a number of documents at once.
    #[must_use]
    pub fn sets_at_once(&self) -> bool {
        self.0.iter().any(|step| step.at_once.is_some())
    }

    /// How many documents it takes in, where rates and times say so.
    #[must_use]
    pub fn documents(&self) -> Option<u64> {
        self.0.iter().try_fold(0, |sum, step| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate times a time, not negative"
            )]
            let of_step = (step.rate? * step.lasts?.as_secs_f64()).ceil() as u64;
            Some(sum + of_step)
        })
    }

    /// How long it lasts, where that is said.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        self.0.iter().try_fold(Duration::ZERO, |sum, step| Some(sum + step.lasts?))
    }

    /// The step at a time from the beginning: which, and when it began. `None` after the last.
    fn at(&self, elapsed: Duration) -> Option<(usize, Duration)> {
        let mut began = Duration::ZERO;
        for (index, step) in self.0.iter().enumerate() {
            match step.lasts {
                Some(lasts) if elapsed >= began + lasts => began += lasts,
                _ => return Some((index, began)),
            }
        }
        None
    }
}

/// Reads a rate: `5/s`, `300/min`, `5` for five a second.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let per = match unit.trim() {
        "s" | "second" => Some(1.0),
        "min" | "minute" => Some(60.0),
        "h" | "hour" => Some(3600.0),
        _ => None,
    };
    let rate = number.trim().parse::<f64>().ok().zip(per).map(|(number, per)| number / per);
    rate.filter(|rate| RATES.contains(rate)).ok_or_else(|| {
        format!("`{text}` is no rate; write documents a second as `5/s`, or `300/min`, from 1/h to 1000000/s")
    })
}

/// Reads how many documents may be under way at once.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_at_once(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (1..=MOST_AT_ONCE).contains(number))
        .ok_or_else(|| format!("`{text}` is no number of documents at once; it is from 1 to {MOST_AT_ONCE}"))
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for step in text.split(',').map(str::trim) {
            let Some((load, lasts)) = step.rsplit_once(" for ") else {
                return Err(format!("`{step}` is no step: it does not say `for` how long; {SYNTAX}"));
            };
            let Span(lasts) = parse_span(lasts.trim())?;
            if lasts.is_zero() {
                return Err(format!("`{step}`: a step lasts longer than no time"));
            }
            let lasts = Some(lasts);
            steps.push(match load.trim().strip_suffix("at once") {
                Some(number) => Step { at_once: Some(parse_at_once(number)?), lasts, ..Step::default() },
                None if load.contains('/') => Step { rate: Some(parse_rate(load)?), lasts, ..Step::default() },
                None => return Err(format!("`{step}` says neither a rate nor how many at once; {SYNTAX}")),
            });
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(rate) = self.rate {
            // A rate below one a second is written by the minute, so that it is no fraction.
            parts.push(if rate < 1.0 { format!("{}/min", short(rate * 60.0)) } else { format!("{}/s", short(rate)) });
        }
        if let Some(at_once) = self.at_once {
            parts.push(format!("{at_once} at once"));
        }
        if parts.is_empty() {
            parts.push("as fast as it goes".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

fn short(number: f64) -> String {
    format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Keeps the time of a profile, and says when the next document is due.
///
/// Documents are due at even distances from the beginning of a step, however long those before them took: who is late
/// comes at once, and the step's rate is kept. What a step did not get in is not carried into the next.
#[derive(Debug)]
pub struct Clock {
    profile: Profile,
    began: OnceLock<Instant>,
    /// The step of the last turn, and how many turns it has had.
    given: Mutex<(usize, u64)>,
}

impl Clock {
    /// A clock that stands still until [`Clock::begin`].
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, began: OnceLock::new(), given: Mutex::new((0, 0)) }
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// When it began: the first time that this is asked.
    pub fn begin(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// Waits until the next document is due; for ever after the last step.
    pub async fn turn(&self) {
        let began = self.begin();
        loop {
            match self.next(began.elapsed()) {
                Next::Now => return,
                Next::At(due) => tokio::time::sleep_until(began + due).await,
                Next::Never => std::future::pending().await,
            }
        }
    }

    /// What there is to do at a time from the beginning. A turn that is given is used up.
    fn next(&self, elapsed: Duration) -> Next {
        let Some((index, began)) = self.profile.at(elapsed) else { return Next::Never };
        let step = self.profile.0[index];
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.0 != index {
            *given = (index, 0);
        }
        let Some(rate) = step.rate else { return Next::Now };
        #[expect(clippy::cast_precision_loss, reason = "turns of one step are far below 2^53")]
        let due = began + Duration::from_secs_f64(given.1 as f64 / rate);
        if due <= elapsed {
            given.1 += 1;
            return Next::Now;
        }
        Next::At(step.lasts.map_or(due, |lasts| due.min(began + lasts)))
    }
}

enum Next {
    Now,
    At(Duration),
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_profile_is_read_as_people_write_it() {
        let steps = profile("10/s for 30s, 300/min for 1m 30s,8 at once for 5s");
        let lasts: Vec<u64> = steps.steps().iter().filter_map(|step| Some(step.lasts?.as_secs())).collect();
        assert_eq!(lasts, [30, 90, 5]);
        assert_eq!(steps.steps()[1].rate, Some(5.0));
        assert_eq!((steps.steps()[2].rate, steps.steps()[2].at_once), (None, Some(8)));
        assert_eq!(steps.documents(), None, "a step without a rate takes as many as there are");
        assert_eq!(profile("10/s for 30s, 20/s for 10s").documents(), Some(500));
        let warm = profile("10/s for 30s").warmed_up(Duration::from_secs(5)).at_once(64);
        assert_eq!((warm.documents(), warm.steps()[0].warm_up, warm.most_at_once()), (Some(350), true, 64));
        assert_eq!(warm.steps()[1].to_string(), "10/s, 64 at once");
        assert_eq!(profile("30/min for 1m").steps()[0].to_string(), "30/min");
    }

    #[test]
    fn what_is_no_profile_is_refused_with_how_to_write_one() {
        let error = |text: &str| text.parse::<Profile>().expect_err("refused");
        assert!(error("10/s").contains("for 30s"), "{}", error("10/s"));
        assert!(error("10 for 30s").contains("neither a rate nor"));
        assert!(error("10/week for 30s").contains("is no rate"));
        assert!(error("0/s for 30s").contains("is no rate") && error("-1/s for 30s").contains("is no rate"));
        assert!(error("10/s for 30").contains("with a unit") && error("10/s for 0s").contains("longer"));
        assert!(error("0 at once for 5s").contains("from 1 to") && error("").contains("is no step"));
        assert!(parse_rate("NaN").is_err() && parse_rate("inf/s").is_err());
        assert_eq!(parse_rate("5"), Ok(5.0));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_even_within_a_step_and_none_is_carried_over() {
        let clock = Clock::new(profile("10/s for 2s, 50/s for 1s"));
        let began = clock.begin();
        let mut turns = Vec::new();
        while tokio::time::timeout(Duration::from_secs(10), clock.turn()).await.is_ok() {
            turns.push(began.elapsed());
            if turns.len() == 5 {
                // Held up for half a second: what is due comes at once, and the rate is kept.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            if turns.len() == 15 {
                // Held up over the end of the step: what it did not get in is dropped.
                tokio::time::sleep(Duration::from_millis(800)).await;
            }
        }
        let in_first = turns.iter().filter(|at| **at < Duration::from_secs(2)).count();
        assert_eq!(in_first, 15, "{turns:?}");
        let in_second: Vec<Duration> = turns.into_iter().filter(|at| *at >= Duration::from_secs(2)).collect();
        assert_eq!(in_second.len(), 50, "the second step has all of its own");
        assert!(in_second.iter().all(|at| *at < Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_by_several_sources_together() {
        let clock = std::sync::Arc::new(Clock::new(Profile::steady(Some(100.0), None)));
        let began = clock.begin();
        let of_one = |clock: std::sync::Arc<Clock>| async move {
            for _ in 0..500 {
                clock.turn().await;
            }
        };
        tokio::join!(of_one(clock.clone()), of_one(clock.clone()));
        let took = began.elapsed().as_secs_f64();
        assert!((9.9..10.1).contains(&took), "1,000 turns at 100 a second took {took} s");
    }
}
