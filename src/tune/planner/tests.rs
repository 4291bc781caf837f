use super::*;
use crate::monitor::Event;
use crate::tune::simulate::{Model, ServiceModel, Simulation, StageModel, Times};

/// A stage that needs ten workers between a source and a store that could do much more.
fn model() -> Model {
    let stage = |id: &str, input: &str, seconds: f64, max| StageModel {
        id: id.into(),
        inputs: if input.is_empty() { Vec::new() } else { vec![input.to_owned()] },
        call: Times::Exponential(seconds),
        max,
        ..StageModel::default()
    };
    let stages =
        vec![stage("source", "", 0.05, 1), stage("work", "source", 0.4, 256), stage("store", "work", 0.001, 1)];
    Model { cpus: 2.0, cpu_threads: 2, stages, ..Model::default() }
}

fn auto() -> Planner {
    Planner::new(PlannerSettings { mode: Mode::Auto, ..PlannerSettings::default() })
}

/// Runs for so many seconds more and obeys the planner. All that it decided.
fn run(simulation: &mut Simulation, planner: &mut Planner, seconds: f64) -> Vec<Decision> {
    let until = simulation.seconds() + seconds;
    let mut all = Vec::new();
    while simulation.seconds() < until {
        let decisions = planner.look(&simulation.step());
        for decision in &decisions {
            simulation.set_width(&decision.change.stage, decision.change.to, TUNER, &decision.why);
        }
        all.extend(decisions);
    }
    all
}

fn simulation(model: &Model) -> Simulation {
    Simulation::new(model, 3).expect("the model is sound")
}

#[test]
fn a_step_at_most_doubles_and_says_what_it_was_reckoned_from() {
    let mut simulation = simulation(&model());
    let decisions = run(&mut simulation, &mut auto(), 60.0);
    assert!(decisions.iter().all(|decision| decision.change.to <= 2 * decision.change.from), "{decisions:#?}");
    let width = simulation.snapshot().stages[1].width;
    assert!((8..=14).contains(&width), "{width}");
    let why = &decisions[0].why;
    assert!(why.starts_with("work 1→2: ") && why.contains("bound by source of source"), "{why}");
}

#[test]
fn it_decides_nothing_while_it_observes_for_stages_that_are_not_its_own_or_while_the_run_is_paused() {
    let observes = &mut Planner::new(PlannerSettings::default());
    assert_eq!(run(&mut simulation(&model()), observes, 60.0), []);
    assert!(observes.ideal().is_some_and(|ideal| ideal.needed[1] >= 3), "it knows nevertheless");

    let mut given = model();
    given.stages[1].auto = false;
    assert_eq!(run(&mut simulation(&given), &mut auto(), 60.0), []);
    let all = PlannerSettings { mode: Mode::Auto, all: true, cpu_threads: 0 };
    assert!(!run(&mut simulation(&given), &mut Planner::new(all), 60.0).is_empty());

    let (mut simulation, mut planner) = (simulation(&model()), auto());
    for _ in 0..240 {
        let mut snapshot = simulation.step();
        snapshot.paused = true;
        assert_eq!(planner.look(&snapshot), []);
    }
}

#[test]
fn a_width_that_a_person_set_stays_until_it_is_released() {
    let (mut simulation, mut planner) = (simulation(&model()), auto());
    run(&mut simulation, &mut planner, 30.0);
    simulation.set_width("work", 2, "you", "");
    assert_eq!(run(&mut simulation, &mut planner, 120.0), []);
    assert!(planner.pinned().contains_key("work"));
    planner.release("work");
    assert!(!run(&mut simulation, &mut planner, 60.0).is_empty());
}

/// What is done at once does not grow with the width: a lock behind the stage, say. Nothing in a snapshot tells of it.
#[test]
fn a_change_that_brings_nothing_is_taken_back_and_left_alone() {
    let mut planner = auto();
    let mut decisions = Vec::new();
    let (mut width, mut busy, mut done) = (4_usize, 0.0, 0.0);
    let mut events: Vec<Event> = Vec::new();
    for step in 0..480_u32 {
        let seconds = f64::from(step) / 4.0;
        done = 8.0 * seconds;
        busy += width as f64 / 4.0;
        let mut snapshot = simulation(&model()).step();
        snapshot.seconds = seconds;
        for stage in &mut snapshot.stages {
            (stage.input, stage.output, stage.calls) = (done as u64, done as u64, done as u64);
            (stage.in_hand, stage.busy_seconds) = (0, done * 0.001);
            stage.now = Default::default();
        }
        for edge in &mut snapshot.edges {
            edge.sent = done as u64;
        }
        let stage = &mut snapshot.stages[1];
        (stage.width, stage.busy_seconds, stage.queue.length) = (width, busy, 50);
        stage.now.busy = 1.0;
        snapshot.documents.seen = done as u64;
        snapshot.documents.done = done as u64;
        snapshot.events.clone_from(&events);
        for decision in planner.look(&snapshot) {
            width = decision.change.to;
            events.push(Event {
                number: events.len() as u64 + 1,
                at: seconds,
                kind: EventKind::Width,
                stage: "work".into(),
                by: TUNER.into(),
                from: Some(decision.change.from),
                to: Some(decision.change.to),
                ..Event::default()
            });
            decisions.push((decision.change.from, decision.change.to, decision.reverts));
        }
    }
    assert!(done > 900.0);
    let expected = [(4, 8, false), (8, 16, false), (16, 4, true)];
    assert_eq!(decisions, expected, "twice until it is sure, then back, and left alone for five minutes");
}

#[test]
fn what_a_service_is_told_to_keep_to_bounds_the_width() {
    let mut model = model();
    model.stages[0].call = Times::Fixed(0.001);
    model.stages[1].service = "chat".into();
    model.stages[1].tier = "service".into();
    model.stages[1].width = 64;
    model.services.insert("chat".into(), ServiceModel { concurrency: 8, ..ServiceModel::default() });
    let mut simulation = simulation(&model);
    run(&mut simulation, &mut auto(), 60.0);
    let width = simulation.snapshot().stages[1].width;
    assert!((9..=13).contains(&width), "{width}");
}
