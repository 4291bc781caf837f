//! How a simulated service behaves, and which behaviour cannot be.

use std::time::Duration;

/// How a [`Server`](super::Server) behaves. Shares are of the granted calls, from 0 to 1, and come to 1 at most together.
///
/// The default answers every call after some 200 ms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a call takes: the median. Default 200 ms.
    pub latency: Duration,
    /// How far latencies are spread: the sigma of a log-normal distribution. Default 0.3; 0 makes them all the same.
    pub spread: f64,
    /// Tokens of a chat answer a second, which come on top of the latency. Default 0: at once.
    pub tokens_per_second: f64,
    /// The share of calls that is answered 500.
    pub errors: f64,
    /// The share that is never answered: the connection stays open, and not a byte comes.
    pub hangs: f64,
    /// The share that is answered 429, whatever the caps say.
    pub overloads: f64,
    /// The share that is answered 503.
    pub unavailable: f64,
    /// The share that is answered 200 with a body that is no JSON.
    pub garbage: f64,
    /// The share that is answered 200 and breaks off in the middle of the body.
    pub halves: f64,
    /// The share of embedding calls whose vectors have one number too few.
    pub wrong_length: f64,
    /// Calls that are granted in any 60 seconds; further ones are answered 429. Default: any number.
    pub requests_per_minute: Option<u64>,
    /// Whether a 429 or 503 says when to come again (`Retry-After`), and every answer how much is left of
    /// `requests_per_minute` (`x-ratelimit-*`). Default true.
    pub retry_after: bool,
    /// Calls at once; further ones are answered 429. Default: any number.
    pub concurrency: Option<usize>,
    /// Numbers a vector has. Default 256.
    pub dimensions: usize,
    /// Tokens that a chat's prompt and answer, or a text to embed, may have. Default 8192.
    pub context: usize,
    /// Texts of an embedding call. Default 2048.
    pub batch_items: usize,
    /// Tokens of all texts of an embedding call. Default 300,000.
    pub batch_tokens: usize,
    /// The key that a call must show, as `Authorization: Bearer …` or `api-key: …`. Default: none is asked for.
    pub key: Option<String>,
    /// The models, or deployments, that there are. Default none: any name will do.
    pub models: Vec<String>,
    /// Calls that are answered in all; further ones are answered 429 `insufficient_quota`. Default: any number.
    pub quota: Option<u64>,
    /// What all that is drawn is drawn from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(200),
            spread: 0.3,
            tokens_per_second: 0.0,
            errors: 0.0,
            hangs: 0.0,
            overloads: 0.0,
            unavailable: 0.0,
            garbage: 0.0,
            halves: 0.0,
            wrong_length: 0.0,
            requests_per_minute: None,
            retry_after: true,
            concurrency: None,
            dimensions: 256,
            context: 8192,
            batch_items: 2048,
            batch_tokens: 300_000,
            key: None,
            models: Vec::new(),
            quota: None,
            seed: 0,
        }
    }
}

impl Settings {
    /// Says whether such a service can be.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let shares = self.shares();
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{name}` is {share}; a share is a number from 0 to 1"));
            }
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        // Room for what ten tenths miss of one when they are added up.
        if sum > 1.0 + 1e-9 {
            return Err(format!("the shares come to {sum}; together they are 1 at most"));
        }
        for (name, number) in [("spread", self.spread), ("tokens_per_second", self.tokens_per_second)] {
            if !number.is_finite() || number < 0.0 {
                return Err(format!("`{name}` is {number}; it is 0 or more"));
            }
        }
        // One number may be left out (`wrong_length`), and something must remain.
        if !(2..=MAX_DIMENSIONS).contains(&self.dimensions) {
            return Err(format!("`dimensions` is {}; a vector has 2 to {MAX_DIMENSIONS} numbers", self.dimensions));
        }
        let counts = [
            ("context", self.context == 0),
            ("batch_items", self.batch_items == 0),
            ("batch_tokens", self.batch_tokens == 0),
            ("requests_per_minute", self.requests_per_minute == Some(0)),
            ("concurrency", self.concurrency == Some(0)),
            ("key", self.key.as_deref() == Some("")),
        ];
        match counts.iter().find(|(_, nothing)| *nothing) {
            Some((name, _)) => Err(format!("`{name}` is nothing; no call could be answered")),
            None => Ok(()),
        }
    }

    fn shares(&self) -> [(&'static str, f64); 7] {
        [
            ("errors", self.errors),
            ("hangs", self.hangs),
            ("overloads", self.overloads),
            ("unavailable", self.unavailable),
            ("garbage", self.garbage),
            ("halves", self.halves),
            ("wrong_length", self.wrong_length),
        ]
    }
}

/// More than any model gives, and what keeps the largest answer (2048 vectors) within memory: half a gigabyte.
const MAX_DIMENSIONS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert_eq!(Settings::default().check(), Ok(()));
        let tenths = Settings {
            errors: 0.1,
            hangs: 0.2,
            overloads: 0.3,
            unavailable: 0.1,
            garbage: 0.1,
            halves: 0.1,
            wrong_length: 0.1,
            ..Settings::default()
        };
        assert_eq!(tenths.check(), Ok(()), "all calls may fail");
        let wrong = [
            ("errors", Settings { errors: 1.5, ..Settings::default() }),
            ("halves", Settings { halves: f64::NAN, ..Settings::default() }),
            ("come to", Settings { errors: 0.6, hangs: 0.6, ..Settings::default() }),
            ("spread", Settings { spread: -1.0, ..Settings::default() }),
            ("dimensions", Settings { dimensions: 1, ..Settings::default() }),
            ("requests_per_minute", Settings { requests_per_minute: Some(0), ..Settings::default() }),
        ];
        for (name, settings) in wrong {
            let complaint = settings.check().unwrap_err();
            assert!(complaint.contains(name), "{name}: {complaint}");
        }
    }
}
