//! Colours of graphs.

use core::borrow::Borrow;

use super::refiner::Refiner;
use crate::{Workers, algorithms::LabelledGraph};

/// What colour refinement has told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColourRefinement {
    /// For each graph the colour of each of its nodes, counted from 0. The same colour means the same in all graphs.
    pub colours: Vec<Vec<u32>>,
    /// How many colours there are.
    pub count: usize,
    /// How many rounds told nodes apart.
    pub rounds: usize,
    /// Whether a further round would tell no more nodes apart.
    pub is_stable: bool,
}

/// Colours the nodes of graphs alike, until a round tells no more of them apart or `most_rounds` have passed.
///
/// The graphs have less than 2^32 nodes together. A round takes time in proportion to the nodes that may still be told
/// apart and their edges, times the logarithm of their number.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabelledGraph, weisfeiler_leman::refine}};
///
/// let path = LabelledGraph::new(vec![0; 3], [([0, 1], 0), ([1, 2], 0)]);
/// let pair = LabelledGraph::new(vec![0; 2], [([0, 1], 0)]);
/// let refinement = refine(&[path, pair], None, &Workers::one());
/// let [path, pair] = &refinement.colours[..] else { unreachable!() };
/// assert_eq!(path[0], path[2]);
/// assert_ne!(path[0], path[1]);
/// // The neighbour of an end of the path has two neighbours, that of an end of the pair has one.
/// assert_ne!(path[0], pair[0]);
/// assert_eq!((refinement.count, refinement.rounds, refinement.is_stable), (3, 2, true));
/// ```
pub fn refine(
    graphs: &[impl Borrow<LabelledGraph>],
    most_rounds: Option<usize>,
    workers: &Workers,
) -> ColourRefinement {
    let mut refiner = Refiner::new(graphs, workers);
    let (mut rounds, mut is_stable) = (0, false);
    while !is_stable && most_rounds.is_none_or(|most| rounds < most) {
        is_stable = !refiner.step();
        rounds += usize::from(!is_stable);
    }
    let colours = refiner.colours();
    let part = |range: &[usize]| colours[range[0]..range[1]].to_vec();
    ColourRefinement {
        colours: refiner.graph.starts.windows(2).map(part).collect(),
        count: refiner.classes().count(),
        rounds,
        is_stable,
    }
}
