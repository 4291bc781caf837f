//! What failed and what was skipped, by stage and kind of reason, with a few examples of each.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::words::clipped;
use crate::monitor::Recording;

/// How many examples a group has.
const EXAMPLES: usize = 3;
/// How many reasons of skipped documents are told apart.
const SKIPS: usize = 20;

/// Documents that failed in a stage with errors of a class.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FailureGroup {
    /// Where.
    pub stage: String,
    /// `transient`, `rejected` or `fatal`.
    pub class: String,
    /// How many are known one by one.
    pub documents: u64,
    /// Some of them, with different reasons where there are.
    pub examples: Vec<Example>,
}

/// A document that failed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Example {
    /// Its URI.
    pub document: String,
    /// Why, in words.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Documents that were skipped for a reason.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SkipGroup {
    /// Where.
    pub stage: String,
    /// In words.
    pub reason: String,
    /// How many.
    pub documents: u64,
}

/// A failure as reports and snapshots have it: one names the text `error`, the other `reason`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Failed {
    document: String,
    stage: String,
    class: String,
    #[serde(alias = "reason")]
    error: String,
    attempts: u32,
}

/// The failures of a run: of its report, which has all; without one, of the snapshots, which have the last ones each.
pub(super) fn failures(recording: &Recording) -> Vec<FailureGroup> {
    let reported = list(recording, "failures");
    let failed = if recording.report.is_some() { reported } else { seen(recording) };
    let mut groups: BTreeMap<(String, String), Vec<Failed>> = BTreeMap::new();
    for one in failed {
        groups.entry((one.stage.clone(), one.class.clone())).or_default().push(one);
    }
    let group = |((stage, class), all): ((String, String), Vec<Failed>)| FailureGroup {
        stage,
        class,
        documents: all.len() as u64,
        examples: examples(&all),
    };
    let mut groups: Vec<FailureGroup> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.documents));
    groups
}

/// The documents that were skipped, by reason, the most frequent first. Only a run's report has them.
pub(super) fn skips(recording: &Recording) -> Vec<SkipGroup> {
    let mut groups: BTreeMap<(String, String), u64> = BTreeMap::new();
    for skip in list(recording, "skips") {
        *groups.entry((skip.stage, clipped(&skip.error))).or_default() += 1;
    }
    let group = |((stage, reason), documents)| SkipGroup { stage, reason, documents };
    let mut groups: Vec<SkipGroup> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.documents));
    groups.truncate(SKIPS);
    groups
}

fn list(recording: &Recording, name: &str) -> Vec<Failed> {
    let all = recording.report.as_ref().and_then(|report| report.get(name)).and_then(serde_json::Value::as_array);
    all.into_iter().flatten().filter_map(|one| Failed::deserialize(one).ok()).collect()
}

fn seen(recording: &Recording) -> Vec<Failed> {
    let mut known = BTreeSet::new();
    let all = recording.snapshots.iter().flat_map(|snapshot| &snapshot.failures);
    let new = all.filter(|ended| known.insert((&ended.document, &ended.stage, &ended.reason)));
    new.map(|ended| Failed {
        document: ended.document.clone(),
        stage: ended.stage.clone(),
        class: ended.class.clone(),
        error: ended.reason.clone(),
        attempts: ended.attempts,
    })
    .collect()
}

fn examples(all: &[Failed]) -> Vec<Example> {
    let mut reasons = BTreeSet::new();
    let (new, again): (Vec<&Failed>, Vec<&Failed>) = all.iter().partition(|one| reasons.insert(&one.error));
    let example =
        |one: &Failed| Example { document: clipped(&one.document), error: clipped(&one.error), attempts: one.attempts };
    new.into_iter().chain(again).take(EXAMPLES).map(example).collect()
}
