//! Checks how stages are wired: names, rings, ends, and whether each can read what its inputs give.
//!
//! Every check works on what the earlier ones left readable, so that one mistake is complained about once.

use docmill_api::{PayloadKind, Registry};

use super::draft::Draft;
use super::fields::{self, Checker};
use super::{Role, bridge, codes};

/// The wiring: for each draft the positions of its inputs, in the file's order.
pub(super) struct Graph {
    pub(super) inputs: Vec<Vec<usize>>,
    /// Positions of the drafts, every stage after its inputs; empty where there is a ring.
    pub(super) order: Vec<usize>,
}

/// Checks the whole graph.
pub(super) fn check(cx: &mut Checker<'_>, drafts: &[Draft], registry: &Registry) -> Graph {
    let inputs: Vec<Vec<usize>> = drafts.iter().map(|draft| resolve(cx, draft, drafts)).collect();
    for (position, draft) in drafts.iter().enumerate() {
        missing_inputs(cx, draft, drafts);
        for &input in &inputs[position] {
            edge(cx, &drafts[input], draft, registry);
        }
    }
    ends(cx, drafts, &inputs, registry);
    let order = order(cx, drafts, &inputs);
    Graph { inputs, order }
}

/// Finds the stages that a draft's inputs name.
fn resolve(cx: &mut Checker<'_>, draft: &Draft, drafts: &[Draft]) -> Vec<usize> {
    let mut found = Vec::new();
    if draft.role() == Some(Role::Source) && !draft.inputs.is_empty() {
        let path = fields::child(&draft.path, "inputs");
        let message = format!("stage `{}` is a source and has inputs", draft.id);
        let help = "take `inputs` out: a source begins the pipeline".to_owned();
        cx.error(codes::SOURCE_WITH_INPUTS, cx.raw.key(&path), message, Some(help));
        return found;
    }
    for (name, path) in &draft.inputs {
        let place = cx.raw.value(path);
        let Some(position) = drafts.iter().position(|other| other.id == *name) else {
            let others: Vec<&str> = drafts.iter().map(|other| other.id.as_str()).filter(|id| *id != draft.id).collect();
            let help = fields::nearest_or_list(name, &others);
            cx.error(
                codes::UNKNOWN_INPUT,
                place,
                format!("stage `{}` reads `{name}`, which no stage is called", draft.id),
                help,
            );
            continue;
        };
        if drafts[position].id == draft.id {
            let help = "name the stage before it".to_owned();
            cx.error(codes::SELF_INPUT, place, format!("stage `{name}` reads itself"), Some(help));
        } else if found.contains(&position) {
            let help = "name it once: every record would come twice".to_owned();
            cx.error(codes::DUPLICATE_INPUT, place, format!("stage `{}` reads `{name}` twice", draft.id), Some(help));
        } else if drafts[position].role() == Some(Role::Sink) {
            let message = format!("stage `{}` reads `{name}`, a sink, which gives nothing", draft.id);
            let before: Vec<&str> = drafts[position].inputs.iter().map(|(name, _)| name.as_str()).collect();
            let help = (!before.is_empty()).then(|| format!("read what it reads: {}", fields::list(&before, ", ")));
            cx.error(codes::SINK_AS_INPUT, place, message, help);
        } else {
            found.push(position);
        }
    }
    found
}

/// Complains about a stage that takes something and names no input.
fn missing_inputs(cx: &mut Checker<'_>, draft: &Draft, drafts: &[Draft]) {
    let Some(kind) = &draft.kind else { return };
    if draft.role() == Some(Role::Source) || !draft.inputs.is_empty() || !draft.inputs_read {
        return;
    }
    let fitting: Vec<&str> = drafts
        .iter()
        .filter(|other| other.id != draft.id)
        .filter(|other| other.kind.as_ref().is_some_and(|other| meet(&other.ports.gives, &kind.ports.takes)))
        .map(|other| other.id.as_str())
        .collect();
    let takes = kinds(&kind.ports.takes);
    let help = match fitting.as_slice() {
        [] => format!("add `inputs = [\"…\"]` with a stage that gives {takes}"),
        [one] => format!("add `inputs = [\"{one}\"]`"),
        many => format!("add `inputs`; these give {takes}: {}", fields::list(many, ", ")),
    };
    let message = format!("stage `{}` has no inputs", draft.id);
    cx.error(codes::NO_INPUTS, cx.raw.key(&draft.path), message, Some(help));
}

/// Complains about an edge whose ends do not fit, naming what is missing between them.
fn edge(cx: &mut Checker<'_>, from: &Draft, to: &Draft, registry: &Registry) {
    let (Some(gives), Some(takes)) = (&from.kind, &to.kind) else { return };
    let (gives, takes) = (&gives.ports.gives, &takes.ports.takes);
    if meet(gives, takes) {
        return;
    }
    let path = to.inputs.iter().find(|(name, _)| *name == from.id).map_or(&to.path, |(_, path)| path);
    let message = format!("`{}` takes {}, `{}` gives {}", to.id, kinds(takes), from.id, kinds(gives));
    let between = format!("between `{}` and `{}`", from.id, to.id);
    let help = match bridge::between(registry, gives, takes) {
        bridge::Bridge::One(choice) => {
            format!("put a stage of kind {} {between}", fields::list(&choice, " or "))
        }
        bridge::Bridge::Several(chain) => {
            format!("put stages of the kinds {}, in this order, {between}", fields::list(&chain, ", "))
        }
        bridge::Bridge::None => format!("no known kind leads from {} to {}", kinds(gives), kinds(takes)),
    };
    cx.error(codes::EDGE_TYPE, cx.raw.value(path), message, Some(help));
}

