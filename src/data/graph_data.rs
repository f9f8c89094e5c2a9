//! Loaded graphs as plain data.

use std::{borrow::Cow, sync::Arc};

use connectome_components::Split;
use connectome_systems::algorithms::ParallelGraph;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::features::{DenseRows, Features};
use super::graph_set::GraphSet;
use super::kinds::{GraphKinds, NodesOfKind, RelationEdges};
use super::labels::EdgeLabels;
use super::misuse::MisuseData;
use super::rewriting::RewriteData;

/// A graph, or a set of graphs laid side by side, as plain data, checked: every index is in range and every number
/// finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphData {
    /// How many nodes there are; they are numbered from 0.
    pub nodes: usize,
    /// One row for each node.
    pub features: Features,
    /// The class of each node, less than `classes`. That of a node in no split may mean nothing.
    pub labels: Vec<u32>,
    /// The part of the data each node belongs to; in a set of graphs it is the graphs that belong to a part.
    pub splits: Vec<Split>,
    /// All splits of the nodes, or of the graphs of a set, where the data come with several: one for each repetition of an
    /// experiment. `splits` is one of them.
    pub alternative_splits: Vec<Vec<Split>>,
    /// The largest label of a node plus 1.
    pub classes: usize,
    /// What the classes of the nodes, or of the graphs of a set, are called; empty if they have only numbers.
    pub class_names: Vec<String>,
    /// Source and target of each edge, in the order of the file.
    pub edges: Vec<[u32; 2]>,
    /// The weight of each edge; without it, all weigh 1.
    pub weights: Option<Vec<f32>>,
    /// One row for each edge.
    pub edge_features: Option<DenseRows>,
    /// What is to be predicted of the edges.
    pub edge_labels: Option<EdgeLabels>,
    /// Values to predict, one row for each node.
    pub targets: Option<DenseRows>,
    /// The name of each node; empty if the nodes have only numbers.
    pub names: Vec<String>,
    /// How nodes and edges part into graphs; without it, all are one graph.
    pub graphs: Option<GraphSet>,
    /// The other kinds of nodes and all edges, if there are several kinds of nodes or of edges.
    pub kinds: Option<Box<GraphKinds>>,
    /// What the graphs are to be rewritten to; `targets` are their slots then.
    pub rewriting: Option<Arc<RewriteData>>,
    /// What is to be chosen in functions where a variable may be misused; `targets` are the right answers then.
    pub misuse: Option<Arc<MisuseData>>,
}

/// The data do not come with so many splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no split {number}; the data come with {count}, counted from 0")]
pub struct NoSplitError {
    /// The split that was asked for.
    pub number: usize,
    /// How many there are.
    pub count: usize,
}

impl GraphData {
    /// A graph of the same kind, with features of the same widths, that has no nodes yet. Sparse features keep a row as long as
    /// the longest, for models have room for it.
    pub fn without_rows(&self) -> Self {
        let empty =
            |rows: &Option<DenseRows>| rows.as_ref().map(|rows| DenseRows { width: rows.width, values: Vec::new() });
        let features = match &self.features {
            Features::Dense { width, .. } => Features::Dense { width: *width, values: Vec::new() },
            Features::Sparse { width, offsets, .. } => {
                let longest = offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
                let (indices, values) = (vec![0; longest], vec![0.0; longest]);
                Features::Sparse { width: *width, offsets: vec![0, longest], indices, values }
            }
        };
        let graphs = self.graphs.as_ref().map(|graphs| GraphSet {
            node_offsets: vec![0],
            edge_offsets: vec![0],
            classes: graphs.classes,
            targets: empty(&graphs.targets),
            ..GraphSet::default()
        });
        Self {
            features,
            classes: self.classes,
            weights: self.weights.as_ref().map(|_| Vec::new()),
            edge_features: empty(&self.edge_features),
            edge_labels: self.edge_labels.as_ref().map(|edges| EdgeLabels {
                classes: edges.classes,
                targets: empty(&edges.targets),
                ..EdgeLabels::default()
            }),
            targets: empty(&self.targets),
            graphs,
            kinds: self.kinds.as_ref().map(|kinds| {
                let others = kinds.others.iter();
                Box::new(GraphKinds {
                    own: kinds.own.clone(),
                    others: others
                        .map(|NodesOfKind { name, nodes }| NodesOfKind {
                            name: name.clone(),
                            nodes: nodes.without_rows(),
                        })
                        .collect(),
                    relations: kinds.relations.iter().map(RelationEdges::without_rows).collect(),
                })
            }),
            rewriting: self.rewriting.clone(),
            misuse: self.misuse.clone(),
            ..Self::default()
        }
    }

    /// How many splits of its nodes or graphs the data come with.
    pub fn split_count(&self) -> usize {
        self.alternative_splits.len().max(1)
    }

    /// Takes one of the [splits](Self::alternative_splits) that the data come with, counted from 0; the same of the other kinds
    /// of nodes, where they have it.
    ///
    /// # Errors
    ///
    /// If there are not so many.
    pub fn choose_split(&mut self, number: usize) -> Result<(), NoSplitError> {
        let count = self.split_count();
        if number >= count {
            return Err(NoSplitError { number, count });
        }
        if let Some(splits) = self.alternative_splits.get(number) {
            self.graphs.as_mut().map_or(&mut self.splits, |graphs| &mut graphs.splits).clone_from(splits);
        }
        for other in self.kinds.iter_mut().flat_map(|kinds| &mut kinds.others) {
            if let Some(splits) = other.nodes.alternative_splits.get(number) {
                other.nodes.splits.clone_from(splits);
            }
        }
        Ok(())
    }

    /// How many nodes belong to `split`.
    pub fn count(&self, split: Split) -> usize {
        self.splits.iter().filter(|&&other| other == split).count()
    }

    /// How many edges enter each node.
    pub fn degrees(&self) -> Vec<u32> {
        let mut degrees = vec![0; self.nodes];
        for &[_, target] in &self.edges {
            degrees[target as usize] += 1;
        }
        degrees
    }
}

impl ParallelGraph for GraphData {
    fn node_count(&self) -> usize {
        self.nodes
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.edges.iter().copied()
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.edges.par_iter().copied()
    }
}

impl From<GraphData> for Cow<'_, GraphData> {
    fn from(data: GraphData) -> Self {
        Self::Owned(data)
    }
}

impl<'a> From<&'a GraphData> for Cow<'a, GraphData> {
    fn from(data: &'a GraphData) -> Self {
        Self::Borrowed(data)
    }
}
