//! The parallel search: in each round, workers search branches of the tree in parallel.

use std::time::Instant;

use super::{
    EditComparison, SearchBudget, StopReason, Units,
    problem::Problem,
    refine::refine,
    search::{Branch, Task},
    state::State,
    twins::Twins,
};
use crate::parallel::Workers;

/// The minimum number of branches into which the tree is split, if it has that many.
const BRANCHES: usize = 64;

/// States expanded before the tree is split.
const FIRST: u64 = 512;

/// States expanded in each branch in a round, after which the best solution is shared.
const SLICE: u64 = 256;

/// The maximum of rows squared times columns, at which the states on one path through the tree take about 50 MB for
/// each worker.
const MAX_PATH_SIZE: usize = 1 << 23;

/// Bounds the distance, and searches until the bounds are equal or the budget is used up.
///
/// Branches share nothing within a round, and rounds end by the number of states alone. So the same states are
/// expanded, and the result is the same, for any number of workers.
pub(super) fn solve(problem: &Problem, unit: f64, budget: SearchBudget, workers: &Workers) -> EditComparison {
    let end = budget.time.and_then(|time| Instant::now().checked_add(time));
    let mut root = State::default();
    root.start(problem);
    let mut column_of = vec![0; problem.rows];
    let cost = root.complete(problem, &mut column_of);
    let mut search = Search { problem, workers, end, best: cost, column_of, expansions: 0 };
    let mut lower = half(root.bound);
    let mut stop_reason = None;
    if lower < search.best {
        search.best = refine(problem, search.best, &mut search.column_of, end);
    }
    if lower < search.best {
        let open = if problem.rows.pow(2) * problem.columns > MAX_PATH_SIZE {
            stop_reason = Some(StopReason::Size);
            Some(root.bound)
        } else {
            let branches = vec![Branch::root(problem, &root, 2 * search.best - 1)];
            drop(root);
            let (open, reason) = search.run(branches, budget.expansions);
            stop_reason = reason;
            open
        };
        lower = open.map_or(search.best, |bound| lower.max(half(bound)).min(search.best));
    }
    EditComparison {
        lower: lower as f64 * unit,
        upper: search.best as f64 * unit,
        mapping: problem.mapping(&search.column_of),
        expansions: search.expansions,
        stop_reason,
    }
}

/// Half of a bound, rounded up, because costs are integers.
fn half(doubled: Units) -> Units {
    (doubled + 1).div_euclid(2)
}

/// The progress of a search.
struct Search<'a> {
    problem: &'a Problem,
    workers: &'a Workers,
    end: Option<Instant>,
    /// The lowest cost found so far.
    best: Units,
    /// The solution of that cost.
    column_of: Vec<u32>,
    expansions: u64,
}

impl Search<'_> {
    /// Searches the branches, expanding at most `max` states. If some are left, returns twice a lower bound on their
    /// costs, and why the search stopped.
    fn run(&mut self, mut branches: Vec<Branch>, max: Option<u64>) -> (Option<Units>, Option<StopReason>) {
        let twins = Twins::new(self.problem);
        loop {
            branches.retain_mut(|branch| {
                branch.prune(self.best);
                !branch.is_done()
            });
            if branches.is_empty() {
                return (None, None);
            }
            let left = max.map_or(u64::MAX, |max| max - self.expansions);
            let is_late = self.end.is_some_and(|end| Instant::now() >= end);
            if left == 0 || is_late {
                let bound = branches.iter().filter_map(Branch::bound).min();
                return (bound, Some(if left == 0 { StopReason::Expansions } else { StopReason::Time }));
            }
            let slice = if self.expansions == 0 {
                FIRST
            } else {
                split(&mut branches);
                SLICE
            };
            self.round(&twins, &mut branches, slice, left);
        }
    }

    /// Expands a slice of states in each branch, in parallel.
    fn round(&mut self, twins: &Twins, branches: &mut [Branch], slice: u64, left: u64) {
        let count = branches.len() as u64;
        let &mut Self { problem, best, end, .. } = self;
        let search = |index: usize| {
            let budget = slice.min(left / count + u64::from((index as u64) < left % count));
            let mut branch = branches[index].clone();
            let found = branch.search(&Task { problem, twins, end }, best, budget);
            (branch, found)
        };
        let searched = if count == 1 { vec![search(0)] } else { self.workers.map(branches.len(), search) };
        for (branch, (searched, found)) in branches.iter_mut().zip(searched) {
            *branch = searched;
            self.expansions += found.expansions;
            if let Some((cost, column_of)) = found.solution
                && cost < self.best
            {
                (self.best, self.column_of) = (cost, column_of);
            }
        }
    }
}

/// Splits branches until there are enough for many workers, or none can be split.
fn split(branches: &mut Vec<Branch>) {
    while branches.len() < BRANCHES {
        let before = branches.len();
        *branches = core::mem::take(branches).into_iter().flat_map(Branch::split).collect();
        if branches.len() <= before {
            return;
        }
    }
}