/// Checks that there is a source and a sink, and that what a stage gives is read.
fn ends(cx: &mut Checker<'_>, drafts: &[Draft], inputs: &[Vec<usize>], registry: &Registry) {
    if drafts.is_empty() {
        return;
    }
    let whole = cx.raw.key(&["stages".to_owned()]);
    // A stage of unknown kind may be the end that is missed.
    let all_known = drafts.iter().all(|draft| draft.kind.is_some());
    let has = |role| drafts.iter().any(|draft| draft.role() == Some(role));
    let named = |draft: &Draft| drafts.iter().any(|other| other.inputs.iter().any(|(name, _)| *name == draft.id));
    let read = |position: usize| inputs.iter().any(|inputs| inputs.contains(&position));
    let unread: Vec<&Draft> = drafts
        .iter()
        .enumerate()
        .filter(|(position, draft)| {
            let gives = matches!(draft.role(), Some(Role::Source | Role::Stage));
            gives && !read(*position) && !named(draft) && !drafts.iter().any(|other| waits_for(other, draft, drafts))
        })
        .map(|(_, draft)| draft)
        .collect();
    if all_known && !has(Role::Source) {
        let help = bridge::of_role(registry, Role::Source).map(|kinds| format!("add a stage of kind {kinds}"));
        cx.error(codes::NO_SOURCE, whole.clone(), "no stage lists documents", help);
    }
    let without_sink = all_known && !has(Role::Sink);
    if without_sink {
        let reads = unread.first().map_or(String::new(), |last| format!(" that reads `{}`", last.id));
        let help = bridge::of_role(registry, Role::Sink).map(|kinds| format!("add a stage of kind {kinds}{reads}"));
        cx.error(codes::NO_SINK, whole, "no stage makes results durable", help);
    }
    // The one loose end of a pipeline without a sink is the same mistake.
    let told = usize::from(without_sink && unread.len() == 1);
    for draft in unread.into_iter().skip(told) {
        let help = format!("name `{}` in the `inputs` of another stage, or take it out", draft.id);
        let message = format!("nobody reads what stage `{}` gives", draft.id);
        cx.error(codes::UNREAD, cx.raw.key(&draft.path), message, Some(help));
    }
}

/// Whether a stage's missing or unknown input, complained about already, was probably meant to be `given`.
fn waits_for(stage: &Draft, given: &Draft, drafts: &[Draft]) -> bool {
    let (Some(takes), Some(gives)) = (&stage.kind, &given.kind) else { return false };
    let unknown = |name: &String| !drafts.iter().any(|other| other.id == *name);
    let open = stage.inputs.is_empty() || !stage.inputs_read || stage.inputs.iter().any(|(name, _)| unknown(name));
    stage.id != given.id && open && meet(&gives.ports.gives, &takes.ports.takes)
}

/// Orders the stages so that each stands after its inputs, the file's order kept where it can be.
fn order(cx: &mut Checker<'_>, drafts: &[Draft], inputs: &[Vec<usize>]) -> Vec<usize> {
    let mut ordered: Vec<usize> = Vec::with_capacity(drafts.len());
    let mut left: Vec<usize> = (0..drafts.len()).collect();
    while !left.is_empty() {
        let ready = |position: &usize| inputs[*position].iter().all(|input| ordered.contains(input));
        let Some(at) = left.iter().position(ready) else {
            rings(cx, drafts, inputs, left);
            return Vec::new();
        };
        ordered.push(left.remove(at));
    }
    ordered
}

/// Names every ring among the stages that could not be ordered.
fn rings(cx: &mut Checker<'_>, drafts: &[Draft], inputs: &[Vec<usize>], mut left: Vec<usize>) {
    while let Some(&first) = left.first() {
        // Every stage left has an input left, or leads nowhere: walking up either closes a ring or ends.
        let mut walk = vec![first];
        let ring = loop {
            let here = walk[walk.len() - 1];
            let Some(&up) = inputs[here].iter().find(|input| left.contains(input)) else { break None };
            if let Some(start) = walk.iter().position(|seen| *seen == up) {
                break Some(walk.split_off(start));
            }
            walk.push(up);
        };
        let Some(mut ring) = ring else {
            left.retain(|position| !walk.contains(position));
            continue;
        };
        left.retain(|position| !ring.contains(position));
        // Told from the stage that stands first in the file, in the direction of the records.
        ring.reverse();
        let start = ring.iter().enumerate().min_by_key(|(_, position)| **position).map_or(0, |(index, _)| index);
        ring.rotate_left(start);
        let (head, last) = (&drafts[ring[0]], &drafts[ring[ring.len() - 1]]);
        let names: Vec<&str> = ring.iter().chain(ring.first()).map(|position| drafts[*position].id.as_str()).collect();
        let path = head.inputs.iter().find(|(name, _)| *name == last.id).map_or(&head.path, |(_, path)| path);
        let help = format!("take one of these edges out, such as `{}` from the inputs of `{}`", last.id, head.id);
        let message = format!("stages feed each other in a ring: {}", fields::list(&names, " -> "));
        cx.error(codes::CYCLE, cx.raw.value(path), message, Some(help));
    }
}

/// Whether two lists have a kind of payload in common.
pub(super) fn meet(gives: &[PayloadKind], takes: &[PayloadKind]) -> bool {
    gives.iter().any(|kind| takes.contains(kind))
}

/// `text`, `text or blob`.
fn kinds(kinds: &[PayloadKind]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
