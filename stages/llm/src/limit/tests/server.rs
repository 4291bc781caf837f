//! Services that allow 600 requests a minute, each by another rule, and workers who call them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{GOOD, Limits, ONE, Outcome, Random};

pub(super) const LATENCY: Duration = Duration::from_millis(200);
const MINUTE: Duration = Duration::from_secs(60);

/// By which rule a service allows so many requests a minute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// So many in each minute, counted from its beginning; the first began so long ago.
    Fixed(Duration),
    /// So many in any stretch of a minute.
    Sliding,
    /// A bucket that holds so many, and begins full.
    Bucket(f64),
}

/// What became of one call.
pub(super) struct Call {
    pub(super) sent: Duration,
    pub(super) granted: bool,
}

pub(super) struct Server {
    rule: Rule,
    per_minute: f64,
    begun: Instant,
    /// Of a bucket: what is in it, and when it was.
    level: (f64, Instant),
    granted: VecDeque<Instant>,
    /// Such a share of calls is refused whatever was sent.
    pub(super) by_chance: f64,
    random: Random,
    /// Whether a refused call goes to the tail of a queue, from which its worker takes another at once. Else the worker
    /// waits with it.
    pub(super) queued: bool,
    pub(super) calls: Vec<Call>,
}

impl Server {
    pub(super) fn new(rule: Rule, per_minute: f64) -> Self {
        let begun = Instant::now();
        let burst = if let Rule::Bucket(burst) = rule { burst } else { 0.0 };
        Self {
            rule,
            per_minute,
            begun,
            level: (burst, begun),
            granted: VecDeque::new(),
            by_chance: 0.0,
            random: Random(3),
            queued: false,
            calls: Vec::new(),
        }
    }

    fn call(&mut self, now: Instant) -> bool {
        let chance = self.random.unit() < self.by_chance;
        let granted = match self.rule {
            _ if chance => false,
            Rule::Fixed(before) => {
                let minute = |at: Instant| (at - self.begun + before).as_secs() / 60;
                self.granted.retain(|at| minute(*at) == minute(now));
                (self.granted.len() as f64) < self.per_minute
            }
            Rule::Sliding => {
                while self.granted.front().is_some_and(|at| now >= *at + MINUTE) {
                    self.granted.pop_front();
                }
                (self.granted.len() as f64) < self.per_minute
            }
            Rule::Bucket(burst) => {
                let filled = self.level.0 + (now - self.level.1).as_secs_f64() * self.per_minute / 60.0;
                self.level = (filled.min(burst), now);
                let granted = self.level.0 >= 1.0;
                self.level.0 -= f64::from(u8::from(granted));
                granted
            }
        };
        if granted {
            self.granted.push_back(now);
        }
        self.calls.push(Call { sent: now - self.begun, granted });
        granted
    }

    /// How many of each were sent in a stretch: let through, and refused.
    pub(super) fn count(&self, from: Duration, to: Duration) -> (usize, usize) {
        let calls = || self.calls.iter().filter(|call| (from..to).contains(&call.sent));
        (calls().filter(|call| call.granted).count(), calls().filter(|call| !call.granted).count())
    }

    /// The most refusals in one second, of calls that were sent when the first refusal was known.
    pub(super) fn storm(&self) -> usize {
        let known = self.calls.iter().find(|call| !call.granted).map_or(Duration::MAX, |call| call.sent + LATENCY);
        let refused: Vec<_> =
            self.calls.iter().filter(|call| !call.granted && call.sent > known).map(|call| call.sent).collect();
        let from =
            |at: &Duration| refused.iter().filter(|other| (*at..*at + Duration::from_secs(1)).contains(other)).count();
        refused.iter().map(from).max().unwrap_or_default()
    }
}

/// Lets so many workers call for so long.
pub(super) async fn drive(limits: &Arc<Limits>, server: Server, workers: usize, time: Duration) -> Server {
    let server = Arc::new(Mutex::new(server));
    let running: Vec<_> = (0..workers)
        .map(|worker| {
            let (limits, server) = (Arc::clone(limits), Arc::clone(&server));
            tokio::spawn(async move {
                let mut random = Random(worker as u64 + 1);
                let mut delay = Duration::from_millis(200);
                loop {
                    let Ok(permit) = limits.permit(ONE).await else { panic!("the breaker opened") };
                    let (granted, queued) = {
                        let mut server = server.lock().unwrap();
                        (server.call(Instant::now()), server.queued)
                    };
                    tokio::time::sleep(LATENCY).await;
                    permit.ended(if granted { GOOD } else { Outcome::RateLimited { after: None } });
                    if granted {
                        delay = Duration::from_millis(200);
                    } else if !queued {
                        tokio::time::sleep(delay.mul_f64(0.5 + random.unit())).await;
                        delay = (delay * 2).min(Duration::from_secs(5));
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    for worker in &running {
        worker.abort();
    }
    for worker in running {
        let _ = worker.await;
    }
    Arc::into_inner(server).expect("the workers have ended").into_inner().unwrap()
}
