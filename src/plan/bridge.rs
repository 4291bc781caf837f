//! Finds the kinds of stage that are missing between two ends, from what they take and give unless told otherwise: a
//! kind that can be told to take and give anything would be proposed for every gap.

use std::collections::VecDeque;

use docmill_api::{PayloadKind, Ports, Registry, defaults};

use super::graph::meet;
use super::{Role, fields, settings};

/// What would make an edge fit.
pub(super) enum Bridge {
    /// One stage of any of these kinds.
    One(Vec<&'static str>),
    /// A chain of stages, upstream first.
    Several(Vec<&'static str>),
    /// Nothing that is known.
    None,
}

/// The shortest way from what one stage gives to what another takes.
pub(super) fn between(registry: &Registry, gives: &[PayloadKind], takes: &[PayloadKind]) -> Bridge {
    let usual = |kind| registry.get(kind).map(|factory| (kind, factory.ports(&defaults(&factory.spec().fields))));
    let all: Vec<(&'static str, Ports)> = registry.kinds().filter_map(usual).collect();
    let fits = |ports: &Ports| meet(gives, &ports.takes) && meet(&ports.gives, takes);
    let direct: Vec<&'static str> = all.iter().filter(|(_, ports)| fits(ports)).map(|(kind, _)| *kind).collect();
    if !direct.is_empty() {
        return Bridge::One(direct);
    }
    let mut queue: VecDeque<(Vec<&'static str>, &[PayloadKind])> = VecDeque::from([(Vec::new(), gives)]);
    let mut seen: Vec<&'static str> = Vec::new();
    while let Some((chain, reached)) = queue.pop_front() {
        for (kind, ports) in &all {
            if seen.contains(kind) || !meet(reached, &ports.takes) {
                continue;
            }
            seen.push(kind);
            let longer: Vec<&'static str> = chain.iter().copied().chain([*kind]).collect();
            if meet(&ports.gives, takes) {
                return Bridge::Several(longer);
            }
            queue.push_back((longer, ports.gives.as_slice()));
        }
    }
    Bridge::None
}

/// The kinds of a role as a complaint lists them.
pub(super) fn of_role(registry: &Registry, role: Role) -> Option<String> {
    let of_role = |kind: &&'static str| registry.get(kind).is_some_and(|one| settings::role(&one.spec()) == role);
    let kinds: Vec<&'static str> = registry.kinds().filter(of_role).collect();
    (!kinds.is_empty()).then(|| fields::list(&kinds, " or "))
}
