//! What model services taught, between runs: a file in the state directory. It holds limits and no secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use docmill_api::Services;
use serde_json::Value;

use crate::plan::Plan;

fn file(state: &Path) -> PathBuf {
    state.join("services.json")
}

/// The services of a run or a command, which begin with what earlier runs learned. A file that is missing or unreadable
/// is nothing learned.
pub(super) fn open(plan: &Plan) -> Services {
    let text = std::fs::read(file(&plan.run.state)).unwrap_or_default();
    let learned: BTreeMap<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    Services::with_learned(learned)
}

/// Keeps what is known now for the next run. Whoever calls it holds the state directory.
pub(super) fn keep(state: &Path, services: &Services) {
    let learned = services.learned();
    if learned.is_empty() {
        return;
    }
    let file = file(state);
    let unfinished = file.with_extension("json.new");
    let text = format!("{:#}\n", serde_json::json!(learned));
    let written = std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &file));
    if let Err(error) = written {
        // The next run finds the limits again.
        tracing::warn!(%error, "what was learned of the model services is not kept");
    }
}
