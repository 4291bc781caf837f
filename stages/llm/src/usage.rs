//! What a service was asked, what became of it, and what it cost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use docmill_api::{Service, ServiceReport};

use crate::error::Class;
use crate::limit::Limits;
use crate::settings::Prices;

/// The counters of one service, by the name that the user knows it by. Shared by all who use it.
pub(crate) struct Usage {
    name: String,
    limits: Arc<Limits>,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    calls: u64,
    errors: BTreeMap<&'static str, u64>,
    tokens: u64,
    cost: f64,
}

impl Usage {
    pub(crate) fn new(name: String, limits: Arc<Limits>) -> Self {
        Self { name, limits, counted: Mutex::default() }
    }

    pub(crate) fn sent(&self) {
        self.lock().calls += 1;
    }

    pub(crate) fn failed(&self, class: Class) {
        *self.lock().errors.entry(class.as_str()).or_default() += 1;
    }

    /// Counts the tokens of a prompt and of its answer.
    pub(crate) fn used(&self, input: u64, output: u64, prices: Prices) {
        const MILLION: f64 = 1e6;
        let mut counted = self.lock();
        counted.tokens += input + output;
        #[expect(clippy::cast_precision_loss, reason = "money is shown, not reckoned with")]
        let cost = (input as f64 * prices.input + output as f64 * prices.output) / MILLION;
        counted.cost += cost;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Usage {
    fn report(&self) -> Option<(String, ServiceReport)> {
        let view = self.limits.view();
        let counted = self.lock();
        let report = ServiceReport {
            calls: counted.calls,
            errors: counted.errors.iter().map(|(class, times)| ((*class).to_owned(), *times)).collect(),
            tokens: counted.tokens,
            cost: counted.cost,
            breaker_opened: view.opened,
            breaker: view.breaker.to_owned(),
            in_flight: view.in_flight as u64,
            concurrency: view.concurrency as u64,
            requests_per_minute: view.requests_per_minute,
        };
        Some((self.name.clone(), report))
    }
}
