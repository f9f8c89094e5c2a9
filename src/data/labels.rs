//! What is known of the rows of a graph for a model to predict.

use connectome_components::Split;

use super::{DenseRows, GraphData};

/// What a model may predict something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The nodes.
    Nodes,
    /// The edges.
    Edges,
    /// The graphs of a set.
    Graphs,
}

impl RowKind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Nodes, Self::Edges, Self::Graphs];

    /// One of them, in words.
    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::Edges => "edge",
            Self::Graphs => "graph",
        }
    }

    /// Several of them, in words.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Edges => "edges",
            Self::Graphs => "graphs",
        }
    }
}

/// What is to be predicted of edges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeLabels {
    /// The class of each edge, less than `classes`. That of an edge in no split may mean nothing.
    pub labels: Vec<u32>,
    /// The largest label of an edge plus 1.
    pub classes: usize,
    /// Values to predict, one row for each edge.
    pub targets: Option<DenseRows>,
    /// The split of each edge; in a set of graphs it is the graphs that are split.
    pub splits: Vec<Split>,
}

impl EdgeLabels {
    /// Those of some of the edges, in that order.
    pub(crate) fn select(&self, edges: impl Iterator<Item = usize> + Clone) -> Self {
        Self {
            labels: edges.clone().map(|edge| self.labels[edge]).collect(),
            classes: self.classes,
            targets: self.targets.as_ref().map(|targets| targets.select(edges.clone())),
            splits: edges.map(|edge| self.splits[edge]).collect(),
        }
    }
}

/// What is known of the nodes, the edges or the graphs of some data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels<'a> {
    pub labels: &'a [u32],
    pub classes: usize,
    pub targets: Option<&'a DenseRows>,
}

impl GraphData {
    /// What is known of its nodes, edges or graphs; none if there is nothing about them.
    pub(crate) fn labels_of(&self, rows: RowKind) -> Option<Labels<'_>> {
        let (labels, classes, targets) = match rows {
            RowKind::Nodes => (&self.labels, self.classes, &self.targets),
            RowKind::Edges => {
                let edges = self.edge_labels.as_ref()?;
                (&edges.labels, edges.classes, &edges.targets)
            }
            RowKind::Graphs => {
                let graphs = self.graphs.as_ref()?;
                (&graphs.labels, graphs.classes, &graphs.targets)
            }
        };
        Some(Labels { labels, classes, targets: targets.as_ref() })
    }

    /// The split of each row. The nodes and edges of a set belong to the split of their graph.
    pub fn splits_of(&self, rows: RowKind) -> Vec<Split> {
        let Some(set) = &self.graphs else {
            return match rows {
                RowKind::Nodes => self.splits.clone(),
                RowKind::Edges => self.edge_labels.as_ref().map_or(Vec::new(), |edges| edges.splits.clone()),
                RowKind::Graphs => Vec::new(),
            };
        };
        let size = |graph| match rows {
            RowKind::Nodes => set.nodes(graph).len(),
            RowKind::Edges => set.edges(graph).len(),
            RowKind::Graphs => 1,
        };
        let graphs = set.splits.iter().enumerate();
        graphs.flat_map(|(graph, split)| std::iter::repeat_n(*split, size(graph))).collect()
    }
}
