use super::*;

fn two(width: usize) -> Model {
    let source = StageModel { id: "source".into(), call: Times::Fixed(0.001), max: 1, ..StageModel::default() };
    let work = StageModel {
        id: "work".into(),
        inputs: vec!["source".into()],
        width,
        call: Times::Exponential(0.1),
        ..StageModel::default()
    };
    let store = StageModel {
        id: "store".into(),
        inputs: vec!["work".into()],
        call: Times::Fixed(0.001),
        max: 1,
        ..StageModel::default()
    };
    Model { cpus: 2.0, cpu_threads: 2, stages: vec![source, work, store], ..Model::default() }
}

#[test]
fn throughput_is_width_by_service_time_and_every_share_is_told() {
    let mut simulation = Simulation::new(&two(4), 1).expect("the model is sound");
    simulation.advance(120.0);
    let rate = simulation.ended() as f64 / 120.0;
    assert!((rate / 40.0 - 1.0).abs() < 0.05, "{rate} documents a second");
    let snapshot = simulation.snapshot();
    let work = snapshot.stage("work").expect("it is there");
    let told = work.busy_seconds + work.held_seconds + work.blocked_seconds + work.starved_seconds;
    assert!((told / (4.0 * 120.0) - 1.0).abs() < 0.02, "{told}");
    assert!(work.busy_seconds / told > 0.98);
    assert_eq!(snapshot.documents.seen, snapshot.documents.done + snapshot.documents.unfinished);
}

#[test]
fn every_document_ends_and_the_same_seed_gives_the_same_run() {
    let mut model = two(3);
    model.documents = 500;
    model.stages[1].yields = 2.5;
    let run = |seed| {
        let mut simulation = Simulation::new(&model, seed).expect("the model is sound");
        while !simulation.is_over() {
            simulation.step();
            assert!(simulation.seconds() < 1000.0, "it never ends");
        }
        (simulation.snapshot().documents.done, simulation.snapshot().stages[1].busy_seconds)
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).1, run(6).1);
    assert_eq!(run(5).0, 500);
}

#[test]
fn the_pool_bounds_what_computes_and_later_stages_go_first() {
    let mut model = two(8);
    model.stages[1].tier = "cpu".into();
    model.stages[1].cpu = 1.0;
    let mut simulation = Simulation::new(&model, 1).expect("the model is sound");
    simulation.advance(60.0);
    let rate = simulation.ended() as f64 / 60.0;
    assert!((rate / 20.0 - 1.0).abs() < 0.05, "{rate} documents a second of two CPUs");
    let snapshot = simulation.snapshot();
    let work = snapshot.stage("work").expect("it is there");
    assert!(work.held_by["cpu"] / (8.0 * 60.0) > 0.7, "{:?}", work.held_by);
    // Children take no permit; the CPUs are the same two.
    model.stages[1].isolated = true;
    let mut simulation = Simulation::new(&model, 1).expect("the model is sound");
    simulation.advance(60.0);
    assert!((simulation.ended() as f64 / 60.0 / 20.0 - 1.0).abs() < 0.05);
}

#[test]
fn a_service_refuses_what_is_beyond_and_its_client_finds_out() {
    let mut model = two(64);
    model.stages[1].tier = "service".into();
    model.stages[1].service = "openai".into();
    let service = ServiceModel { capacity: 10, refuses_after: 0.02, retry_after: 0.5, ..ServiceModel::default() };
    model.services.insert("openai".into(), service);
    let mut simulation = Simulation::new(&model, 1).expect("the model is sound");
    simulation.advance(60.0);
    let rate = simulation.ended() as f64 / 60.0;
    assert!(rate > 80.0 && rate <= 101.0, "{rate} documents a second of ten at once");
    let report = simulation.snapshot().services["openai"].clone();
    assert!(report.errors["rate_limited"] > 5 && report.concurrency <= 12, "{report:?}");
    let refused = report.errors["rate_limited"] as f64 / report.calls as f64;
    assert!(refused < 0.1, "{refused}");
}

#[test]
fn memory_bounds_what_is_in_flight() {
    let mut model = two(8);
    (model.memory, model.bytes) = (4000, 1000);
    let mut simulation = Simulation::new(&model, 1).expect("the model is sound");
    for _ in 0..240 {
        assert!(simulation.step().memory_used <= 4000);
    }
    let rate = simulation.ended() as f64 / 60.0;
    assert!(rate < 44.0, "{rate} with four in flight: eight workers would do eighty");
    assert!(simulation.snapshot().stages[0].held_by["memory"] > 40.0);
}

#[test]
fn a_model_that_makes_no_sense_is_refused() {
    let mut model = two(1);
    model.stages[1].inputs = vec!["nothing".into()];
    let error = Simulation::new(&model, 1).expect_err("it reads what there is not");
    assert_eq!(error.to_string(), "`work` reads `nothing`, which does not come before it");
}
