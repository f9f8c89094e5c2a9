//! Depth-first branch and bound over the columns of the rows, which can be stopped, resumed and split.

use std::time::Instant;

use super::{Units, problem::Problem, state::State, twins::Twins};

/// The unsearched rest of a subtree.
#[derive(Clone, Debug, Default)]
pub(super) struct Branch {
    /// The columns of the fixed rows of the state at which the search stopped.
    path: Vec<u32>,
    /// The remaining choices for the next row of each state on that path: twice a lower bound, and the column; the best
    /// last. One list for each row of the path that belongs to this branch, and one for the row after it.
    open: Vec<Vec<(Units, u32)>>,
}

/// The problem of a search, and its time limit.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub problem: &'a Problem,
    pub twins: &'a Twins,
    pub end: Option<Instant>,
}

/// The result of searching a branch.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The best solution below the cost limit, and its cost.
    pub solution: Option<(Units, Vec<u32>)>,
    /// Number of expanded states.
    pub expansions: u64,
}

/// The states on the path from the root, by number of fixed rows, whose memory is reused.
#[derive(Debug, Default)]
pub(super) struct StateStack {
    states: Vec<State>,
}

impl StateStack {
    fn state(&mut self, depth: usize) -> [&mut State; 2] {
        if self.states.len() < depth + 2 {
            self.states.resize_with(depth + 2, State::default);
        }
        let (before, after) = self.states.split_at_mut(depth + 1);
        [&mut before[depth], &mut after[0]]
    }
}

impl Branch {
    /// The whole tree below its root, which is expanded already.
    pub fn root(problem: &Problem, root: &State, limit: Units) -> Self {
        let mut choices = Vec::new();
        root.choices(problem, limit, &mut choices);
        Self { path: Vec::new(), open: vec![choices] }
    }

    /// Whether no choice is left.
    pub fn is_done(&self) -> bool {
        self.open.iter().all(Vec::is_empty)
    }

    /// Twice a lower bound on the costs of the remaining choices.
    pub fn bound(&self) -> Option<Units> {
        self.open.iter().filter_map(|choices| choices.last()).map(|(bound, _)| *bound).min()
    }

    /// Searches for a solution that costs less than `best`, expanding at most `budget` states.
    pub fn search(&mut self, task: &Task, mut best: Units, budget: u64) -> Found {
        let &Task { problem, twins, end } = task;
        let mut found = Found::default();
        let mut stack = StateStack::default();
        stack.state(0)[0].start(problem);
        for (depth, column) in self.path.iter().enumerate() {
            let [before, after] = stack.state(depth);
            after.decide(problem, before, *column, Units::MAX);
        }
        let mut solution = vec![0; problem.rows];
        solution[..self.path.len()].copy_from_slice(&self.path);
        while found.expansions < budget && end.is_none_or(|end| Instant::now() < end) {
            let Some(choices) = self.open.last_mut() else { break };
            let depth = self.path.len();
            let choice = choices.pop().filter(|(bound, _)| *bound < 2 * best - 1);
            let Some((bound, column)) = choice else {
                // The remaining choices have no lower bounds.
                self.open.pop();
                if self.open.is_empty() {
                    break;
                }
                self.path.pop();
                continue;
            };
            if twins.is_redundant(depth, column, &solution) {
                continue;
            }
            found.expansions += 1;
            let [before, after] = stack.state(depth);
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

    /// Removes choices that cannot improve on a solution that was found elsewhere.
    pub fn prune(&mut self, best: Units) {
        self.open.iter_mut().for_each(|choices| choices.retain(|(bound, _)| *bound < 2 * best - 1));
    }

    /// Splits the branch at its topmost choices, in the order of the search; the rest below the current path comes
    /// first.
    pub fn split(mut self) -> Vec<Self> {
        let Some(top) = self.open.iter().position(|choices| !choices.is_empty()) else { return Vec::new() };
        let stem = self.path.len() + 1 - self.open.len() + top;
        let choices = core::mem::take(&mut self.open[top]);
        let prefix = self.path[..stem].to_vec();
        let single = |choice| Self { path: prefix.clone(), open: vec![vec![choice]] };
        let mut branches: Vec<Self> = choices.into_iter().rev().map(single).collect();
        if !self.is_done() {
            self.open.drain(..=top);
            branches.insert(0, self);
        }
        branches
    }
}
