//! The pipelines that are tuned, what bounds each, and the wrong widths that it starts with.

use docmill::tune::simulate::{BatchModel, Model, ServiceModel, StageModel, Times};

/// A pipeline, and what is right about it.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) model: Model,
    /// What bounds it when its widths are right.
    pub(super) stage: &'static str,
    pub(super) resource: &'static str,
    /// What is changed for the what-if. A stage that is not named begins at 4.
    pub(super) changes: Vec<Widening>,
}

/// Widths to begin with, and the stage whose width is changed, with the new one.
pub(super) type Widening = (Vec<(&'static str, usize)>, &'static str, usize);

fn stage(id: &str, input: &str, tier: &str, call: Times) -> StageModel {
    let inputs = if input.is_empty() { Vec::new() } else { vec![input.to_owned()] };
    let cpu = if tier == "cpu" { 1.0 } else { 0.0 };
    StageModel { id: id.into(), inputs, tier: tier.into(), call, cpu, ..StageModel::default() }
}

fn source() -> StageModel {
    StageModel { max: 1, auto: false, ..stage("source", "", "io", Times::Fixed(0.001)) }
}

fn store(input: &str, call: f64, item: f64) -> StageModel {
    StageModel {
        max: 1,
        auto: false,
        batch: Some(BatchModel { items: 16, wait: 0.2 }),
        item,
        ..stage("store", input, "io", Times::LogNormal { mean: call, spread: 0.3 })
    }
}

fn uneven(mean: f64) -> Times {
    Times::LogNormal { mean, spread: 0.8 }
}

fn model(name: &str, cpus: usize, stages: Vec<StageModel>) -> Model {
    Model { name: name.into(), cpus: cpus as f64, cpu_threads: cpus, stages, bytes: 200_000, ..Model::default() }
}

/// Parsing needs all CPUs.
fn computes(name: &str, cpus: usize) -> Model {
    let stages = vec![
        source(),
        stage("download", "source", "io", uneven(0.12)),
        stage("parse", "download", "cpu", uneven(0.15)),
        stage("chunk", "parse", "cpu", uneven(0.01)),
        store("chunk", 0.04, 0.001),
    ];
    model(name, cpus, stages)
}

/// A model that takes twelve calls at once, which nobody tells.
fn asks() -> Model {
    let mut parse = stage("parse", "download", "cpu", uneven(0.06));
    parse.isolated = true;
    let mut summarize = stage("summarize", "chunk", "service", uneven(0.8));
    summarize.service = "chat".into();
    let mut embed = stage("embed", "summarize", "service", Times::LogNormal { mean: 0.15, spread: 0.4 });
    embed.batch = Some(BatchModel { items: 8, wait: 0.1 });
    embed.service = "vectors".into();
    let stages = vec![
        source(),
        stage("download", "source", "io", uneven(0.12)),
        parse,
        stage("chunk", "parse", "cpu", uneven(0.005)),
        summarize,
        embed,
        store("embed", 0.04, 0.001),
    ];
    let mut model = model("service", 4, stages);
    let chat = ServiceModel { capacity: 12, refuses_after: 0.05, retry_after: 1.0, ..ServiceModel::default() };
    model.services.insert("chat".into(), chat);
    model.services.insert("vectors".into(), ServiceModel { concurrency: 64, ..ServiceModel::default() });
    model
}

/// A store that writes one batch after another.
fn writes() -> Model {
    let stages = vec![
        source(),
        stage("download", "source", "io", uneven(0.2)),
        stage("parse", "download", "cpu", uneven(0.05)),
        stage("chunk", "parse", "cpu", uneven(0.005)),
        store("chunk", 0.3, 0.01),
    ];
    model("sink", 4, stages)
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let alone = |stage, width, to| (vec![(stage, width)], stage, to);
    let computing = || {
        vec![
            alone("parse", 1, 2),
            alone("parse", 1, 3),
            alone("parse", 2, 4),
            alone("parse", 3, 8),
            alone("parse", 4, 2),
            alone("parse", 4, 1),
            alone("download", 1, 2),
            alone("download", 1, 4),
            alone("download", 2, 16),
            alone("chunk", 4, 1),
        ]
    };
    vec![
        Case { name: "cpu", model: computes("cpu", 4), stage: "parse", resource: "cpu", changes: computing() },
        Case {
            name: "two cpus",
            model: computes("two cpus", 2),
            stage: "parse",
            resource: "cpu",
            changes: computing(),
        },
        Case {
            name: "service",
            model: asks(),
            stage: "summarize",
            resource: "provider",
            changes: vec![
                alone("summarize", 1, 2),
                alone("summarize", 2, 6),
                alone("summarize", 4, 8),
                alone("summarize", 8, 4),
                alone("summarize", 16, 32),
                alone("summarize", 32, 12),
                (vec![("summarize", 16), ("download", 1)], "download", 2),
                (vec![("summarize", 16), ("download", 1)], "download", 8),
                (vec![("summarize", 16), ("embed", 1)], "embed", 4),
                (vec![("summarize", 16), ("parse", 2)], "parse", 1),
            ],
        },
        Case {
            name: "sink",
            model: writes(),
            stage: "store",
            resource: "sink",
            changes: vec![
                alone("download", 1, 2),
                alone("download", 2, 4),
                alone("download", 4, 8),
                alone("download", 4, 2),
                alone("download", 16, 4),
                (vec![("download", 16), ("parse", 1)], "parse", 2),
                (vec![("download", 16), ("parse", 1)], "parse", 4),
                (vec![("download", 16), ("parse", 4)], "parse", 8),
                (vec![("download", 16), ("parse", 4)], "parse", 1),
                (vec![("download", 16), ("chunk", 4)], "chunk", 1),
            ],
        },
    ]
}

/// The wrong widths: all 1, all 64, and each stage starved while the others are right.
pub(super) fn starts(model: &Model, right: &[(String, usize)]) -> Vec<(String, Model)> {
    let all = |width: usize| with(model, |_| width);
    let mut starts = vec![("all 1".to_owned(), all(1)), ("all 64".to_owned(), all(64))];
    for (starved, _) in right.iter().filter(|(_, width)| *width > 1) {
        let right = |id: &str| right.iter().find(|(stage, _)| stage == id).map_or(1, |(_, width)| *width);
        let start = with(model, |id| if id == starved { 1 } else { right(id) });
        starts.push((format!("{starved} 1"), start));
    }
    starts
}

/// The pipeline with these widths, where they may be set.
pub(super) fn with(model: &Model, width: impl Fn(&str) -> usize) -> Model {
    let mut model = model.clone();
    for stage in model.stages.iter_mut().filter(|stage| stage.auto) {
        stage.width = width(&stage.id).clamp(stage.min, stage.max);
    }
    model
}
