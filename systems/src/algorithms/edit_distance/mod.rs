//! Graph edit distance: what it costs at least to make one labeled graph into another.
//!
//! Bounds first: an assignment of nodes to nodes by their labels and the edges around them, whose sum is a bound from below
//! (`state`, `assignment`) and whose edit path one from above (K. Riesen and H. Bunke, *Approximate Graph Edit Distance
//! Computation by Means of Bipartite Graph Matching*, Image and Vision Computing 27, 2009), which a local search lowers
//! (`refine`). Where they do not meet, nodes are decided one by one, depth first (`search`): what is decided makes the
//! bounds of the rest sharper, and each state of the search tries its assignment as a solution. Depth first needs little
//! memory and can be halted at any time. On molecules it looks at a third more states than those whose bounds are below
//! the distance, which A* could not do without either. `rounds` shares the tree among workers.

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
pub use world::{Compared, compare_graphs, update_edit_distances};

use problem::Problem;

use super::LabeledGraph;
use crate::parallel::Workers;

/// Costs in whole units.
type Units = i64;

/// The most nodes of a graph that is compared: the costs of all pairs of nodes stand in memory.
pub const MAX_NODES: usize = 2_000;

/// The most kinds of edges in two graphs that are compared.
pub const MAX_EDGE_LABELS: usize = 1_000;

/// How far to search for an edit distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchBudget {
    /// How many nodes of the search tree to look at; until the distance is exact if not given. With 0 only the bounds at the
    /// root are taken. The results are the same for any number of workers.
    pub expansions: Option<u64>,
    /// How long to search; results that were cut by time may differ from run to run.
    pub time: Option<Duration>,
}

impl SearchBudget {
    /// Until the distance is exact.
    pub const EXACT: Self = Self { expansions: None, time: None };

    /// Bounds alone, which take polynomial time.
    pub const BOUNDS: Self = Self { expansions: Some(0), time: None };
}

/// What the comparison of two graphs came to.
#[derive(Clone, Debug, PartialEq)]
pub struct EditComparison {
    /// The distance is no less.
    pub lower: f64,
    /// The distance is no more: the cost of the edit path of `mapping`.
    pub upper: f64,
    /// For each node of the first graph the node of the second that it becomes; none if it is deleted. Nodes of the second
    /// that do not occur are inserted.
    pub mapping: Vec<Option<u32>>,
    /// How many nodes of the search tree were looked at.
    pub expansions: u64,
    /// What ended the search before the distance was exact.
    pub stop_reason: Option<StopReason>,
}

/// What may end a search early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The number of expansions.
    Expansions,
    /// The time.
    Time,
    /// The graphs are too large to search, the smaller one of about 200 nodes or more; only bounds are taken.
    Size,
}

impl EditComparison {
    /// The distance, if it is known.
    pub fn distance(&self) -> Option<f64> {
        (self.lower == self.upper).then_some(self.upper)
    }
}

/// Compares two graphs: exactly, if the budget allows, else by bounds from below and above.
///
/// The costs are those of the cheapest edit path. Edges go with their nodes, and an edge may be deleted and another
/// inserted in its place, so that substituting it never costs more than both. The answer is the same for any number of
/// workers.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, edit_distance::{EditCosts, SearchBudget, EditError, edit_distance}}};
///
/// let path = LabeledGraph::new(vec![0, 0, 0, 0], [([0, 1], 0), ([1, 2], 0), ([2, 3], 0)]);
/// let star = LabeledGraph::new(vec![0, 0, 0, 1], [([0, 1], 0), ([0, 2], 0), ([0, 3], 0)]);
/// let found = edit_distance(&path, &star, &EditCosts::default(), SearchBudget::EXACT, &Workers::single())?;
/// // An edge goes to another node, and a node gets another label.
/// assert_eq!(found.distance(), Some(3.0));
/// # Ok::<(), EditError>(())
/// ```
///
/// # Errors
/// If a graph is too large, a label has no costs, or there are too many kinds of edges.
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

/// Compares one graph with many, side by side; the budget is for each of them.
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

/// Compares each graph with all after it, side by side; the budget is for each pair. The pairs are in the order 0 and 1,
/// 0 and 2, and so on.
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
    // A single pair is searched by all; of several each has a worker of its own.
    let of_each = if count == 1 { workers } else { &one };
    let compare = |number| {
        let [first, second] = pair(number);
        edit_distance(first, second, costs, budget, of_each)
    };
    workers.map(count, compare).into_iter().collect()
}
