//! Graphs whose nodes and edges are of kinds.

use rayon::iter::ParallelIterator;

use super::{ParallelGraph, SimpleGraph};

/// An undirected graph without self-loops and parallel edges, with a label for each node and for each edge: a molecule
/// with its atoms and bonds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabeledGraph {
    graph: SimpleGraph,
    /// One for each node.
    labels: Vec<u32>,
    /// One for each edge, in the order of [`ParallelGraph::edges`].
    edge_labels: Vec<u32>,
}

impl LabeledGraph {
    /// The graph with a node for each of `labels`, and edges with their labels. Self-loops and edges with an end that is
    /// no node are passed over; of several edges between two nodes the first counts.
    ///
    /// ```
    /// use connectome_systems::algorithms::LabeledGraph;
    ///
    /// // Hydrogen cyanide: H - C # N.
    /// let cyanide = LabeledGraph::new(vec![1, 6, 7], [([0, 1], 1), ([1, 2], 3)]);
    /// assert_eq!(cyanide.labeled_edges().collect::<Vec<_>>(), [([0, 1], 1), ([1, 2], 3)]);
    /// ```
    pub fn new(labels: Vec<u32>, edges: impl IntoIterator<Item = ([u32; 2], u32)>) -> Self {
        let rising = |([one, other], label): ([u32; 2], u32)| ([one.min(other), one.max(other)], label);
        let mut edges: Vec<([u32; 2], u32)> = edges.into_iter().map(rising).collect();
        // Stable, so that the first of several edges stays the first.
        edges.sort_by_key(|(endpoints, _)| *endpoints);
        edges.dedup_by_key(|(endpoints, _)| *endpoints);
        edges.retain(|([one, other], _)| one != other && (*other as usize) < labels.len());
        let graph = SimpleGraph::new(labels.len(), edges.iter().map(|(endpoints, _)| *endpoints));
        Self { graph, labels, edge_labels: edges.into_iter().map(|(_, label)| label).collect() }
    }

    /// A graph with labels for its nodes, as [`SimpleGraph::of`] sees it; its edges are all of kind 0. Nodes for which
    /// there is no label get 0.
    pub fn of(graph: &impl ParallelGraph, labels: Vec<u32>) -> Self {
        let graph = SimpleGraph::of(graph);
        let edge_labels = vec![0; graph.edge_count()];
        Self { graph, labels: Vec::new(), edge_labels }.with_labels(labels)
    }

    /// The same nodes and edges with other labels of the nodes. Nodes for which there is none get 0.
    pub fn with_labels(self, mut labels: Vec<u32>) -> Self {
        labels.resize(self.node_count(), 0);
        Self { labels, ..self }
    }

    /// Who is joined to whom.
    pub fn graph(&self) -> &SimpleGraph {
        &self.graph
    }

    /// The label of each node.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Each edge once, from its lower end, in rising order, with its label.
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
        assert_eq!(unlabeled.labels(), [4, 0, 0]);
        assert_eq!(unlabeled.labeled_edges().collect::<Vec<_>>(), [([0, 1], 0), ([1, 2], 0)]);
    }
}
