//! How a pipeline's graph lies on a few lines: a stage's column is its distance from the sources, its line is that of the
//! first stage before it which goes on with no other. Made once, since a graph does not change while it runs.

use crate::monitor::Snapshot;

/// Where each stage lies.
#[derive(Debug, Default)]
pub(super) struct GraphLayout {
    ids: Vec<String>,
    edges: usize,
    /// By stage: column and line.
    pub(super) places: Vec<(usize, usize)>,
    /// By edge: the stages that it joins.
    pub(super) joins: Vec<(usize, usize)>,
    pub(super) columns: usize,
    rows: usize,
}

impl GraphLayout {
    /// How many lines it takes: one more than stages lie on, for what is said below a stage.
    pub(super) fn lines(&self) -> u16 {
        u16::try_from(self.rows.max(1)).unwrap_or(u16::MAX).saturating_add(u16::from(self.rows <= 1)).min(6)
    }

    /// Lays a graph out, unless it is the one that was.
    pub(super) fn see(&mut self, snapshot: &Snapshot) {
        let same = self.edges == snapshot.edges.len()
            && self.ids.len() == snapshot.stages.len()
            && self.ids.iter().zip(&snapshot.stages).all(|(id, stage)| *id == stage.id);
        if !same {
            *self = Self::of(snapshot);
        }
    }

    fn of(snapshot: &Snapshot) -> Self {
        let ids: Vec<String> = snapshot.stages.iter().map(|stage| stage.id.clone()).collect();
        let at = |id: &str| ids.iter().position(|other| other == id);
        // Stages come in topological order: an edge that goes backwards is none.
        let joins: Vec<(usize, usize)> = snapshot
            .edges
            .iter()
            .filter_map(|edge| Some((at(&edge.from)?, at(&edge.to)?)))
            .filter(|(from, to)| from < to)
            .collect();
        let mut places = vec![(0, 0); ids.len()];
        let mut goes_on = vec![false; ids.len()];
        // The column up to which a line is taken.
        let mut taken: Vec<usize> = Vec::new();
        for stage in 0..ids.len() {
            let before = || joins.iter().filter(|(_, to)| *to == stage).map(|(from, _)| *from);
            let column = before().map(|from| places[from].0 + 1).max().unwrap_or(0);
            let own = before().filter(|from| !goes_on[*from]).min_by_key(|from| places[*from].1);
            let line = own.map(|from| places[from].1).filter(|line| taken[*line] <= column);
            let free = || taken.iter().position(|end| *end <= column.saturating_sub(1) && *end > 0 && column > 1);
            let line = line.or_else(free).unwrap_or(taken.len());
            if line == taken.len() {
                taken.push(0);
            }
            if let Some(from) = own {
                goes_on[from] = true;
            }
            taken[line] = column + 1;
            places[stage] = (column, line);
        }
        let columns = places.iter().map(|(column, _)| column + 1).max().unwrap_or(0);
        Self { ids, edges: snapshot.edges.len(), rows: taken.len(), places, joins, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{EdgeSnapshot, StageSnapshot};

    fn snapshot(stages: &[&str], edges: &[(&str, &str)]) -> Snapshot {
        let stage = |id: &&str| StageSnapshot { id: (*id).into(), ..StageSnapshot::default() };
        let edge = |(from, to): &(&str, &str)| EdgeSnapshot {
            from: (*from).into(),
            to: (*to).into(),
            ..EdgeSnapshot::default()
        };
        let (stages, edges) = (stages.iter().map(stage).collect(), edges.iter().map(edge).collect());
        Snapshot { stages, edges, ..Snapshot::default() }
    }

    #[test]
    fn a_fork_takes_a_line_of_its_own_and_meets_again() {
        let mut graph = GraphLayout::default();
        let edges =
            [("list", "chunk"), ("chunk", "summarize"), ("chunk", "embed"), ("summarize", "store"), ("embed", "store")];
        graph.see(&snapshot(&["list", "chunk", "summarize", "embed", "store"], &edges));
        assert_eq!(graph.places, [(0, 0), (1, 0), (2, 0), (2, 1), (3, 0)]);
        assert_eq!((graph.columns, graph.lines()), (4, 2));
        graph.see(&snapshot(&["a"], &[]));
        assert_eq!(graph.lines(), 2);
    }
}
