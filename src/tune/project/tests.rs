//! Projections of recordings that the simulator made: what is projected is known there.

use std::fmt::Write as _;

use super::*;
use crate::monitor::Recording;
use crate::tune::simulate::{BatchModel, Model, ServiceModel, Simulation, StageModel, Times};

fn stage(id: &str, input: &str, call: Times) -> StageModel {
    let inputs = if input.is_empty() { Vec::new() } else { vec![input.to_owned()] };
    let max = if input.is_empty() || id == "store" { 1 } else { 256 };
    StageModel { id: id.into(), inputs, call, max, ..StageModel::default() }
}

/// Parsing computes for 100 ms a document on two CPUs, four chunks of each are embedded, a store writes batches.
fn cpu_bound() -> Model {
    let parse = StageModel {
        tier: "cpu".into(),
        cpu: 1.0,
        width: 3,
        ..stage("parse", "source", Times::LogNormal { mean: 0.1, spread: 0.5 })
    };
    let split = StageModel { yields: 4.0, width: 2, ..stage("split", "parse", Times::Fixed(0.002)) };
    let embed = StageModel { width: 8, cpu: 0.05, ..stage("embed", "split", Times::Exponential(0.02)) };
    let store =
        StageModel { batch: Some(BatchModel { items: 20, wait: 1.0 }), ..stage("store", "embed", Times::Fixed(0.03)) };
    let source = stage("source", "", Times::Fixed(0.0005));
    Model {
        name: "papers".into(),
        cpus: 2.0,
        cpu_threads: 2,
        bytes: 100_000,
        memory: 1 << 30,
        stages: vec![source, parse, split, embed, store],
        ..Model::default()
    }
}

/// Sixteen workers ask a service that takes 1200 calls a minute.
fn service_bound() -> Model {
    let mut model = cpu_bound();
    model.cpus = 4.0;
    model.cpu_threads = 4;
    let work = StageModel {
        tier: "service".into(),
        service: "work".into(),
        width: 16,
        ..stage("work", "parse", Times::Exponential(0.3))
    };
    model.stages[1].call = Times::Fixed(0.01);
    model.stages[2] = work;
    model.stages[3] = stage("store", "work", Times::Fixed(0.001));
    model.stages.truncate(4);
    model.services.insert("work".into(), ServiceModel { per_minute: 1200.0, ..ServiceModel::default() });
    model
}

fn recorded(model: &Model, seconds: f64) -> Recording {
    let mut simulation = Simulation::new(model, 11).expect("the model is sound");
    let mut recording = Recording::default();
    // As a run looks before its sources begin to list.
    recording.snapshots.push(crate::monitor::Snapshot { listed: true, ..simulation.snapshot() });
    while simulation.seconds() < seconds && !simulation.is_over() {
        let mut snapshot = simulation.step();
        snapshot.host.memory_limit = 8 << 30;
        for stage in snapshot.stages.iter_mut().filter(|stage| stage.id == "store") {
            stage.settings.insert("batch".into(), "20 items, 0 tokens, 1s".into());
        }
        recording.snapshots.push(snapshot);
    }
    recording
}

fn projected(model: &Model, request: &str) -> Projection {
    let request = request.parse().expect("a good request");
    project(&recorded(model, 60.0), &request).unwrap_or_else(|error| panic!("{error}"))
}

fn near(got: f64, expected: f64, within: f64, what: &str) {
    assert!((got / expected - 1.0).abs() < within, "{what}: {got} instead of {expected}");
}

#[test]
fn the_same_machine_does_what_the_run_did() {
    for model in [cpu_bound(), service_bound()] {
        let told = projected(&model, &format!("cores={}", model.cpus));
        near(told.check.model, told.check.run, 0.05, "the check");
        near(told.documents_per_second.mean, told.check.run, 0.05, "the same machine");
        near(told.check.run_cpus, told.check.model_cpus, 0.1, "CPUs in use");
        assert!(told.check.steady && told.warnings.is_empty(), "{:?}", told.warnings);
        for stage in &told.stages {
            assert!((stage.busy_run - stage.busy_model).abs() < 0.08, "{stage:?}");
        }
    }
}

