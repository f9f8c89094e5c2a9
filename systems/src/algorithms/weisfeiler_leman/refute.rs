//! Proofs that two graphs are not isomorphic.

use core::fmt;
use std::collections::BTreeMap;

use super::refiner::Refiner;
use crate::{
    algorithms::{LabeledGraph, ParallelGraph},
    parallel::Workers,
};

/// Why two graphs are not isomorphic: different counts in the first and the second graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The numbers of nodes.
    Nodes([usize; 2]),
    /// The numbers of edges.
    Edges([usize; 2]),
    /// The numbers of nodes with a label, the least one for which they differ.
    NodeLabel {
        /// The label.
        label: u32,
        /// The numbers of nodes with it.
        counts: [usize; 2],
    },
    /// The numbers of edges with a label, the least one for which they differ.
    EdgeLabel {
        /// The label.
        label: u32,
        /// The numbers of edges with it.
        counts: [usize; 2],
    },
    /// The numbers of nodes of a color after a round of color refinement. After one round, nodes of a color have the
    /// same label and neighbors of the same labels.
    NodeColor {
        /// The round, counted from 1.
        round: usize,
        /// The numbers of nodes of the color.
        counts: [usize; 2],
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NodeLabel { label: LabeledGraph::NO_LABEL, counts: [one, other] } => {
                write!(formatter, "they have {one} and {other} nodes without a label")
            }
            Self::EdgeLabel { label: LabeledGraph::NO_LABEL, counts: [one, other] } => {
                write!(formatter, "they have {one} and {other} edges without a label")
            }
            Self::Nodes([one, other]) => write!(formatter, "they have {one} and {other} nodes"),
            Self::Edges([one, other]) => write!(formatter, "they have {one} and {other} edges"),
            Self::NodeLabel { label, counts: [one, other] } => {
                write!(formatter, "they have {one} and {other} nodes with the label {label}")
            }
            Self::EdgeLabel { label, counts: [one, other] } => {
                write!(formatter, "they have {one} and {other} edges with the label {label}")
            }
            Self::NodeColor { round, counts: [one, other] } => {
                write!(
                    formatter,
                    "after round {round} of color refinement they have {one} and {other} nodes of a color"
                )
            }
        }
    }
}

/// Finds a difference between two graphs by counts and color refinement. None does not prove that they are isomorphic:
/// color refinement does not distinguish a ring of six nodes from two rings of three.
///
/// It finds one for almost all pairs of graphs that are not isomorphic (L. Babai, P. Erdős and S. M. Selkow, *Random
/// Graph Isomorphism*, SIAM Journal on Computing 9, 1980).
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, weisfeiler_leman::refute_isomorphism}};
///
/// let path = LabeledGraph::new(vec![0; 4], [([0, 1], 0), ([1, 2], 0), ([2, 3], 0)]);
/// let star = LabeledGraph::new(vec![0; 4], [([0, 1], 0), ([0, 2], 0), ([0, 3], 0)]);
/// let difference = refute_isomorphism(&path, &star, &Workers::single());
/// assert!(difference.is_some_and(|difference| difference.to_string().contains("round 1")));
/// ```
pub fn refute_isomorphism(one: &LabeledGraph, other: &LabeledGraph, workers: &Workers) -> Option<Difference> {
    let graphs = [one, other];
    let differ = |counts: [usize; 2]| counts[0] != counts[1];
    let nodes = graphs.map(|graph| graph.node_count());
    if differ(nodes) {
        return Some(Difference::Nodes(nodes));
    }
    let edges = graphs.map(|graph| graph.graph().edge_count());
    if differ(edges) {
        return Some(Difference::Edges(edges));
    }
    if let Some((label, counts)) = first_difference(graphs.map(|graph| graph.labels().iter().copied())) {
        return Some(Difference::NodeLabel { label, counts });
    }
    if let Some((label, counts)) = first_difference(graphs.map(|graph| graph.labeled_edges().map(|(_, label)| label))) {
        return Some(Difference::EdgeLabel { label, counts });
    }
    let mut refiner = Refiner::new(&graphs, workers);
    let mut round = 0;
    while refiner.step() {
        round += 1;
        for class in refiner.split_classes().iter().flat_map(|split| refiner.classes_within(split.clone())) {
            let members = refiner.nodes(class);
            let first = members.iter().filter(|node| (**node as usize) < nodes[0]).count();
            let counts = [first, members.len() - first];
            if differ(counts) {
                return Some(Difference::NodeColor { round, counts });
            }
        }
    }
    None
}

/// The least label whose counts differ, and the counts.
fn first_difference(labels: [impl Iterator<Item = u32>; 2]) -> Option<(u32, [usize; 2])> {
    let mut counts = BTreeMap::<u32, [usize; 2]>::new();
    for (side, labels) in labels.into_iter().enumerate() {
        labels.for_each(|label| counts.entry(label).or_default()[side] += 1);
    }
    counts.into_iter().find(|(_, [one, other])| one != other)
}
