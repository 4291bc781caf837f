//! Opens what a plan names for single use: the store that can be searched, the model of a stage that embeds. Nothing is
//! run; the commands that ask share it. Model services among them are opened with what runs learned of their limits, and
//! shared by all that one command opens.

use std::sync::Arc;

use docmill_api::{BuildContext, Provider, Registry, Search, Services, StageError};

use crate::plan::{Plan, StagePlan};

/// The first sink of the plan, from its end, that can be searched.
///
/// # Errors
/// There is none, or the store is missing or not ours.
pub(super) async fn store<'a>(
    plan: &'a Plan,
    registry: &Registry,
) -> Result<(Arc<dyn Search>, &'a StagePlan), StageError> {
    for stage in plan.stages.iter().rev() {
        let Some(factory) = registry.get(&stage.kind) else { continue };
        if let Some(store) = factory.search(stage.config.clone(), &context(plan, stage)).await? {
            return Ok((store, stage));
        }
    }
    Err(StageError::fatal("the pipeline has no store that can be searched; `lancedb` can"))
}

/// The model of the embedding stage that feeds a stage.
///
/// # Errors
/// The model cannot be opened.
pub(super) async fn provider_before(
    plan: &Plan,
    registry: &Registry,
    stage: &StagePlan,
    services: &Services,
) -> Result<Option<Arc<dyn Provider>>, StageError> {
    let mut waiting = stage.inputs.clone();
    while let Some(index) = waiting.pop() {
        let Some(stage) = plan.stages.get(index) else { continue };
        if let Some(provider) = provider_of(plan, registry, stage, services).await? {
            return Ok(Some(provider));
        }
        waiting.extend(&stage.inputs);
    }
    Ok(None)
}

/// The model of a stage; `None` for one that does not embed.
///
/// # Errors
/// The model cannot be opened.
pub(super) async fn provider_of(
    plan: &Plan,
    registry: &Registry,
    stage: &StagePlan,
    services: &Services,
) -> Result<Option<Arc<dyn Provider>>, StageError> {
    let Some(factory) = registry.get(&stage.kind) else { return Ok(None) };
    let cx = BuildContext { services: services.clone(), ..context(plan, stage) };
    factory.provider(stage.config.clone(), &cx).await
}

fn context(plan: &Plan, stage: &StagePlan) -> BuildContext {
    BuildContext {
        stage: stage.id.clone(),
        base: plan.base.clone(),
        fingerprint: plan.fingerprint,
        embedding: stage.embedding.clone(),
        provider: stage.provider.clone(),
        ..BuildContext::default()
    }
}
