//! Graph edit distance: the minimum cost of edit operations that transform one labeled graph into another.
//!
//! First bounds: the cost of an assignment of nodes by their labels and incident edges is a lower bound (`state`,
//! `assignment`), and the cost of its edit path an upper bound (K. Riesen and H. Bunke, *Approximate Graph Edit
//! Distance Computation by Means of Bipartite Graph Matching*, Image and Vision Computing 27, 2009), which a local
//! search improves (`refine`). If they differ, depth-first branch and bound fixes nodes one by one (`search`): fixed
//! nodes tighten the bound of the rest, and each state of the search evaluates its assignment as a solution. Depth
//! first needs little memory and can be stopped at any time. On molecules it expands a third more states than those
//! whose bounds are below the distance, which A* has to expand as well. `rounds` distributes the tree over workers.

mod assignment;
mod costs;
mod path;
mod problem;
mod refine;
mod rounds;
mod search;
mod state;
mod twins;
mod world;

use std::time::Duration;

pub use costs::{EditCosts, EditError, OperationCosts};
pub use path::{EditOperation, edit_path};
pub use world::{Compared, compare_graphs, labeled_graph, update_edit_distances};

use problem::Problem;

use super::LabeledGraph;
use crate::parallel::Workers;

/// Costs in multiples of [`EditCosts::unit`].
type Units = i64;

/// The maximum number of nodes of a graph: the costs of all pairs of nodes are in memory.
pub const MAX_NODES: usize = 2_000;

/// The maximum number of edge labels in two graphs.
pub const MAX_EDGE_LABELS: usize = 1_000;

/// The budget of a search for an edit distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchBudget {
    /// The maximum number of expanded states of the search tree; unlimited if none. With 0 only the bounds at the root
    /// are computed. The results are the same for any number of workers.
    pub expansions: Option<u64>,
    /// The time limit; results of a search that reached it are not deterministic.
    pub time: Option<Duration>,
}

impl SearchBudget {
    /// Search until the distance is exact.
    pub const EXACT: Self = Self { expansions: None, time: None };

    /// Bounds only, in polynomial time.
    pub const BOUNDS: Self = Self { expansions: Some(0), time: None };
}

/// The result of the comparison of two graphs.
#[derive(Clone, Debug, PartialEq)]
pub struct EditComparison {
    /// A lower bound on the distance.
    pub lower: f64,
    /// An upper bound on the distance: the cost of the edit path of `mapping`.
    pub upper: f64,
    /// For each node of the first graph the node of the second that it is mapped to; none if it is deleted. Nodes of
    /// the second graph that do not occur are inserted.
    pub mapping: Vec<Option<u32>>,
    /// The number of expanded states of the search tree.
    pub expansions: u64,
    /// Why the search stopped before the distance was exact.
    pub stop_reason: Option<StopReason>,
}

/// Why a search stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The budget of expansions was used up.
    Expansions,
    /// The time limit was reached.
    Time,
    /// The graphs are too large to search, the smaller one of about 200 nodes or more; only bounds were computed.
    Size,
}

impl EditComparison {
    /// The distance, if the bounds are equal.
    pub fn distance(&self) -> Option<f64> {
        (self.lower == self.upper).then_some(self.upper)
    }
}

/// Compares two graphs: exactly if the budget allows, otherwise by a lower and an upper bound.
///
/// The distance is the cost of the cheapest edit path. Edges are mapped by their endpoints, and substituting an edge
/// never costs more than deleting it and inserting the other. The result is the same for any number of workers.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, edit_distance::{EditCosts, SearchBudget, EditError, edit_distance}}};
///
/// let path = LabeledGraph::new(vec![0, 0, 0, 0], [([0, 1], 0), ([1, 2], 0), ([2, 3], 0)]);
/// let star = LabeledGraph::new(vec![0, 0, 0, 1], [([0, 1], 0), ([0, 2], 0), ([0, 3], 0)]);
/// let found = edit_distance(&path, &star, &EditCosts::default(), SearchBudget::EXACT, &Workers::single())?;
/// // An edge is moved (deleted and inserted), and a node is relabeled.
/// assert_eq!(found.distance(), Some(3.0));
/// # Ok::<(), EditError>(())
/// ```
///
/// # Errors
/// If a graph is too large, a label has no costs, or there are too many edge labels.
pub fn edit_distance(
    first: &LabeledGraph,
    second: &LabeledGraph,
    costs: &EditCosts,
    budget: SearchBudget,
    workers: &Workers,
) -> Result<EditComparison, EditError> {
    let problem = Problem::new(first, second, costs)?;
    Ok(rounds::solve(&problem, costs.unit(), budget, workers))
}

/// Compares one graph with many, in parallel; the budget is per pair.
///
/// # Errors
/// As [`edit_distance`], of the first pair that cannot be compared.
pub fn edit_distances(
    first: &LabeledGraph,
    others: &[LabeledGraph],
    costs: &EditCosts,
    budget: SearchBudget,
    workers: &Workers,
) -> Result<Vec<EditComparison>, EditError> {
    compare_pairs(others.len(), |other| [first, &others[other]], costs, budget, workers)
}

/// Compares each graph with all after it, in parallel; the budget is per pair. The pairs are in the order 0 and 1, 0
/// and 2, and so on.
///
/// # Errors
/// As [`edit_distance`], of the first pair that cannot be compared.
pub fn pairwise_edit_distances(
    graphs: &[LabeledGraph],
    costs: &EditCosts,
    budget: SearchBudget,
    workers: &Workers,
) -> Result<Vec<EditComparison>, EditError> {
    let of_one = |one: usize| (one + 1..graphs.len()).map(move |other| [one, other]);
    let pairs: Vec<[usize; 2]> = (0..graphs.len()).flat_map(of_one).collect();
    compare_pairs(pairs.len(), |pair| pairs[pair].map(|graph| &graphs[graph]), costs, budget, workers)
}

fn compare_pairs<'a>(
    count: usize,
    pair: impl Fn(usize) -> [&'a LabeledGraph; 2] + Sync,
    costs: &EditCosts,
    budget: SearchBudget,
    workers: &Workers,
) -> Result<Vec<EditComparison>, EditError> {
    let one = Workers::single();
    // A single pair is searched by all workers; several pairs by one each.
    let of_each = if count == 1 { workers } else { &one };
    let compare = |index| {
        let [first, second] = pair(index);
        edit_distance(first, second, costs, budget, of_each)
    };
    workers.map(count, compare).into_iter().collect()
}
