//! Where everything goes: a pure function of the terminal's size and of what is to be shown.

use ratatui::layout::{Rect, Size};

/// The smallest terminal that anything is shown on.
pub(super) const LEAST: Size = Size { width: 40, height: 10 };

/// How much fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing: a sentence says so.
    TooSmall,
    /// From 40 columns: one figure of each stage.
    Single,
    /// From 60: two lines a stage.
    Cards,
    /// From 80: the table's main columns.
    Compact,
    /// From 100: more of them, and panels side by side.
    Wide,
    /// From 120: all.
    Full,
}

/// A panel that keys can go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Stages,
    Graph,
    Chart,
    Detail,
    Advisor,
    Events,
}

/// In the order in which a key goes through them.
pub(super) const PANES: [Pane; 6] = [Pane::Stages, Pane::Graph, Pane::Chart, Pane::Detail, Pane::Advisor, Pane::Events];

/// What decides besides the size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// How many stages are listed.
    pub(super) stages: usize,
    /// How many lines the graph wants; 0 where it is hidden.
    pub(super) graph: u16,
    /// The panel that has the whole body.
    pub(super) zoomed: Option<Pane>,
}

/// Where everything goes. A panel without a place is not drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) class: Class,
    pub(super) header: Rect,
    pub(super) footer: Rect,
    stages: Rect,
    graph: Rect,
    chart: Rect,
    detail: Rect,
    advisor: Rect,
    events: Rect,
}

impl Plan {
    /// A panel's place.
    pub(super) fn place(&self, pane: Pane) -> Option<Rect> {
        let place = match pane {
            Pane::Stages => self.stages,
            Pane::Graph => self.graph,
            Pane::Chart => self.chart,
            Pane::Detail => self.detail,
            Pane::Advisor => self.advisor,
            Pane::Events => self.events,
        };
        (place.height > 0).then_some(place)
    }
}

fn class(size: Size) -> Class {
    match size {
        Size { width, height } if width < LEAST.width || height < LEAST.height => Class::TooSmall,
        Size { width: 120.., .. } => Class::Full,
        Size { width: 100.., .. } => Class::Wide,
        Size { width: 80.., .. } => Class::Compact,
        Size { width: 60.., .. } => Class::Cards,
        _ => Class::Single,
    }
}

/// Divides the screen.
pub(super) fn layout(size: Size, shape: Shape) -> Plan {
    let class = class(size);
    let nothing = Rect::new(0, 0, size.width, 0);
    let mut plan = Plan {
        class,
        header: nothing,
        footer: nothing,
        stages: nothing,
        graph: nothing,
        chart: nothing,
        detail: nothing,
        advisor: nothing,
        events: nothing,
    };
    if class == Class::TooSmall {
        return plan;
    }
    let header = if class >= Class::Wide { 3 } else { 2 };
    plan.header = Rect::new(0, 0, size.width, header);
    plan.footer = Rect::new(0, size.height - 1, size.width, 1);
    let body = Rect::new(0, header, size.width, size.height - header - 1);
    match shape.zoomed {
        Some(pane) => *place_of(&mut plan, pane) = body,
        None => divide(&mut plan, body, shape),
    }
    plan
}

fn place_of(plan: &mut Plan, pane: Pane) -> &mut Rect {
    match pane {
        Pane::Stages => &mut plan.stages,
        Pane::Graph => &mut plan.graph,
        Pane::Chart => &mut plan.chart,
        Pane::Detail => &mut plan.detail,
        Pane::Advisor => &mut plan.advisor,
        Pane::Events => &mut plan.events,
    }
}

/// Heights: the stages first, up to three fifths; then what advises, tells, draws, in this order, each at its least; then
/// what is left to those that gain most by it.
fn divide(plan: &mut Plan, body: Rect, shape: Shape) {
    let mut left = body.height;
    let mut take = |wanted: u16, least: u16| {
        let taken = if left >= least { wanted.min(left) } else { 0 };
        left -= taken;
        taken
    };
    let lines = u16::try_from(shape.stages.max(1)).unwrap_or(u16::MAX);
    let wanted = match plan.class {
        Class::Cards => lines.saturating_mul(2).saturating_add(2),
        Class::Single => lines.saturating_add(2),
        _ => lines.saturating_add(3),
    };
    let most = (body.height * 3 / 5).max(6);
    let mut stages = take(wanted.min(most), 1);
    let wide = plan.class >= Class::Wide;
    let mut advisor = take(5, 5);
    let mut events = take(4, 4);
    let graph = if wide && shape.graph > 0 { take(shape.graph + 2, shape.graph + 2) } else { 0 };
    let mut chart = if wide { take(6, 6) } else { 0 };
    if wide && advisor > 0 {
        advisor += take(4, 1);
    }
    events += if events > 0 { take(2, 1) } else { 0 };
    chart += if chart > 0 { take(1, 1) } else { 0 };
    stages += take(wanted.saturating_sub(stages), 1);
    advisor += if advisor > 0 && !wide { take(4, 1) } else { 0 };
    chart += if chart > 0 { take(5, 1) } else { 0 };
    // Whatever is over goes to what is lowest: there is always more to tell.
    let rest = take(u16::MAX, 1);
    *(if events > 0 { &mut events } else { &mut stages }) += rest;

    let mut top = body.y;
    let mut next = |height: u16| {
        let place = Rect::new(body.x, top, body.width, height);
        top += height;
        place
    };
    plan.graph = next(graph);
    plan.stages = next(stages);
    plan.chart = next(chart);
    let lower = next(advisor);
    plan.events = next(events);
    plan.advisor = lower;
    if wide {
        let half = lower.width / 2;
        plan.detail = Rect { width: half, ..lower };
        plan.advisor = Rect { x: lower.x + half, width: lower.width - half, ..lower };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_nothing_is_left_over() {
        for width in 1..=200 {
            for height in 1..=80 {
                for stages in [0, 1, 7, 40] {
                    let plan = layout(Size { width, height }, Shape { stages, graph: 2, zoomed: None });
                    let places = PANES.iter().filter_map(|pane| plan.place(*pane));
                    let used: u32 = places.clone().map(Rect::area).sum();
                    let whole = u32::from(width) * u32::from(height);
                    if plan.class == Class::TooSmall {
                        assert_eq!(used, 0);
                        continue;
                    }
                    assert_eq!(used + plan.header.area() + plan.footer.area(), whole, "{width}x{height}, {stages}");
                    let screen = Rect::new(0, 0, width, height);
                    assert!(places.into_iter().all(|place| screen.union(place) == screen));
                }
            }
        }
    }

    #[test]
    fn sizes_of_the_drawings_hold_what_they_show() {
        let shape = Shape { stages: 7, graph: 2, zoomed: None };
        let plan = layout(Size { width: 120, height: 40 }, shape);
        let heights = PANES.map(|pane| plan.place(pane).map_or(0, |place| place.height));
        assert_eq!(heights, [10, 4, 7, 9, 9, 6]);
        let plan = layout(Size { width: 80, height: 24 }, shape);
        let heights = PANES.map(|pane| plan.place(pane).map_or(0, |place| place.height));
        assert_eq!(heights, [10, 0, 0, 0, 5, 6]);
    }
}
