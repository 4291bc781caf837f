//! What stages needed lately: a width goes down only where nothing in a minute needed it.

use std::collections::VecDeque;

use super::Ideal;

/// How long a need is remembered, in seconds.
const MINUTE: f64 = 60.0;
/// How long the caps are looked back at: they follow what a service bears, which goes up and down.
const CAPS: f64 = 20.0;

/// The widths that were reckoned, with their times.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    since: Option<f64>,
    looks: VecDeque<(f64, Vec<usize>, Vec<usize>)>,
}

impl History {
    pub(super) fn add(&mut self, at: f64, ideal: &Ideal) {
        self.since.get_or_insert(at);
        while self.looks.front().is_some_and(|(then, ..)| at - then > MINUTE) {
            self.looks.pop_front();
        }
        self.looks.push_back((at, ideal.needed.clone(), ideal.caps.clone()));
    }

    /// The most that a stage needed in a minute; none before a minute has passed.
    pub(super) fn most_needed(&self, index: usize) -> Option<usize> {
        let (last, ..) = self.looks.back()?;
        if last - self.since? < MINUTE {
            return None;
        }
        self.looks.iter().filter_map(|(_, needed, _)| needed.get(index).copied()).max()
    }

    /// The largest cap of a stage over the last seconds; none where it was looked at too short.
    pub(super) fn cap(&self, index: usize) -> Option<usize> {
        let (last, ..) = self.looks.back()?;
        let recent = self.looks.iter().filter(|(at, ..)| last - at <= CAPS);
        recent.filter_map(|(.., caps)| caps.get(index).copied()).max()
    }
}
