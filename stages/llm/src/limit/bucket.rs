//! A token bucket: so much a second, with one second's worth at hand.

use std::time::Duration;

use tokio::time::Instant;

/// Two floats that were computed differently may differ by this much of a request and mean the same.
const SAME: f64 = 1e-6;
/// The longest time that is reckoned with: `Duration` and `Instant` have ends, rates close to 0 do not.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Paces: no span of time sees more than its share and one second's worth.
///
/// A cost above the capacity is let through where the bucket is full, and leaves a debt.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// Begins with `level`, or with what it can hold if that is less.
    pub(super) fn new(per_second: f64, level: f64, now: Instant) -> Self {
        let bucket = Self { per_second, level, at: now };
        Self { level: level.min(bucket.capacity()), ..bucket }
    }

    /// Changes the rate from now on.
    pub(super) fn pace(&mut self, per_second: f64, now: Instant) {
        self.fill(now);
        self.per_second = per_second;
        self.level = self.level.min(self.capacity());
    }

    /// When there will be enough.
    pub(super) fn ready(&mut self, cost: f64, now: Instant) -> Instant {
        self.fill(now);
        let missing = cost.min(self.capacity()) - self.level;
        if missing <= SAME {
            return now;
        }
        now + Duration::from_secs_f64((missing / self.per_second).min(DAY.as_secs_f64()))
    }

    /// Takes, also into debt.
    pub(super) fn take(&mut self, cost: f64, now: Instant) {
        self.fill(now);
        self.level -= cost;
    }

    /// Gives back what was not used; a negative number takes what was used beyond.
    pub(super) fn give_back(&mut self, cost: f64, now: Instant) {
        self.fill(now);
        self.level = (self.level + cost).min(self.capacity());
    }

    /// One second's worth, and never less than one request: more would be a burst that the service may not allow, less
    /// would lose what a timer that fires late leaves.
    fn capacity(&self) -> f64 {
        self.per_second.max(1.0)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.capacity());
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_sees_its_share_and_one_second_more() {
        let begun = Instant::now();
        let mut bucket = Bucket::new(10.0, 1.0, begun);
        let (mut now, mut taken) = (begun, 0);
        while now < begun + Duration::from_secs(60) {
            bucket.take(1.0, now);
            taken += 1;
            now = bucket.ready(1.0, now);
        }
        assert_eq!(taken, 600);
        // What a pause of any length leaves is one second's worth.
        now += Duration::from_secs(600);
        let at_once = (0..)
            .take_while(|_| {
                bucket.ready(1.0, now) == now && {
                    bucket.take(1.0, now);
                    true
                }
            })
            .count();
        assert_eq!(at_once, 10);
    }

    #[test]
    fn a_cost_above_the_capacity_passes_a_full_bucket_and_is_paid_after_it() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10.0, f64::MAX, now);
        assert_eq!(bucket.ready(50.0, now), now);
        bucket.take(50.0, now);
        assert_eq!(bucket.ready(1.0, now), now + Duration::from_millis(4100));
        bucket.give_back(45.0, now);
        assert_eq!(bucket.ready(5.0, now), now);
    }
}
