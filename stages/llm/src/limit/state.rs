//! Decides who may call when, and learns from what comes of it: all limits together, without a clock of its own.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::breaker::{Breaker, Gate, SHORT};
use super::bucket::Bucket;
use super::crowd::Crowds;
use super::rate::{Call, Rate, Refusal};
use super::width::Width;
use super::{Cost, Outcome, Settings, View};

/// The names of what is learned.
const CONCURRENCY: &str = "concurrency";
const REQUESTS_PER_MINUTE: &str = "requests_per_minute";

/// What one who wants to call is told.
#[derive(Debug)]
pub(super) enum Turn {
    /// To call, and to end the ticket.
    Granted(Ticket),
    /// To ask again then, or when something changed; without a time only then.
    Wait(Option<Instant>),
    /// To go, and not to come back before so long.
    Open(Duration),
}

/// One call that was let through.
#[derive(Debug)]
pub(super) struct Ticket {
    call: Call,
    /// As was estimated.
    tokens: f64,
}

/// All limits of one service.
#[derive(Debug)]
pub(super) struct State {
    rate: Rate,
    tokens: Option<Bucket>,
    width: Width,
    crowds: Crowds,
    breaker: Breaker,
    /// By all tables of the service together.
    declared: Settings,
    /// How many processes share that.
    among: usize,
    in_flight: usize,
    /// The number of the next call.
    next: u64,
    jitter: Jitter,
}

impl State {
    /// With what was learned before; nothing is declared yet.
    pub(super) fn new(learned: Option<&Value>) -> Self {
        let learned = |name| learned.and_then(|learned| learned.get(name));
        let concurrency = learned(CONCURRENCY).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        Self {
            rate: Rate::new(learned(REQUESTS_PER_MINUTE).and_then(Value::as_f64)),
            tokens: None,
            width: Width::new(concurrency),
            crowds: Crowds::default(),
            breaker: Breaker::default(),
            declared: Settings::default(),
            among: 1,
            in_flight: 0,
            next: 0,
            jitter: Jitter(RandomState::new().hash_one(())),
        }
    }

    /// Keeps to this from now on, as well as to what was declared before.
    pub(super) fn tighten(&mut self, now: Instant, declared: Settings) {
        let both = |one: Option<f64>, other: Option<f64>| {
            let known = |rate: &f64| rate.is_finite() && *rate > 0.0;
            one.into_iter().chain(other).filter(known).reduce(f64::min)
        };
        let before = self.declared;
        let calls = before.concurrency.into_iter().chain(declared.concurrency).filter(|most| *most > 0);
        self.declared = Settings {
            requests_per_minute: both(before.requests_per_minute, declared.requests_per_minute),
            tokens_per_minute: both(before.tokens_per_minute, declared.tokens_per_minute),
            concurrency: calls.min(),
        };
        self.keep_to_declared(now);
    }

    /// Keeps to an equal part of what is declared.
    pub(super) fn share_among(&mut self, now: Instant, processes: usize) {
        self.among = processes.max(1);
        self.keep_to_declared(now);
    }

    fn keep_to_declared(&mut self, now: Instant) {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let part = |rate: f64| rate / self.among as f64;
        let requests = self.declared.requests_per_minute.map(part);
        let tokens = self.declared.tokens_per_minute.map(part);
        // A service that bears fewer calls than there are processes gets one of each: fewer would be none.
        let calls = self.declared.concurrency.map(|most| (most / self.among).max(1));
        self.rate.declare(requests, now);
        self.width.declare(calls);
        if let Some(tokens) = tokens {
            let per_second = tokens / 60.0;
            self.tokens.get_or_insert_with(|| Bucket::new(per_second, f64::MAX, now)).pace(per_second, now);
        }
    }

    /// Whether the one who is first in line may call.
    pub(super) fn turn(&mut self, now: Instant, cost: Cost) -> Turn {
        let gate = self.breaker.gate(now);
        if let Gate::Open(after) = gate {
            return Turn::Open(self.jitter.on(after));
        }
        let full = self.in_flight >= self.width.limit();
        let ready = if full { now } else { self.ready(now, cost) };
        if !full && ready <= now {
            return Turn::Granted(self.grant(now, cost));
        }
        if gate == Gate::Probe {
            return Turn::Open(self.jitter.on(SHORT.max(ready - now)));
        }
        Turn::Wait((!full).then_some(ready))
    }

    /// A call is over.
    pub(super) fn ended(&mut self, now: Instant, ticket: &Ticket, outcome: Outcome) {
        self.in_flight -= 1;
        let unused = match outcome {
            Outcome::Answered { tokens: Some(tokens) } => ticket.tokens - tokens,
            _ => 0.0,
        };
        if let Some(bucket) = &mut self.tokens {
            bucket.give_back(unused, now);
        }
        let telling = self.tell_rate(now, ticket.call, outcome);
        if self.breaker.is_closed() {
            self.tell_width(now, ticket.call, outcome, telling);
        }
        self.tell_breaker(now, ticket.call.number, outcome);
    }

