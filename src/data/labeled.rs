//! Labeled graphs as data to learn from.

use connectome_components::Split;
use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};

use super::{DenseRows, Features, GraphData, GraphSet};

impl GraphData {
    /// A set of labeled graphs, such as a batch out of a memory: the features of a node are the one-hot encoding of its label,
    /// and each edge leads in both directions, with its label as its only feature. All graphs are in the training split, and
    /// of class 0; replace the classes, or give targets, to learn something of the graphs.
    ///
    /// What has no label gets the number after the largest one, if others of its kind have labels. Labels of edges above
    /// 2^24 are rounded.
    ///
    /// ```
    /// use connectome::{data::GraphData, import::labeled, systems::algorithms::LabeledGraph};
    ///
    /// let graphs = [LabeledGraph::new(vec![1, 6, 7], [([0, 1], 1), ([1, 2], 3)]), LabeledGraph::new(vec![8], [])];
    /// let data = GraphData::from_labeled(&graphs);
    /// assert_eq!(data.edges, [[0, 1], [1, 0], [1, 2], [2, 1]]);
    /// assert_eq!(labeled(&data).graphs, graphs);
    /// ```
    pub fn from_labeled(graphs: &[LabeledGraph]) -> Self {
        let nodes = LabelIndices::of(graphs.iter().flat_map(|graph| graph.labels().iter().copied()));
        let edges = LabelIndices::of(graphs.iter().flat_map(|graph| graph.labeled_edges().map(|(_, label)| label)));
        let mut data = Self { nodes: 0, ..Self::default() };
        let mut set = GraphSet { node_offsets: vec![0], edge_offsets: vec![0], classes: 1, ..GraphSet::default() };
        let mut values = Vec::new();
        for graph in graphs {
            let first = data.nodes as u32;
            for ([one, other], label) in graph.labeled_edges() {
                let [one, other] = [first + one, first + other];
                data.edges.extend([[one, other], [other, one]]);
                values.extend([edges.number(label) as f32; 2]);
            }
            data.labels.extend(graph.labels().iter().map(|label| nodes.number(*label)));
            data.nodes += graph.node_count();
            set.node_offsets.push(data.nodes);
            set.edge_offsets.push(data.edges.len());
        }
        set.labels = vec![0; graphs.len()];
        set.splits = vec![Split::Train; graphs.len()];
        data.classes = data.labels.iter().max().map_or(0, |label| *label as usize + 1);
        data.features = Features::one_hot(data.labels.clone(), data.classes);
        data.splits = vec![Split::Train; data.nodes];
        data.edge_features = edges.largest.map(|_| DenseRows { width: 1, values });
        data.graphs = Some(set);
        data
    }
}

/// The indices of labels.
struct LabelIndices {
    /// None if nothing has a label.
    largest: Option<u32>,
}

impl LabelIndices {
    fn of(labels: impl Iterator<Item = u32>) -> Self {
        Self { largest: labels.filter(|label| *label != LabeledGraph::NO_LABEL).max() }
    }

    fn number(&self, label: u32) -> u32 {
        if label == LabeledGraph::NO_LABEL { self.largest.map_or(0, |largest| largest + 1) } else { label }
    }
}
