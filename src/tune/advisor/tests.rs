use super::*;
use crate::tune::simulate::{Model, Simulation, StageModel, Times};

/// A stage of so many workers between a source of twenty documents a second and a store that could do much more.
fn simulation(width: usize) -> Simulation {
    let stage = |id: &str, input: &str, seconds: f64, max| StageModel {
        id: id.into(),
        inputs: if input.is_empty() { Vec::new() } else { vec![input.to_owned()] },
        call: Times::Exponential(seconds),
        max,
        ..StageModel::default()
    };
    let work = StageModel { width, ..stage("work", "source", 0.2, 256) };
    let stages = vec![stage("source", "", 0.05, 1), work, stage("store", "work", 0.001, 1)];
    Simulation::new(&Model { cpus: 2.0, cpu_threads: 2, stages, ..Model::default() }, 3).expect("the model is sound")
}

fn look(simulation: &mut Simulation, advisor: &mut Advisor, seconds: f64) -> Advice {
    let until = simulation.seconds() + seconds;
    let mut advice = Advice::default();
    while simulation.seconds() < until {
        advice = advisor.look(&simulation.step());
    }
    advice
}

#[test]
fn what_is_proposed_brings_what_was_predicted() {
    let (mut simulation, mut advisor) = (simulation(2), Advisor::default());
    let advice = look(&mut simulation, &mut advisor, 30.0);
    assert_eq!((advice.bottleneck.stage.as_str(), advice.bottleneck.resource.as_str()), ("work", "width"));
    assert_eq!(advice.confidence, "high");
    let proposal = advice.proposals.first().expect("wider is worth it");
    let change = proposal.changes.first().cloned().expect("one width");
    assert_eq!((change.stage.as_str(), change.from), ("work", 2));
    assert_eq!(proposal.prediction.limit.resource, "source", "{proposal:?}");
    simulation.set_width("work", change.to, "you", "");
    let advice = look(&mut simulation, &mut advisor, 40.0);
    let outcome = advice.outcomes.first().expect("it was measured");
    let predicted = outcome.predicted.expect("it was predicted");
    assert!((outcome.measured - predicted).abs() < 0.25 * (1.0 + predicted), "{outcome:?}");
    assert!(outcome.within.0 < outcome.measured && outcome.measured < outcome.within.1);
    assert_eq!((outcome.by.as_str(), outcome.reverted), ("you", false));
    assert_eq!(advice.proposals, [], "the source bounds it");
}

#[test]
fn a_width_that_was_not_needed_in_a_minute_is_said_to_be_safe_to_lower() {
    let (mut simulation, mut advisor) = (simulation(64), Advisor::default());
    assert_eq!(look(&mut simulation, &mut advisor, 30.0).notes, [] as [&str; 0], "not yet");
    let notes = look(&mut simulation, &mut advisor, 60.0).notes;
    assert!(notes.len() == 1 && notes[0].starts_with("work 64→"), "{notes:?}");
}

#[test]
fn a_what_if_goes_by_the_widths_of_now() {
    let (mut simulation, mut advisor) = (simulation(2), Advisor::default());
    look(&mut simulation, &mut advisor, 30.0);
    let snapshot = simulation.snapshot();
    let change = |to| [Change { stage: "work".into(), from: 2, to }];
    let wider = advisor.what_if(&snapshot, &change(3)).expect("there is enough to say");
    assert!(wider.low < wider.then && wider.then < wider.high && !wider.extrapolated);
    assert!((wider.then / wider.now - 1.5).abs() < 0.05, "{wider:?}");
    assert!(advisor.what_if(&snapshot, &change(16)).expect("there is").extrapolated);
    let nowhere = Change { stage: "nowhere".into(), from: 1, to: 2 };
    assert_eq!(advisor.what_if(&snapshot, &[nowhere]), None);
    let plain = crate::tune::what_if(&snapshot, &change(3)).expect("the whole run says it as well");
    assert!((plain.then / wider.then - 1.0).abs() < 0.2, "{plain:?}");
}
