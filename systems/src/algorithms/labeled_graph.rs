//! Graphs with labeled nodes and edges.

use rayon::iter::ParallelIterator;

use super::{ParallelGraph, SimpleGraph};

/// An undirected graph without self-loops and parallel edges, with a label for each node and each edge, such as the
/// atoms and bonds of a molecule. What has no label has [`NO_LABEL`](Self::NO_LABEL).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabeledGraph {
    graph: SimpleGraph,
    /// One for each node.
    labels: Vec<u32>,
    /// One for each edge, in the order of [`ParallelGraph::edges`].
    edge_labels: Vec<u32>,
}

impl LabeledGraph {
    /// The label of nodes and edges without a label: they are of one kind, which is not that of any label.
    pub const NO_LABEL: u32 = u32::MAX;

    /// The graph with a node for each of `labels`, and edges with their labels. Self-loops and edges with an endpoint
    /// that is no node are skipped; of several edges between two nodes the first is kept.
    ///
    /// ```
    /// use connectome_systems::algorithms::LabeledGraph;
    ///
    /// // Hydrogen cyanide: H - C # N.
    /// let cyanide = LabeledGraph::new(vec![1, 6, 7], [([0, 1], 1), ([1, 2], 3)]);
    /// assert_eq!(cyanide.labeled_edges().collect::<Vec<_>>(), [([0, 1], 1), ([1, 2], 3)]);
    /// ```
    pub fn new(labels: Vec<u32>, edges: impl IntoIterator<Item = ([u32; 2], u32)>) -> Self {
        let ascending = |([one, other], label): ([u32; 2], u32)| ([one.min(other), one.max(other)], label);
        let mut edges: Vec<([u32; 2], u32)> = edges.into_iter().map(ascending).collect();
        // Stable, so that the first of several edges stays the first.
        edges.sort_by_key(|(endpoints, _)| *endpoints);
        edges.dedup_by_key(|(endpoints, _)| *endpoints);
        edges.retain(|([one, other], _)| one != other && (*other as usize) < labels.len());
        let graph = SimpleGraph::new(labels.len(), edges.iter().map(|(endpoints, _)| *endpoints));
        Self { graph, labels, edge_labels: edges.into_iter().map(|(_, label)| label).collect() }
    }

    /// The [`SimpleGraph::of`] a graph, with these labels of its first nodes; other nodes and all edges have none.
    pub fn of(graph: &impl ParallelGraph, labels: Vec<u32>) -> Self {
        let graph = SimpleGraph::of(graph);
        let edge_labels = vec![Self::NO_LABEL; graph.edge_count()];
        Self { graph, labels: Vec::new(), edge_labels }.with_labels(labels)
    }

    /// Replaces the labels of nodes; nodes after the last of `labels` have none.
    pub fn with_labels(self, mut labels: Vec<u32>) -> Self {
        labels.resize(self.node_count(), Self::NO_LABEL);
        Self { labels, ..self }
    }

    /// Replaces each label of nodes and each label of edges.
    pub fn map_labels(mut self, nodes: impl FnMut(u32) -> u32, edges: impl FnMut(u32) -> u32) -> Self {
        self.labels = self.labels.into_iter().map(nodes).collect();
        self.edge_labels = self.edge_labels.into_iter().map(edges).collect();
        self
    }

    /// The graph of these nodes and the edges between them; its nodes are numbered in the order of `nodes`. Nodes that the
    /// graph does not have are skipped, and so are those that occur a second time.
    pub fn induced_subgraph(&self, nodes: &[u32]) -> Self {
        let mut number_of = vec![u32::MAX; self.node_count()];
        let mut labels = Vec::new();
        for node in nodes.iter().map(|node| *node as usize).filter(|node| *node < self.node_count()) {
            if number_of[node] == u32::MAX {
                number_of[node] = labels.len() as u32;
                labels.push(self.labels[node]);
            }
        }
        // `new` skips edges to nodes that have no number.
        let renumber = |(ends, label): ([u32; 2], u32)| (ends.map(|end| number_of[end as usize]), label);
        Self::new(labels, self.labeled_edges().map(renumber))
    }

    /// The graph without its labels.
    pub fn graph(&self) -> &SimpleGraph {
        &self.graph
    }

    /// The label of each node.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The label of each edge, in the order of [`Self::labeled_edges`].
    pub fn edge_labels(&self) -> &[u32] {
        &self.edge_labels
    }

    /// Each edge once, from the lower to the higher node, in ascending order, with its label.
    pub fn labeled_edges(&self) -> impl Iterator<Item = ([u32; 2], u32)> {
        self.graph.edges().zip(self.edge_labels.iter().copied())
    }
}

impl ParallelGraph for LabeledGraph {
    fn node_count(&self) -> usize {
        self.graph.node_count()
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.graph.edges()
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.graph.par_edges()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_edges_counts() {
        let edges = [([2, 1], 7), ([0, 0], 1), ([1, 2], 8), ([1, 0], 3), ([1, 3], 9)];
        let graph = LabeledGraph::new(vec![5, 6, 5], edges);
        assert_eq!(graph.labeled_edges().collect::<Vec<_>>(), [([0, 1], 3), ([1, 2], 7)]);
        assert_eq!((graph.node_count(), graph.labels()), (3, [5, 6, 5].as_slice()));
        let unlabeled = LabeledGraph::of(graph.graph(), vec![4]);
        let none = LabeledGraph::NO_LABEL;
        assert_eq!(unlabeled.labels(), [4, none, none]);
        assert_eq!(unlabeled.labeled_edges().collect::<Vec<_>>(), [([0, 1], none), ([1, 2], none)]);
        let mapped = graph.map_labels(|label| label + 1, |label| 2 * label);
        assert_eq!(mapped.induced_subgraph(&[2, 1, 9, 2]), LabeledGraph::new(vec![6, 7], [([0, 1], 14)]));
        assert_eq!(mapped.labels(), [6, 7, 6]);
        assert_eq!(mapped.labeled_edges().collect::<Vec<_>>(), [([0, 1], 6), ([1, 2], 14)]);
    }
}
