//! Colors of graphs.

use core::borrow::Borrow;

use super::refiner::Refiner;
use crate::{algorithms::LabeledGraph, parallel::Workers};

/// What color refinement has told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColorRefinement {
    /// For each graph the color of each of its nodes, counted from 0. The same color means the same in all graphs.
    pub colors: Vec<Vec<u32>>,
    /// How many colors there are.
    pub count: usize,
    /// How many rounds told nodes apart.
    pub rounds: usize,
    /// Whether a further round would tell no more nodes apart.
    pub is_stable: bool,
}

/// Colors the nodes of graphs alike, until a round tells no more of them apart or `most_rounds` have passed.
///
/// The graphs have less than 2^32 nodes together. A round takes time in proportion to the nodes that may still be told
/// apart and their edges, times the logarithm of their number.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, weisfeiler_leman::refine}};
///
/// let path = LabeledGraph::new(vec![0; 3], [([0, 1], 0), ([1, 2], 0)]);
/// let pair = LabeledGraph::new(vec![0; 2], [([0, 1], 0)]);
/// let refinement = refine(&[path, pair], None, &Workers::single());
/// let [path, pair] = &refinement.colors[..] else { unreachable!() };
/// assert_eq!(path[0], path[2]);
/// assert_ne!(path[0], path[1]);
/// // The neighbor of an end of the path has two neighbors, that of an end of the pair has one.
/// assert_ne!(path[0], pair[0]);
/// assert_eq!((refinement.count, refinement.rounds, refinement.is_stable), (3, 2, true));
/// ```
pub fn refine(graphs: &[impl Borrow<LabeledGraph>], most_rounds: Option<usize>, workers: &Workers) -> ColorRefinement {
    let mut refiner = Refiner::new(graphs, workers);
    let (mut rounds, mut is_stable) = (0, false);
    while !is_stable && most_rounds.is_none_or(|most| rounds < most) {
        is_stable = !refiner.step();
        rounds += usize::from(!is_stable);
    }
    let colors = refiner.colors();
    let part = |range: &[usize]| colors[range[0]..range[1]].to_vec();
    ColorRefinement {
        colors: refiner.graph.starts.windows(2).map(part).collect(),
        count: refiner.classes().count(),
        rounds,
        is_stable,
    }
}
