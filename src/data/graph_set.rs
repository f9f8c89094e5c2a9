//! Sets of graphs.

use std::ops::Range;

use connectome_components::Split;

use super::features::DenseRows;
use super::folds::stratified_folds;

/// Folds for data without any, as in the papers on graph classification.
const FOLDS: usize = 10;

/// The graphs of a [`GraphData`](super::GraphData), as ranges of its nodes and edges, with the data of each graph.
///
/// Nodes and edges are sorted by graph. Edges have the numbers of their nodes among all nodes, and none connects two
/// graphs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphSet {
    /// The start of the nodes of each graph, and the end of the last one: `[graphs + 1]`.
    pub node_offsets: Vec<usize>,
    /// The same for the edges.
    pub edge_offsets: Vec<usize>,
    /// The class of each graph, less than `classes`. That of a graph in no split is not read.
    pub labels: Vec<u32>,
    /// The largest label of a graph plus 1.
    pub classes: usize,
    /// The split of each graph.
    pub splits: Vec<Split>,
    /// The fold of each graph, counted from 0: for cross-validation, where each fold is held out once.
    pub folds: Option<Vec<u8>>,
    /// Values to predict, one row for each graph.
    pub targets: Option<DenseRows>,
}

impl GraphSet {
    /// Number of graphs.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no graph.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The nodes of a graph.
    pub fn nodes(&self, graph: usize) -> Range<usize> {
        self.node_offsets[graph]..self.node_offsets[graph + 1]
    }

    /// The edges of a graph.
    pub fn edges(&self, graph: usize) -> Range<usize> {
        self.edge_offsets[graph]..self.edge_offsets[graph + 1]
    }

    /// Number of graphs in `split`.
    pub fn count(&self, split: Split) -> usize {
        self.splits.iter().filter(|&&other| other == split).count()
    }

    /// The largest fold plus 1; 0 without folds.
    pub fn fold_count(&self) -> usize {
        self.folds.iter().flatten().map(|&fold| usize::from(fold) + 1).max().unwrap_or(0)
    }

    /// The splits of one round of cross-validation: the graphs of `fold` are for validation, all others for training.
    ///
    /// As in K. Xu et al., *How Powerful are Graph Neural Networks?*, ICLR 2019, there is no test split.
    pub fn hold_out(&self, fold: u8) -> Vec<Split> {
        let split = |other: u8| if other == fold { Split::Validation } else { Split::Train };
        match &self.folds {
            Some(folds) => folds.iter().map(|&other| split(other)).collect(),
            None => self.splits.clone(),
        }
    }

    /// The splits of one round of strict cross-validation: the graphs of `fold` are for test, those of the fold before it (before
    /// the first, the last) for validation, all others for training. So the graphs that choose an epoch are not those that it is
    /// measured on.
    pub fn hold_out_two(&self, fold: u8) -> Vec<Split> {
        let count = self.fold_count();
        let split = |other: u8| match usize::from(other) {
            _ if other == fold => Split::Test,
            other if (other + 1) % count == usize::from(fold) => Split::Validation,
            _ => Split::Train,
        };
        match &self.folds {
            Some(folds) => folds.iter().map(|&other| split(other)).collect(),
            None => self.splits.clone(),
        }
    }

    /// Makes folds if there are none; if no graph is in a split, takes the splits from the folds: fold 0 is for test,
    /// fold 1 for validation, as long as one is left for training.
    pub(crate) fn complete(&mut self, seed: u64) {
        if self.folds.is_none() {
            self.folds = Some(stratified_folds(&self.labels, self.len().min(FOLDS) as u8, seed));
        }
        if self.count(Split::Unused) < self.len() {
            return;
        }
        let last = self.fold_count().saturating_sub(1);
        let split = |fold: u8| match usize::from(fold) {
            fold if fold == last => Split::Train,
            0 => Split::Test,
            1 => Split::Validation,
            _ => Split::Train,
        };
        self.splits = self.folds.iter().flatten().map(|&fold| split(fold)).collect();
    }
}
