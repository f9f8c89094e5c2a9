//! The search as a whole: rounds in which workers search branches of the tree side by side.

use std::time::Instant;

use super::{
    EditComparison, EditCut, EditEffort, Units, problem::Problem, refine::refine, search::Branch, state::State,
    twins::Twins,
};
use crate::Workers;

/// Branches that are searched side by side.
const BRANCHES: usize = 32;

/// States that the first branch, and then each of several, may look at in a round.
const FIRST: u64 = 512;
const SLICE: u64 = 512;

pub(super) fn solve(problem: &Problem, unit: f64, effort: EditEffort, workers: &Workers) -> EditComparison {
    let end = effort.time.map(|time| Instant::now() + time);
    let mut root = State::default();
    root.start(problem);
    let mut solution = vec![0; problem.rows];
    let mut best = root.complete(problem, &mut solution);
    let mut expansions = 0;
    let mut cut = None;
    let mut lower = half(root.bound);
    if lower < best {
        best = refine(problem, best, &mut solution);
    }
    if lower < best {
        let twins = Twins::new(problem);
        let mut branches = vec![Branch::root(problem, &root, 2 * best - 1)];
        let mut slice = FIRST;
        loop {
            branches.retain_mut(|branch| {
                branch.prune(best);
                !branch.is_done()
            });
            if branches.is_empty() {
                lower = best;
                break;
            }
            let left = effort.expansions.map_or(u64::MAX, |most| most - expansions);
            let late = end.is_some_and(|end| Instant::now() >= end);
            if left == 0 || late {
                cut = Some(if left == 0 { EditCut::Expansions } else { EditCut::Time });
                let open = branches.iter().filter_map(Branch::bound).min();
                lower = lower.max(open.map_or(best, half)).min(best);
                break;
            }
            while expansions > 0 && branches.len() < BRANCHES {
                let before = branches.len();
                branches = branches.into_iter().flat_map(Branch::part).collect();
                if branches.len() <= before {
                    break;
                }
            }
            let budget = |branch: usize| {
                let count = branches.len() as u64;
                slice.min(left / count + u64::from((branch as u64) < left % count))
            };
            let search = |place: usize| {
                let mut branch = branches[place].clone();
                let found = branch.search(problem, &twins, best, budget(place), end);
                (branch, found)
            };
            let searched = if branches.len() == 1 { vec![search(0)] } else { workers.map(branches.len(), search) };
            branches.clear();
            for (branch, found) in searched {
                expansions += found.expansions;
                if let Some((cost, better)) = found.solution
                    && cost < best
                {
                    (best, solution) = (cost, better);
                }
                branches.push(branch);
            }
            slice = SLICE;
        }
    }
    EditComparison {
        lower: lower as f64 * unit,
        upper: best as f64 * unit,
        mapping: problem.mapping(&solution),
        expansions,
        cut,
    }
}

/// Half of a bound, rounded up: costs are whole.
fn half(doubled: Units) -> Units {
    (doubled + 1).div_euclid(2)
}
