//! Color refinement of graphs.

use core::borrow::Borrow;

use super::refiner::Refiner;
use crate::{algorithms::LabeledGraph, parallel::Workers};

/// The result of color refinement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColorRefinement {
    /// For each graph the color of each of its nodes, counted from 0. Colors are comparable between the graphs.
    pub colors: Vec<Vec<u32>>,
    /// Number of colors.
    pub count: usize,
    /// Number of rounds that split a color.
    pub rounds: usize,
    /// Whether no further round would split a color.
    pub is_stable: bool,
}

/// Refines the colors of the nodes of several graphs until they are stable, for at most `max_rounds` rounds.
///
/// The graphs have fewer than 2^32 nodes together. The cost of a round is proportional to the nodes whose color may
/// still be split and their edges, times the logarithm of their number.
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
pub fn refine(graphs: &[impl Borrow<LabeledGraph>], max_rounds: Option<usize>, workers: &Workers) -> ColorRefinement {
    let mut refiner = Refiner::new(graphs, workers);
    let (mut rounds, mut is_stable) = (0, false);
    while !is_stable && max_rounds.is_none_or(|max| rounds < max) {
        is_stable = !refiner.step();
        rounds += usize::from(!is_stable);
    }
    let colors = refiner.colors();
    let of_graph = |range: &[usize]| colors[range[0]..range[1]].to_vec();
    ColorRefinement {
        colors: refiner.graph.starts.windows(2).map(of_graph).collect(),
        count: refiner.classes().count(),
        rounds,
        is_stable,
    }
}
