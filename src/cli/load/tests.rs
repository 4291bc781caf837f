//! Options that do not go together, and what of a plan is changed. Whole tests are in `tests/it/load.rs`.

use std::path::PathBuf;

use serde_json::json;

use super::super::pipeline_args::testing::{pipeline, registry};
use super::args::Rows;
use super::*;
use crate::load::stages::{NULL, SOURCE};
use crate::plan::{Role, StagePlan};

fn plan() -> Plan {
    let (_directory, args) = pipeline(crate::plan::fakes::PIPELINE, &[]);
    let mut plan = args.load(&registry()).expect("a good pipeline").plan;
    for stage in plan.stages.iter_mut().filter(|stage| stage.role == Role::Sink) {
        stage.config["uri"] = json!("/precious/store");
        stage.config["table"] = json!("chunks");
    }
    plan
}

fn documents() -> Documents {
    let listing = PathBuf::from("/somewhere/documents.jsonl");
    Documents { listing, different: 7, total: Some(9), endless: false, made: None, reused: false }
}

fn of_role(plan: &Plan, role: Role) -> Vec<&StagePlan> {
    plan.stages.iter().filter(|stage| stage.role == role).collect()
}

#[test]
fn neither_the_users_state_nor_the_users_store_is_in_a_tests_plan() {
    let scratch = Scratch::new().expect("a directory");
    let before = plan();
    let mut changed = redirect::redirect(&before, Rows::Scratch, &scratch).expect("changed");
    changed.give(&documents());
    assert!(changed.plan.run.state.starts_with(scratch.directory()) && before.run.state != changed.plan.run.state);
    let sinks = of_role(&changed.plan, Role::Sink);
    assert!(!sinks.is_empty());
    for (sink, was) in sinks.iter().zip(of_role(&before, Role::Sink)) {
        let place = sink.config["uri"].as_str().expect("a path");
        assert!(Path::new(place).starts_with(scratch.directory()), "{place}");
        assert_eq!((&sink.kind, &sink.config["table"], &sink.batch), (&was.kind, &was.config["table"], &was.batch));
    }
    let sources = of_role(&changed.plan, Role::Source);
    assert!(sources.iter().all(|source| source.kind == SOURCE));
    assert_eq!(sources[0].config["documents"], 9);
    assert!(changed.plan.run.drain >= before.run.drain);
    let directory = scratch.directory().to_owned();
    drop(scratch);
    assert!(!directory.exists(), "it is deleted");
}

#[test]
fn rows_go_nowhere_or_to_the_store_only_where_that_is_said() {
    let scratch = Scratch::new().expect("a directory");
    let null = redirect::redirect(&plan(), Rows::Null, &scratch).expect("changed").plan;
    assert!(of_role(&null, Role::Sink).iter().all(|sink| sink.kind == NULL));
    let store = redirect::redirect(&plan(), Rows::Store, &scratch).expect("changed");
    assert!(of_role(&store.plan, Role::Sink).iter().all(|sink| sink.config["uri"] == "/precious/store"));
    assert!(store.told[0].contains("stay there") && store.plan.run.state.starts_with(scratch.directory()));
}

#[test]
fn what_cannot_be_redirected_is_refused() {
    let scratch = Scratch::new().expect("a directory");
    let mut homeless = plan();
    for stage in homeless.stages.iter_mut().filter(|stage| stage.role == Role::Sink) {
        stage.config = json!({});
    }
    let refused = redirect::redirect(&homeless, Rows::Scratch, &scratch).expect_err("refused");
    assert!(refused.contains("hint: `--into null`"), "{refused}");
    let mut whole = plan();
    for stage in whole.stages.iter_mut().filter(|stage| stage.role == Role::Source) {
        stage.gives = vec![docmill_api::PayloadKind::Blob];
    }
    let refused = redirect::redirect(&whole, Rows::Scratch, &scratch).expect_err("refused");
    assert!(refused.contains("nothing else can stand in"), "{refused}");
}

#[test]
fn a_profile_and_a_number_at_once_go_together_unless_both_say_it() {
    let args = |profile: &str, concurrency| Args {
        profile: Some(profile.parse().expect("a profile")),
        concurrency,
        warmup: Span(std::time::Duration::from_secs(2)),
        ..Args::default()
    };
    let steps = args("10/s for 1s, 20/s for 1s", Some(5)).steps().expect("they go together");
    assert_eq!((steps.steps().len(), steps.most_at_once(), steps.steps()[0].warm_up), (3, 5, true));
    assert!(args("4 at once for 1s", Some(5)).steps().is_err_and(|problem| problem.contains("leave it out")));
}
