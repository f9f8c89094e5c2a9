//! Depth-first branch and bound over the columns of the rows, which can be halted, resumed and parted.

use std::time::Instant;

use super::{Units, problem::Problem, state::State, twins::Twins};

/// A part of the search tree that is still to be searched.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    /// The columns of the rows that are decided on the way to where the search halted.
    path: Vec<u32>,
    /// For the first undecided row of each state on that way, the choices left: twice a bound from below, and the column;
    /// the best last. One list for each row of the path that this branch owns, and one for the row after it.
    open: Vec<Vec<(Units, u32)>>,
}

/// What is searched, and until when.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub problem: &'a Problem,
    pub twins: &'a Twins,
    pub end: Option<Instant>,
}

/// What a branch came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The best solution that costs less than was asked for, and its cost.
    pub solution: Option<(Units, Vec<u32>)>,
    /// States that were looked at.
    pub expansions: u64,
}

/// States on the way from the root, one for each number of decided rows, whose room is used again.
#[derive(Debug, Default)]
pub(super) struct Room {
    states: Vec<State>,
}

impl Room {
    fn state(&mut self, depth: usize) -> [&mut State; 2] {
        if self.states.len() < depth + 2 {
            self.states.resize_with(depth + 2, State::default);
        }
        let (before, after) = self.states.split_at_mut(depth + 1);
        [&mut before[depth], &mut after[0]]
    }
}

impl Branch {
    /// The whole tree, but for its root, which was looked at.
    pub fn root(problem: &Problem, root: &State, limit: Units) -> Self {
        let mut choices = Vec::new();
        root.choices(problem, limit, &mut choices);
        Self { path: Vec::new(), open: vec![choices] }
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.open.iter().all(Vec::is_empty)
    }

    /// Twice a bound from below on what is left.
    pub fn bound(&self) -> Option<Units> {
        self.open.iter().filter_map(|choices| choices.last()).map(|(bound, _)| *bound).min()
    }

    /// Searches for a solution that costs less than `best`, and looks at `budget` states at most.
    pub fn search(&mut self, task: &Task, mut best: Units, budget: u64) -> Found {
        let &Task { problem, twins, end } = task;
        let mut found = Found::default();
        let mut room = Room::default();
        room.state(0)[0].start(problem);
        for (depth, column) in self.path.iter().enumerate() {
            let [before, after] = room.state(depth);
            after.decide(problem, before, *column, Units::MAX);
        }
        let mut solution = vec![0; problem.rows];
        solution[..self.path.len()].copy_from_slice(&self.path);
        while found.expansions < budget && end.is_none_or(|end| Instant::now() < end) {
            let Some(choices) = self.open.last_mut() else { break };
            let depth = self.path.len();
            let choice = choices.pop().filter(|(bound, _)| *bound < 2 * best - 1);
            let Some((bound, column)) = choice else {
                // Those left are no better.
                self.open.pop();
                if self.open.is_empty() {
                    break;
                }
                self.path.pop();
                continue;
            };
            if twins.are_passed_over(depth, column, &solution) {
                continue;
            }
            found.expansions += 1;
            let [before, after] = room.state(depth);
            after.decide(problem, before, column, 2 * best - 1);
            after.bound = after.bound.max(bound);
            if after.bound >= 2 * best - 1 {
                continue;
            }
            solution[depth] = column;
            let cost = after.complete(problem, &mut solution);
            if cost < best {
                best = cost;
                found.solution = Some((cost, solution.clone()));
            }
            if after.bound < 2 * best - 1 {
                let mut choices = Vec::new();
                after.choices(problem, 2 * best - 1, &mut choices);
                self.path.push(column);
                self.open.push(choices);
            }
        }
        found
    }

    /// Leaves out what is not better than a solution that was found elsewhere.
    pub fn prune(&mut self, best: Units) {
        self.open.iter_mut().for_each(|choices| choices.retain(|(bound, _)| *bound < 2 * best - 1));
    }

    /// Parts the branch at its topmost choices, in the order of the search; what is left of the way comes first.
    pub fn part(mut self) -> Vec<Self> {
        let Some(top) = self.open.iter().position(|choices| !choices.is_empty()) else { return Vec::new() };
        let stem = self.path.len() + 1 - self.open.len() + top;
        let choices = core::mem::take(&mut self.open[top]);
        let prefix = self.path[..stem].to_vec();
        let single = |choice| Self { path: prefix.clone(), open: vec![vec![choice]] };
        let mut parts: Vec<Self> = choices.into_iter().rev().map(single).collect();
        if !self.is_done() {
            self.open.drain(..=top);
            parts.insert(0, self);
        }
        parts
    }
}