    /// Whether it tells something of the load: of a 429, that it is news; of a 503, that it is evident.
    fn tell_rate(&mut self, now: Instant, call: Call, outcome: Outcome) -> bool {
        match outcome {
            Outcome::RateLimited { after } => return self.refused(call, after, now),
            Outcome::Overloaded { after } => return self.rate.overloaded(call, after, now),
            Outcome::Answered { .. } | Outcome::Refused | Outcome::Failed => {
                self.crowds.let_through(call.crowd);
                self.rate.granted(call, now);
            }
            Outcome::TimedOut | Outcome::Unreachable => self.rate.unserved(call, now),
        }
        false
    }

    /// The call was refused for a limit of the service: calls at once, if that is known or shows, and else its rate.
    fn refused(&mut self, call: Call, after: Option<Duration>, now: Instant) -> bool {
        self.crowds.refused(call.crowd);
        if self.width.is_above_ceiling(call.crowd) {
            self.width.one_too_many(now);
            self.rate.unserved(call, now);
            return false;
        }
        // At first the most that it may be; and if that is refused too, what is known to be let through. Where the trip
        // takes long, the limit is no sharp line for us, but one that was found is there.
        let guess = match (self.crowds.limit(), self.width.ceiling()) {
            (Some((_, least)), Some(ceiling)) => Some(least).filter(|least| *least < ceiling),
            (Some((most, _)), None) => Some(most),
            (None, _) => self.width.below_what_was_found(),
        };
        let guess = guess.filter(|_| self.crowds.may_guess());
        match self.rate.refused(call, self.next, after, guess.is_some(), now) {
            Refusal::Known => false,
            Refusal::One => true,
            Refusal::All => {
                self.width.forget_ceiling();
                true
            }
            Refusal::Crowded => {
                self.crowds.guessed();
                self.width.found_ceiling(guess.unwrap_or(1), now);
                false
            }
        }
    }

    fn tell_width(&mut self, now: Instant, call: Call, outcome: Outcome, telling: bool) {
        match outcome {
            Outcome::Answered { .. } => self.width.answered(now - call.sent, self.in_flight, now),
            Outcome::Overloaded { .. } => self.width.overloaded(telling, self.in_flight, now),
            Outcome::TimedOut => self.width.late(self.in_flight, now),
            // Where a rate is known it is the rate that gives way: to narrow for it too would count it twice.
            Outcome::RateLimited { .. } if telling && self.rate.learned().is_none() => {
                self.width.refused(self.in_flight, now);
            }
            _ => {}
        }
    }

    fn tell_breaker(&mut self, now: Instant, number: u64, outcome: Outcome) {
        match outcome {
            Outcome::Answered { .. } | Outcome::Refused | Outcome::RateLimited { .. } => {
                if self.breaker.good(number, self.next) {
                    self.width.halve();
                }
            }
            Outcome::Overloaded { .. } | Outcome::TimedOut | Outcome::Failed => self.breaker.sign(number, false, now),
            Outcome::Unreachable => self.breaker.sign(number, true, now),
        }
    }

    /// Sends nothing for so long.
    pub(super) fn hold(&mut self, now: Instant, time: Duration) {
        self.rate.hold(time, now);
    }

    pub(super) fn learned(&self) -> Option<Value> {
        let mut learned = Map::new();
        if let Some(limit) = self.width.learned() {
            learned.insert(CONCURRENCY.to_owned(), limit.into());
        }
        if let Some(rate) = self.rate.learned() {
            learned.insert(REQUESTS_PER_MINUTE.to_owned(), rate.into());
        }
        (!learned.is_empty()).then_some(Value::Object(learned))
    }

    pub(super) fn view(&self, now: Instant) -> View {
        let open = match self.breaker.gate(now) {
            Gate::Open(after) => Some(after),
            Gate::Closed | Gate::Probe => None,
        };
        View {
            in_flight: self.in_flight,
            concurrency: self.width.limit(),
            requests_per_minute: self.rate.per_minute().unwrap_or_default(),
            breaker: self.breaker.name(now),
            opened: self.breaker.opened(),
            next_try: open.max(self.rate.frozen(now).map(|until| until - now)),
        }
    }

    fn ready(&mut self, now: Instant, cost: Cost) -> Instant {
        let tokens = self.tokens.as_mut().map_or(now, |bucket| bucket.ready(cost.tokens, now));
        self.rate.ready(cost.requests, now).max(tokens)
    }

    fn grant(&mut self, now: Instant, cost: Cost) -> Ticket {
        self.in_flight += 1;
        let call = Call { number: self.next, sent: now, requests: cost.requests, crowd: self.in_flight };
        self.next += 1;
        if let Some(bucket) = &mut self.tokens {
            bucket.take(cost.tokens, now);
        }
        self.rate.sent(call);
        self.width.sent(self.in_flight, now);
        self.breaker.sent(call.number);
        Ticket { call, tokens: cost.tokens }
    }
}

/// Keeps those who were told the same from coming back at the same time.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// The time and up to a quarter more: what spreads as many as wait, and is still the time that was meant.
    fn on(&mut self, time: Duration) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014): three lines do for this what a crate would.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let share = f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        time + time.mul_f64(share / 4.0)
    }
}
