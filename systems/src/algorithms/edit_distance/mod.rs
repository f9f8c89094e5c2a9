//! Graph edit distance: what it costs at least to make one labelled graph into another.

mod assignment;
mod costs;
mod path;
mod problem;
mod refine;
mod rounds;
mod search;
mod state;
mod twins;

use std::time::Duration;

pub use costs::{EditCosts, EditError, OperationCosts};
pub use path::{EditOperation, edit_path};

use super::{LabelledGraph, ParallelGraph};
use crate::Workers;

/// Costs in whole units.
type Units = i64;

/// The most nodes of a graph that is compared: the costs of all pairs of nodes stand in memory.
pub const MOST_NODES: usize = 2_000;

/// The most kinds of edges in two graphs that are compared.
pub const MOST_EDGE_LABELS: usize = 1_000;

/// How far to search for an edit distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EditEffort {
    /// How many nodes of the search tree to look at; until the distance is exact if not given. With 0 only the bounds at the
    /// root are taken. The results are the same for any number of workers.
    pub expansions: Option<u64>,
    /// How long to search; results that were cut by time may differ from run to run.
    pub time: Option<Duration>,
}

impl EditEffort {
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
    pub cut: Option<EditCut>,
}

/// What may end a search early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditCut {
    /// The number of expansions.
    Expansions,
    /// The time.
    Time,
}

impl EditComparison {
    /// The distance, if it is known.
    pub fn distance(&self) -> Option<f64> {
        (self.lower == self.upper).then_some(self.upper)
    }
}

/// Compares two graphs.
pub fn edit_distance(
    first: &LabelledGraph,
    second: &LabelledGraph,
    costs: &EditCosts,
    effort: EditEffort,
    workers: &Workers,
) -> Result<EditComparison, EditError> {
    let problem = problem::Problem::new(first, second, costs)?;
    Ok(rounds::solve(&problem, costs.unit(), effort, workers))
}

/// Compares one graph with many, side by side.
pub fn edit_distances(
    first: &LabelledGraph,
    others: &[LabelledGraph],
    costs: &EditCosts,
    effort: EditEffort,
    workers: &Workers,
) -> Result<Vec<EditComparison>, EditError> {
    let compare = |other| edit_distance(first, &others[other], costs, effort, &Workers::one());
    workers.map(others.len(), compare).into_iter().collect()
}
