//! How much memory a plan may take for documents: known before anything runs.

use docmill_api::PayloadKind;
use serde::Serialize;
use serde_json::Value;

use super::{Plan, StagePlan};

/// What a stage that hands over chunks or vectors may take beyond the budget: it hands them over in parts, and a
/// child's part, the largest, is this size.
pub const OVERDRAFT: u64 = 4 << 20;

/// The most memory that a plan takes for documents in flight, by what takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// `run.memory`.
    pub run: u64,
    /// One hand-over at each depth of the graph: what lets the oldest unfinished document always go on.
    pub overdraft: u64,
    /// Child processes at their limits, at the widths that the run starts with: a stage widened while it runs adds one
    /// limit a child.
    pub children: u64,
    /// How many child processes that are.
    pub processes: usize,
    /// All together.
    pub total: u64,
}

/// Adds up what a plan may take.
#[must_use]
pub fn bound(plan: &Plan) -> Bound {
    let (mut processes, mut children) = (0_usize, 0_u64);
    for (width, limit) in plan.stages.iter().filter_map(|stage| Some((stage.width.start, stage.child_memory?))) {
        processes += width;
        children = children.saturating_add(limit.saturating_mul(width as u64));
    }
    let overdraft = overdrafts(plan);
    let total = plan.run.memory.saturating_add(overdraft).saturating_add(children);
    Bound { run: plan.run.memory, overdraft, children, processes, total }
}

/// The runtime lends at most one overdraft a depth, each of one hand-over.
fn overdrafts(plan: &Plan) -> u64 {
    let mut largest: Vec<u64> = Vec::with_capacity(plan.stages.len());
    let mut by_depth: Vec<u64> = Vec::new();
    for stage in &plan.stages {
        let before = stage.inputs.iter().map(|input| largest[*input]).max();
        let document = own_limit(stage).or(before).unwrap_or(OVERDRAFT);
        largest.push(document);
        if by_depth.len() <= stage.depth {
            by_depth.resize(stage.depth + 1, 0);
        }
        by_depth[stage.depth] = by_depth[stage.depth].max(hand_over(stage, document));
    }
    by_depth.iter().fold(0, |sum, overdraft| sum.saturating_add(*overdraft))
}

/// A blob or text is handed over whole, however large the document; chunks and vectors in parts, but for a program of the
/// user's, whose parts are as large as it likes below its limit; a reference is nothing to speak of.
fn hand_over(stage: &StagePlan, document: u64) -> u64 {
    if let Some(limit) = output_limit(stage) {
        return limit.max(OVERDRAFT);
    }
    let gives = |kinds: &[PayloadKind]| stage.gives.iter().any(|kind| kinds.contains(kind));
    match (gives(&[PayloadKind::Blob, PayloadKind::Text]), gives(&[PayloadKind::Chunks, PayloadKind::Vectors])) {
        (true, _) => document.max(OVERDRAFT),
        (false, true) => OVERDRAFT,
        (false, false) => 0,
    }
}

/// The largest document that a stage lets pass, where it has such a field.
fn own_limit(stage: &StagePlan) -> Option<u64> {
    stage.config.get("max_bytes").and_then(Value::as_u64).or_else(|| output_limit(stage))
}

/// The most that a stage makes of one input, where it has such a field.
fn output_limit(stage: &StagePlan) -> Option<u64> {
    stage.config.get("max_output").and_then(Value::as_u64)
}
