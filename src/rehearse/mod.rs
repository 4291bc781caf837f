//! A rehearsal: what a run would do, found out without calling a paid service and without storing anything. Lists what
//! the sources list, then sends a sample through the stages of the pipeline that cost nothing.
//!
//! It is a run like any other, of a plan that was cut; the runtime knows nothing of it.

mod cut;
mod listing;

pub use cut::{CutOff, cut, stages};
pub use listing::{Group, Listing, list};

use docmill_api::Registry;

use crate::plan::Plan;
use crate::runtime::{BuildError, RuntimeOptions, Topology, View};

/// Runs a sample of what was listed through the stages that cost nothing, to its end.
///
/// # Errors
/// A stage cannot be built.
pub async fn sample(
    plan: &Plan,
    registry: &Registry,
    options: &RuntimeOptions,
    listing: &Listing,
) -> Result<(View, Vec<CutOff>), BuildError> {
    let mut registry = registry.clone();
    stages(&mut registry);
    let (plan, off) = cut(plan, listing);
    let options = RuntimeOptions { results: true, alone: true, ..options.clone() };
    let handle = Topology::build(plan, &registry, &options).await?.run();
    let view = handle.view();
    handle.wait().await;
    Ok((view, off))
}
