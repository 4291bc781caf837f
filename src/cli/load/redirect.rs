//! Changes a plan for a load test: documents from the test's listing, state and rows in a directory of its own.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use docmill_api::PayloadKind;
use serde_json::{Value, json};

use super::args::Rows;
use super::docs::Documents;
use crate::load::stages::{ListedConfig, NULL, SOURCE};
use crate::plan::{Plan, Role, StagePlan};

/// A directory that is deleted with what is in it.
#[derive(Debug)]
pub(in crate::cli) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one that nobody else may look into.
    pub(in crate::cli) fn new() -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = std::env::temp_dir().join(format!("docmill-test-{}-{now}", std::process::id()));
        // It fails where the name is taken, by a link as well.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        path.canonicalize().map(Self)
    }

    /// A place in it.
    pub(in crate::cli) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory.
    pub(in crate::cli) fn directory(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "a test's directory is not deleted");
        }
    }
}

/// A plan that was changed.
#[derive(Debug)]
pub(in crate::cli) struct Changed {
    pub(in crate::cli) plan: Plan,
    /// What a user should know of it, a sentence each.
    pub(in crate::cli) told: Vec<String>,
}

/// How long documents may take that are under way when the last step is over: what has piled up is part of what is
/// measured, and is cut off only where it would never end.
const FINISH: Duration = Duration::from_hours(1);

/// The fields by which a store says where it is.
const PLACES: [&str; 2] = ["uri", "dir"];

/// Changes a plan, or says why it cannot be.
pub(in crate::cli) fn redirect(plan: &Plan, into: Rows, scratch: &Scratch) -> Result<Changed, String> {
    let mut told = Vec::new();
    let mut plan = plan.clone();
    plan.run.state = scratch.path("state");
    plan.run.drain = plan.run.drain.max(FINISH);
    for stage in plan.stages.iter_mut().filter(|stage| stage.role == Role::Source) {
        stand_in_for(stage)?;
    }
    for stage in plan.stages.iter_mut().filter(|stage| stage.role == Role::Sink) {
        match into {
            Rows::Scratch => move_into(stage, scratch)?,
            Rows::Null => {
                NULL.clone_into(&mut stage.kind);
                stage.config = json!({});
            }
            Rows::Store => {}
        }
    }
    let stores = plan.stages.iter().filter(|stage| stage.role == Role::Sink).map(|stage| format!("`{}`", stage.id));
    let stores = stores.collect::<Vec<_>>().join(", ");
    told.push(match into {
        Rows::Scratch => {
            format!("rows go to a copy of {stores} in `{}`, deleted afterwards", scratch.directory().display())
        }
        Rows::Null => format!("rows are dropped before {stores}"),
        Rows::Store => format!("rows go to {stores} and stay there"),
    });
    let paid = plan.stages.iter().filter(|stage| stage.provider.is_some()).map(|stage| format!("`{}`", stage.id));
    let paid = paid.collect::<Vec<_>>().join(", ");
    if !paid.is_empty() {
        told.push(format!("the model services of {paid} are called for real; `docmill simulate` stands in for them"));
    }
    Ok(Changed { plan, told })
}

/// Has a source list nothing, until [`Changed::give`] says what.
fn stand_in_for(stage: &mut StagePlan) -> Result<(), String> {
    if !stage.gives.contains(&PayloadKind::Reference) {
        return Err(format!(
            "the source `{}` of kind `{}` gives documents with their content: nothing else can stand in for it",
            stage.id, stage.kind
        ));
    }
    SOURCE.clone_into(&mut stage.kind);
    stage.config = json!(ListedConfig::default());
    Ok(())
}

impl Changed {
    /// Has the first source list the test's documents, and every other nothing.
    pub(in crate::cli) fn give(&mut self, documents: &Documents) {
        if let Some(stage) = self.plan.stages.iter_mut().find(|stage| stage.role == Role::Source) {
            let total = documents.total.filter(|_| !documents.endless);
            stage.config = json!(ListedConfig { listing: Some(documents.listing.clone()), documents: total });
        }
    }
}

/// Has a store write into the test's directory, with all else as it is.
fn move_into(stage: &mut StagePlan, scratch: &Scratch) -> Result<(), String> {
    let place = scratch.path("stores").join(&stage.id);
    let field = PLACES.into_iter().find(|field| stage.config.get(field).is_some_and(Value::is_string));
    let Some(field) = field else {
        return Err(format!(
            "the store `{}` of kind `{}` does not say by `uri` or `dir` where it is, so that its rows cannot go elsewhere\n\
             hint: `--into null` leaves it out, `--into store` has it store them",
            stage.id, stage.kind
        ));
    };
    stage.config[field] = json!(place);
    Ok(())
}
