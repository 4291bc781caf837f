//! One run: tuned, with widths that stay, or with one that is changed.

use docmill::tune::simulate::{Model, Simulation};
use docmill::tune::{Advisor, Bottleneck, Change, Mode, Planner, PlannerSettings, TUNER, bottleneck_now};

use super::pipelines::{Widening, with};

/// What came of a tuned run.
pub(super) struct Trial {
    /// Documents a second from the 60th second on.
    pub(super) after_a_minute: f64,
    /// Documents a second in the last minute.
    pub(super) at_the_end: f64,
    pub(super) changes_at_first: usize,
    pub(super) changes_a_minute: f64,
    pub(super) bottleneck: Bottleneck,
}

const MINUTE: f64 = 60.0;
const END: f64 = 300.0;

pub(super) fn tuned(model: &Model, seed: u64) -> Trial {
    let mut simulation = Simulation::new(model, seed).expect("the model is sound");
    let settings = PlannerSettings { mode: Mode::Auto, cpu_threads: model.cpu_threads, all: false };
    let mut planner = Planner::new(settings);
    let (mut at_first, mut later) = (0_usize, 0_usize);
    let mut ended = Vec::new();
    let mut bottleneck = Bottleneck::default();
    while simulation.seconds() < END {
        let snapshot = simulation.step();
        ended.push((snapshot.seconds, simulation.ended() as f64));
        bottleneck = bottleneck_now(&snapshot).0;
        for decision in planner.look(&snapshot) {
            *(if snapshot.seconds <= MINUTE { &mut at_first } else { &mut later }) += 1;
            simulation.set_width(&decision.change.stage, decision.change.to, TUNER, &decision.why);
        }
    }
    let rate = |from: f64, to: f64| {
        let at = |when: f64| ended.iter().find(|(at, _)| *at >= when).map_or(0.0, |(_, ended)| *ended);
        (at(to) - at(from)) / (to - from)
    };
    Trial {
        after_a_minute: rate(MINUTE, MINUTE + 30.0),
        at_the_end: rate(END - MINUTE, END),
        changes_at_first: at_first,
        changes_a_minute: later as f64 / ((END - MINUTE) / 60.0),
        bottleneck,
    }
}

/// Documents a second with widths that stay, from the 15th second to the 75th.
fn fixed(model: &Model, seed: u64) -> f64 {
    let mut simulation = Simulation::new(model, seed).expect("the model is sound");
    simulation.advance(15.0);
    let before = simulation.ended() as f64;
    simulation.advance(75.0);
    (simulation.ended() as f64 - before) / 60.0
}

/// The widths to choose from.
const GRID: [usize; 8] = [1, 2, 3, 5, 8, 16, 32, 64];
/// Wider has to bring so much more to be better.
const WORTH: f64 = 1.02;

/// The best widths that stay: the best of those that are all alike, then stage by stage the best of all, twice. The rate is
/// the mean of runs with other seeds.
pub(super) fn best_widths(model: &Model) -> (Vec<(String, usize)>, f64) {
    let ids: Vec<String> = model.stages.iter().filter(|stage| stage.auto).map(|stage| stage.id.clone()).collect();
    let run = |widths: &[usize], seed| {
        let width = |id: &str| ids.iter().position(|other| other == id).map_or(1, |index| widths[index]);
        fixed(&with(model, width), seed)
    };
    let mut best = (vec![1; ids.len()], 0.0);
    for width in GRID {
        let widths = vec![width; ids.len()];
        let rate = run(&widths, 11);
        if rate > WORTH * best.1 {
            best = (widths, rate);
        }
    }
    for _ in 0..2 {
        for index in 0..ids.len() {
            let rates = GRID.map(|width| {
                let mut widths = best.0.clone();
                widths[index] = width;
                (run(&widths, 11), widths)
            });
            let most = rates.iter().map(|(rate, _)| *rate).fold(best.1, f64::max);
            // The narrowest of those that are as good: what is wider and brings nothing is not better.
            if let Some((_, widths)) = rates.into_iter().find(|(rate, _)| WORTH * rate >= most) {
                best = (widths, most);
            }
        }
    }
    let rate = [12, 13, 14].map(|seed| run(&best.0, seed)).iter().sum::<f64>() / 3.0;
    (ids.into_iter().zip(best.0).collect(), rate)
}

/// A change, what was predicted of it and what came.
pub(super) struct Predicted {
    pub(super) change: String,
    pub(super) before: f64,
    pub(super) predicted: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) measured: f64,
}

impl Predicted {
    pub(super) fn off(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }
}

/// The widths of the other stages, as far as they are not 4.
fn beside(widths: &[(&'static str, usize)], changed: &str) -> String {
    let others = widths.iter().filter(|(stage, _)| *stage != changed);
    let others: Vec<String> = others.map(|(stage, width)| format!("{stage} {width}")).collect();
    if others.is_empty() { String::new() } else { format!(", with {}", others.join(", ")) }
}

/// Looks on for half a minute, predicts, changes, and measures for a minute.
pub(super) fn predicted_and_measured(model: &Model, changes: &[Widening]) -> Vec<Predicted> {
    let one = |(number, (widths, stage, to)): (usize, &Widening)| {
        let of = |id: &str| widths.iter().find(|(stage, _)| *stage == id).map_or(4, |(_, width)| *width);
        let model = with(model, of);
        let mut simulation = Simulation::new(&model, 21 + number as u64).expect("the model is sound");
        let mut advisor = Advisor::new(model.cpu_threads);
        let mut snapshot = simulation.step();
        while simulation.seconds() < 30.0 {
            advisor.look(&snapshot);
            snapshot = simulation.step();
        }
        let change = Change { stage: (*stage).to_owned(), from: of(stage), to: *to };
        let prediction =
            advisor.what_if(&snapshot, std::slice::from_ref(&change)).expect("there is something to predict from");
        simulation.set_width(stage, *to, "you", "");
        simulation.advance(45.0);
        let before = simulation.ended() as f64;
        simulation.advance(105.0);
        Predicted {
            change: format!("{stage} {} to {to}{}", change.from, beside(widths, stage)),
            before: prediction.now,
            predicted: prediction.then,
            low: prediction.low,
            high: prediction.high,
            measured: (simulation.ended() as f64 - before) / 60.0,
        }
    };
    changes.iter().enumerate().map(one).collect()
}
