//! Cuts a plan down to what costs nothing: sources give the sample, and before every stage that calls a service or
//! stores, records are counted and end.

use std::time::Duration;

use docmill_api::{
    BatchDefaults, BuildContext, Context, FieldSpec, FieldType, Node, PayloadKind, Record, Registry, Settled, Sink,
    Source, SourceItem, StageError, StageFactory, StageSpec, Tier, async_trait,
};
use serde::Deserialize;
use serde_json::json;

use super::listing::Listing;
use crate::plan::{Batch, Plan, Role, StagePlan};

/// A stage that a rehearsal leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Its id.
    pub stage: String,
    /// Its kind.
    pub kind: String,
}

/// The plan of a rehearsal over the sample, and which stages it leaves out.
#[must_use]
pub fn cut(plan: &Plan, listing: &Listing) -> (Plan, Vec<CutOff>) {
    let mut off = Vec::new();
    let mut kept: Vec<StagePlan> = Vec::new();
    // Where each stage of the plan stands in the cut one; none for what is behind a cut.
    let mut places: Vec<Option<usize>> = Vec::with_capacity(plan.stages.len());
    for (index, stage) in plan.stages.iter().enumerate() {
        let inputs: Vec<usize> = stage.inputs.iter().filter_map(|&input| places[input]).collect();
        let costs = stage.role == Role::Sink || stage.tier == Tier::Service;
        if costs {
            off.push(CutOff { stage: stage.id.clone(), kind: stage.kind.clone() });
        }
        if stage.role != Role::Source && inputs.is_empty() {
            places.push(None);
            continue;
        }
        let mut stage = StagePlan { inputs, ..stage.clone() };
        if stage.role == Role::Source {
            give(&mut stage, index, listing);
        }
        if costs {
            count(&mut stage);
        }
        places.push((!costs).then_some(kept.len()));
        kept.push(stage);
    }
    (Plan { stages: kept, ..plan.clone() }, off)
}

/// Makes a source give its part of the sample.
fn give(stage: &mut StagePlan, index: usize, listing: &Listing) {
    let items: Vec<&SourceItem> = listing
        .groups
        .values()
        .flat_map(|group| group.sample.values())
        .filter(|(source, _)| *source == index)
        .map(|(_, item)| item)
        .collect();
    GIVEN.clone_into(&mut stage.kind);
    stage.config = json!({ "items": items });
}

/// Makes a stage count what comes to it.
fn count(stage: &mut StagePlan) {
    COUNT.clone_into(&mut stage.kind);
    stage.config = json!({});
    stage.role = Role::Sink;
    stage.tier = Tier::Io;
    stage.gives.clear();
    stage.batch = Some(Batch { items: 1024, tokens: u64::MAX, wait: Duration::from_millis(20) });
}

const GIVEN: &str = "rehearsal-source";
const COUNT: &str = "rehearsal-sink";

/// Makes the kinds of a cut plan known.
pub fn stages(registry: &mut Registry) {
    registry.add::<Given>();
    registry.add::<Count>();
}

/// A source of items that are given.
struct Given;

#[derive(Deserialize)]
struct GivenConfig {
    items: Vec<SourceItem>,
}

#[async_trait]
impl StageFactory for Given {
    type Config = GivenConfig;
    const KIND: &'static str = GIVEN;
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let items = FieldSpec::new("items", FieldType::List(Box::new(FieldType::Text)), json!([]), "What is listed.");
        StageSpec {
            summary: "Lists the documents that it is given.",
            takes: &[],
            gives: &[PayloadKind::Reference],
            tier: Tier::Io,
            fields: vec![items],
            batch: None,
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "Of a rehearsal only.",
            example: "kind = \"rehearsal-source\"",
        }
    }

    async fn build(config: GivenConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        struct Items(std::vec::IntoIter<SourceItem>);
        #[async_trait]
        impl Source for Items {
            async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
                Ok(self.0.next())
            }
        }
        Ok(Node::Source(Box::new(Items(config.items.into_iter()))))
    }
}

/// A sink that stores nothing.
struct Count;

#[derive(Deserialize)]
struct CountConfig {}

#[async_trait]
impl StageFactory for Count {
    type Config = CountConfig;
    const KIND: &'static str = COUNT;
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Counts records and drops them.",
            takes: &[PayloadKind::Blob, PayloadKind::Text, PayloadKind::Chunks, PayloadKind::Vectors],
            gives: &[],
            tier: Tier::Io,
            fields: Vec::new(),
            batch: Some(BatchDefaults { items: 1024, tokens: u64::MAX, wait: Duration::from_millis(20) }),
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "Of a rehearsal only.",
            example: "kind = \"rehearsal-sink\"",
        }
    }

    async fn build(_config: CountConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        struct Counted;
        #[async_trait]
        impl Sink for Counted {
            async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
                batch.iter().map(|record| Ok(record.payload.items() as u64)).collect()
            }
            async fn settle(&self, _cx: &Context, _documents: &[Settled]) -> Result<(), StageError> {
                Ok(())
            }
            async fn close(&self, _cx: &Context) -> Result<(), StageError> {
                Ok(())
            }
        }
        Ok(Node::Sink(std::sync::Arc::new(Counted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::Machine;
    use crate::plan::fakes::registry;

    fn plan(text: &str) -> Plan {
        let raw = config::parse("test.toml", "/tmp".into(), text.to_owned(), &[], std::iter::empty(), &registry());
        Plan::from_raw(&raw.expect("read"), &registry(), Machine { cpus: 2 }).expect("planned").0
    }

    #[test]
    fn nothing_is_left_behind_a_stage_that_is_cut_off() {
        let whole = plan(crate::plan::fakes::PIPELINE);
        let (cut, off) = cut(&whole, &Listing::default());
        assert!(cut.stages.iter().all(|stage| stage.tier != Tier::Service), "{:?}", cut.stages);
        let sinks: Vec<&str> =
            cut.stages.iter().filter(|stage| stage.role == Role::Sink).map(|stage| stage.kind.as_str()).collect();
        assert!(!sinks.is_empty() && sinks.iter().all(|kind| *kind == COUNT), "{sinks:?}");
        assert!(!off.is_empty() && cut.stages.len() <= whole.stages.len());
        for (index, stage) in cut.stages.iter().enumerate() {
            assert!(stage.inputs.iter().all(|&input| input < index), "{} reads what comes after it", stage.id);
            assert_eq!(stage.inputs.is_empty(), stage.role == Role::Source, "{}", stage.id);
        }
    }
}
