//! A worker with something in hand: the permit of the CPU pool, the leave of its model service, the call and its end.

use std::cmp::Reverse;

use super::engine::{Simulation, What};
use super::service::{Leave, Service};
use super::stage::Doing;

impl Simulation {
    pub(super) fn has_gathered(&mut self, stage: usize, worker: usize) {
        self.stages[stage].gathering.retain(|other| *other != worker);
        let waited = self.becomes(stage, worker, Doing::AtTheGate);
        self.stages[stage].counters.starved += waited;
        if !self.stages[stage].pooled() {
            self.becomes(stage, worker, Doing::AtTheService);
            return self.ask(stage, worker);
        }
        if self.permits > 0 {
            self.permits -= 1;
            return self.begin(stage, worker, false);
        }
        self.numbers += 1;
        self.at_the_gate.insert((Reverse(self.stages[stage].depth), self.numbers), (stage, worker));
    }

    /// Asks the stage's service for leave, where it has one.
    pub(super) fn ask(&mut self, stage: usize, worker: usize) {
        let now = self.now;
        let Self { services, stages, .. } = self;
        let Some(service) = services.get_mut(&stages[stage].model.service) else {
            return self.begin(stage, worker, false);
        };
        match service.ask(now) {
            Leave::Wait => service.waiting.push_back((stage, worker)),
            Leave::At(at) => self.note(at, What::Asks(stage, worker)),
            Leave::Go { refused } => {
                let held = now - self.stages[stage].workers[worker].since;
                self.stages[stage].counters.provider += held;
                self.begin(stage, worker, refused);
            }
        }
    }

    fn begin(&mut self, stage: usize, worker: usize, refused: bool) {
        if matches!(self.stages[stage].workers[worker].doing, Doing::AtTheGate) {
            let held = self.now - self.stages[stage].workers[worker].since;
            self.stages[stage].counters.gate += held;
        }
        self.becomes(stage, worker, Doing::Works { refused });
        let items = self.stages[stage].workers[worker].records.len();
        let seconds = if refused {
            self.services.get(&self.stages[stage].model.service).map_or(0.0, Service::refuses_after)
        } else {
            self.sample(stage) + self.stages[stage].model.item * items.saturating_sub(1) as f64
        };
        let share = if refused { 0.0 } else { self.stages[stage].model.cpu };
        self.change_load(share);
        // Work that asks for more CPUs than there are takes as much longer. It keeps the pace that it began with: what
        // begins and ends meanwhile evens out.
        let stretch = (self.load / self.model.cpus).max(1.0);
        self.worker(stage, worker).cpu = (seconds * share, share);
        let ends = self.now + seconds * (share * stretch + (1.0 - share).max(0.0));
        self.note(ends, What::Ends(stage, worker));
    }

    fn change_load(&mut self, by: f64) {
        self.cpu_seconds += self.load.min(self.model.cpus) * (self.now - self.load_since);
        self.load_since = self.now;
        self.load = (self.load + by).max(0.0);
    }

    pub(super) fn ends(&mut self, stage: usize, worker: usize) {
        let refused = matches!(self.worker(stage, worker).doing, Doing::Works { refused: true });
        let took = self.becomes(stage, worker, Doing::Idle);
        let (cpu, share) = std::mem::take(&mut self.worker(stage, worker).cpu);
        self.change_load(-share);
        self.stages[stage].counters.cpu += cpu;
        self.stages[stage].served(took);
        if self.stages[stage].is_source() {
            return self.has_listed(stage, worker);
        }
        if self.stages[stage].pooled() {
            self.next_at_the_gate();
        }
        if self.answered(stage, worker, took, refused) {
            let made = self.outputs(stage, worker);
            self.becomes(stage, worker, Doing::Blocked(made));
            self.hand_on(stage, worker);
        }
    }

    fn next_at_the_gate(&mut self) {
        match self.at_the_gate.pop_first() {
            Some((_, (stage, worker))) => self.begin(stage, worker, false),
            None => self.permits += 1,
        }
    }

    /// Tells the service's client how a call went. Whether it is over; otherwise it is tried again later.
    fn answered(&mut self, stage: usize, worker: usize, took: f64, refused: bool) -> bool {
        let now = self.now;
        let Self { services, stages, .. } = self;
        let Some(service) = services.get_mut(&stages[stage].model.service) else { return true };
        if refused {
            service.refused(now);
        } else {
            service.answered(took, now);
        }
        let free = service.limit.saturating_sub(service.in_flight).min(service.waiting.len());
        let next: Vec<(usize, usize)> = service.waiting.drain(..free).collect();
        let retry = service.retry_after();
        if refused {
            self.stages[stage].counters.retries += 1;
            self.becomes(stage, worker, Doing::AtTheService);
            // Spread, so that those that were refused together do not come again together.
            let again = now + retry * (0.5 + self.random.f64());
            self.note(again, What::Asks(stage, worker));
        }
        for (stage, worker) in next {
            self.ask(stage, worker);
        }
        !refused
    }
}