#[test]
fn twice_the_cpus_do_twice_as_much_until_the_store_bounds_it() {
    let one = projected(&cpu_bound(), "cores=2");
    let two = projected(&cpu_bound(), "cores=4,documents=1e6");
    near(two.documents_per_second.mean, 2.0 * one.documents_per_second.mean, 0.05, "twice the CPUs");
    assert_eq!((one.limit.stage.as_str(), one.limit.resource.as_str()), ("parse", "cpu"));
    let parse = two.widths.iter().find(|change| change.stage == "parse").expect("it needs more workers");
    assert!(parse.from == 3 && parse.to >= 4, "{parse:?}");
    let hours = two.hours.expect("documents were named");
    near(hours.mean * 3600.0 * two.documents_per_second.mean, 1e6, 1e-6, "hours");
    assert!(hours.low < hours.mean && hours.mean < hours.high, "{hours:?}");
    // Four rows a document, twenty in 30 ms: 166 documents a second, whatever CPUs there are.
    let many = projected(&cpu_bound(), "cores=64");
    near(many.documents_per_second.mean, 166.0, 0.06, "bound by the store");
    assert_eq!((many.limit.stage.as_str(), many.limit.resource.as_str()), ("store", "sink"), "{:?}", many.limit);
    let more = projected(&cpu_bound(), "cores=128");
    near(more.documents_per_second.mean, many.documents_per_second.mean, 0.04, "no more with more CPUs");
    let next = many.next.expect("there is a next limit");
    assert_eq!(next.limit.resource, "cpu", "{next:?}");
    assert!(next.documents_per_second > 2.5 * many.documents_per_second.mean, "{next:?}");
}

#[test]
fn machines_that_share_a_rate_do_not_scale_and_a_higher_rate_does() {
    let told = projected(&service_bound(), "cores=4,machines=4");
    let many: Vec<usize> = told.machines.iter().map(|row| row.machines).collect();
    assert_eq!(many, [1, 2, 4]);
    near(told.machines[2].documents_per_second.mean, 20.0, 0.05, "the rate is shared");
    near(told.machines[2].times, told.machines[0].times, 0.05, "four machines");
    assert_eq!((told.limit.stage.as_str(), told.limit.resource.as_str()), ("work", "provider"), "{:?}", told.limit);
    let more = projected(&service_bound(), "cores=4,rate.work=2400/min,width.work=40");
    near(more.documents_per_second.mean, 40.0, 0.05, "twice the rate");
    assert_eq!(more.stages.iter().find(|stage| stage.stage == "work").map(|stage| stage.to), Some(40));
    assert!(more.assumptions.iter().any(|one| one == "`work` takes 2400 calls a minute"), "{:?}", more.assumptions);
    // What is not shared scales, up to the one committer.
    let told = projected(&cpu_bound(), "cores=2,machines=4");
    near(told.machines[2].times, 4.0, 0.06, "four machines that share nothing but the store");
}

#[test]
fn a_run_that_says_too_little_is_refused_and_one_that_is_doubtful_is_told_of() {
    let mut model = cpu_bound();
    model.documents = 10;
    let error = project(&recorded(&model, 60.0), &Request::default()).expect_err("ten documents");
    assert!(error.to_string().contains("10 documents went through") && error.to_string().contains("hint: "), "{error}");
    model.documents = 45;
    let told = project(&recorded(&model, 60.0), &Request::default()).expect("forty-five are enough");
    assert!(!told.check.steady && told.warnings.iter().any(|one| one.contains("it was short")), "{:?}", told.warnings);
    near(told.check.model, told.check.run, 0.2, "beginning and end are simulated as well");
    let mut paced = recorded(&cpu_bound(), 60.0);
    for snapshot in &mut paced.snapshots {
        snapshot.seconds *= 2.0;
    }
    let told = project(&paced, &Request::default()).expect("it is measured");
    assert!(told.warnings.iter().any(|one| one.contains("doubtful")), "{:?}", told.warnings);
    let refused = |request: &str| {
        let request = request.parse().expect("it can be read");
        project(&recorded(&cpu_bound(), 60.0), &request).expect_err("it is refused").to_string()
    };
    assert_eq!(refused("width.prase=3"), "`width.prase`: the run has no stage `prase`; did you mean `parse`?");
    assert!(refused("rate.work=3/s").starts_with("`rate.work`: the run has no model service `work`"));
    assert!(refused("width.parse=300").contains("256 at once at most"));
}

#[test]
fn memory_that_children_take_is_told() {
    let mut model = cpu_bound();
    model.stages[1].isolated = true;
    let mut recording = recorded(&model, 60.0);
    for snapshot in &mut recording.snapshots {
        (snapshot.host.children, snapshot.host.children_rss_bytes) = (3, 3 << 28);
        snapshot.host.rss_bytes = 1 << 28;
    }
    let told = project(&recording, &"cores=16,memory=2GiB".parse().expect("good")).expect("projected");
    assert!(told.memory.children > 4e9 && told.warnings.iter().any(|one| one.contains("2GiB")), "{told:?}");
    let mut all = String::new();
    told.assumptions.iter().for_each(|one| writeln!(all, "{one}").expect("a text"));
    assert!(all.contains("`[run] memory`") && !all.contains("machines; sharing"), "{all}");
    assert_eq!(told.memory.budget, 1 << 28);
}
