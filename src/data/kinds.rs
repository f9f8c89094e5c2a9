//! Graphs with several kinds of nodes, and relations between them.

use connectome_systems::program::RowCounts;

use super::{DenseRows, GraphData};

/// The kinds of nodes of a graph that has several, and the relations along which they are connected.
///
/// The [`GraphData`] that it is a part of has the nodes of the kind that the task is about, and no edges of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphKinds {
    /// What the nodes of the graph itself are called.
    pub own: String,
    /// The other kinds.
    pub others: Vec<NodesOfKind>,
    /// The relations; no two of them, nor the reverse of one, have the same name.
    pub relations: Vec<RelationEdges>,
}

/// The nodes of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodesOfKind {
    /// What they are called.
    pub name: String,
    /// The nodes, with all that is known of them, as a graph without edges.
    pub nodes: GraphData,
}

/// Edges that all lead from nodes of one kind to nodes of one kind, maybe the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelationEdges {
    /// What they are called.
    pub name: String,
    /// The kinds of sources and of targets: 0 is the graph's own, 1 the first of the others.
    pub ends: [usize; 2],
    /// What the relation is called along which messages go back, from targets to sources, if they do.
    pub reverse: Option<String>,
    /// Source and target of each edge, by their numbers within their kinds.
    pub edges: Vec<[u32; 2]>,
    /// The weight of each edge; without it, all weigh 1.
    pub weights: Option<Vec<f32>>,
    /// One row for each edge.
    pub features: Option<DenseRows>,
}

impl GraphData {
    /// The nodes of the kind of this name; without a name, or without such a kind, those of the graph itself.
    pub fn of_kind(&self, name: Option<&str>) -> &Self {
        let others = self.kinds.iter().flat_map(|kinds| &kinds.others);
        let other = name.and_then(|name| others.into_iter().find(|other| other.name == name));
        other.map_or(self, |other| &other.nodes)
    }

    /// All kinds of nodes, that of the graph itself first.
    pub(crate) fn all_kinds(&self) -> impl Iterator<Item = &Self> {
        let others = self.kinds.iter().flat_map(|kinds| &kinds.others);
        std::iter::once(self).chain(others.map(|other| &other.nodes))
    }

    /// How many rows a model on this graph has.
    pub fn row_counts(&self) -> RowCounts {
        let subgraphs = self.graphs.as_ref().map_or(1, |graphs| graphs.len().max(1));
        let mut counts = RowCounts { nodes: self.nodes, edges: self.edges.len(), subgraphs, ..RowCounts::default() };
        let Some(kinds) = &self.kinds else { return counts };
        counts.kinds = kinds.others.iter().map(|other| other.nodes.nodes).collect();
        // Kinds in which no relation ends have a graph without edges, which comes before those of the relations.
        let homes = (1..=kinds.others.len()).filter(|kind| !kinds.relations.iter().any(|of| of.ends_in(*kind)));
        counts.graphs = homes.map(|_| 0).collect();
        let directions = |of: &RelationEdges| std::iter::repeat_n(of.edges.len(), of.directions());
        counts.graphs.extend(kinds.relations.iter().flat_map(directions));
        counts
    }
}

impl RelationEdges {
    /// In how many directions messages go along it.
    pub(crate) fn directions(&self) -> usize {
        1 + usize::from(self.reverse.is_some())
    }

    /// Whether messages along it reach this kind.
    pub(crate) fn ends_in(&self, kind: usize) -> bool {
        self.ends[1] == kind || self.reverse.is_some() && self.ends[0] == kind
    }

    /// The same without edges.
    pub(super) fn without_rows(&self) -> Self {
        Self {
            name: self.name.clone(),
            ends: self.ends,
            reverse: self.reverse.clone(),
            edges: Vec::new(),
            weights: self.weights.as_ref().map(|_| Vec::new()),
            features: self.features.as_ref().map(|rows| DenseRows { width: rows.width, values: Vec::new() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_a_model_has_them() {
        let kind = |name: &str, nodes| NodesOfKind {
            name: name.to_owned(),
            nodes: GraphData { nodes, ..GraphData::default() },
        };
        let relation = |ends, edges: usize, reverse: Option<&str>| RelationEdges {
            ends,
            edges: vec![[0, 0]; edges],
            reverse: reverse.map(str::to_owned),
            ..RelationEdges::default()
        };
        let relations = vec![relation([1, 0], 7, None), relation([2, 0], 5, Some("back"))];
        let kinds = GraphKinds { own: "own".to_owned(), others: vec![kind("a", 3), kind("b", 4)], relations };
        let data = GraphData { nodes: 2, kinds: Some(Box::new(kinds)), ..GraphData::default() };
        let counts = data.row_counts();
        assert_eq!((counts.nodes, counts.edges, counts.subgraphs), (2, 0, 1));
        assert_eq!(counts.kinds, [3, 4]);
        // A graph for `a`, which nothing ends in; the first relation; the second one in both directions.
        assert_eq!(counts.graphs, [0, 7, 5, 5]);
        assert_eq!([None, Some("a"), Some("own"), Some("b")].map(|name| data.of_kind(name).nodes), [2, 3, 2, 4]);
    }
}
