//! A state of the search tree: the first rows are fixed, and the cost of the rest is bounded.

use super::{
    Units,
    assignment::{Assignment, FORBIDDEN, NONE},
    problem::Problem,
};

/// A partial solution: fixed rows, and bounds on the costs of the open ones.
///
/// Costs are doubled, because an edge between two open rows counts half at each of them. The bound is the minimum of an
/// assignment problem of open rows and free columns. The cost of a pair is exact for their labels and their edges to
/// fixed rows, plus half of a lower bound for their other edges, whose kinds are compared as multisets: BMa of L. Chang
/// et al., *Accelerating Graph Similarity Search via Efficient GED Computation*, TKDE 2022, after the branches of D.
/// Blumenthal and J. Gamper, *Improved Lower Bounds for Graph Edit Distance*, TKDE 2018.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Number of fixed rows.
    pub depth: usize,
    /// The cost of the fixed rows and of inserting the free columns; not doubled.
    fixed: Units,
    /// Twice a lower bound on every solution below this state.
    pub bound: Units,
    /// The bound by the assignment of this state alone.
    sum: Units,
    /// The free columns, ascending.
    pub columns: Vec<u32>,
    /// The cost of open rows by their labels and their edges to fixed rows, `[rows, columns]`; not doubled.
    known: Vec<Units>,
    /// The same for unassigned rows, `[rows]`.
    known_unassigned: Vec<Units>,
    /// For each open row the number of its edges of each kind to other open rows, `[rows, kinds]`; at kind 0 that of
    /// all kinds.
    row_counts: Vec<Units>,
    /// For each kind the number of edges of each free column to other free ones, `[kinds, columns]`.
    column_counts: Vec<Units>,
    /// The cost of inserting these edges, `[columns]`.
    column_inserted: Vec<Units>,
    /// The cost of deleting the edges of each open row to other open rows, `[rows]`.
    row_deleted: Vec<Units>,
    /// Twice a lower bound on the cost of each pair, `[rows, columns]`.
    costs: Vec<Units>,
    /// The same for unassigned rows, `[rows]`.
    unassigned: Vec<Units>,
    pub assignment: Assignment,
}

impl State {
    /// Sets the state to the root, with no fixed row.
    pub fn start(&mut self, problem: &Problem) {
        let (rows, columns, kinds) = (problem.rows, problem.columns, problem.kinds);
        self.depth = 0;
        self.fixed = problem.inserted;
        self.columns.clear();
        self.columns.extend(0..columns as u32);
        self.known.clone_from(&problem.node_gain);
        self.known_unassigned.clone_from(&problem.node_unassigned);
        self.row_counts.clear();
        self.row_counts.resize(rows * kinds, 0);
        self.row_deleted.clear();
        self.row_deleted.resize(rows, 0);
        for (row, neighbors) in problem.row_neighbors.iter().enumerate() {
            for &(_, kind) in neighbors {
                self.row_counts[row * kinds] += 1;
                self.row_counts[row * kinds + kind as usize] += 1;
                self.row_deleted[row] += problem.edge_gains(kind as usize)[0];
            }
        }
        self.column_counts.clear();
        self.column_counts.resize(kinds * columns, 0);
        self.column_inserted.clear();
        self.column_inserted.resize(columns, 0);
        for (column, neighbors) in problem.column_neighbors.iter().enumerate() {
            for &(_, kind) in neighbors {
                self.column_counts[column] += 1;
                self.column_counts[kind as usize * columns + column] += 1;
                self.column_inserted[column] += problem.edge_inserted[kind as usize];
            }
        }
        self.bound = 0;
        self.estimate(problem, Units::MAX);
    }

    /// Sets the state to the child of `before` whose next row is fixed at a column, or unassigned ([`NONE`]). The bound
    /// is not tightened further once it is not below `limit`.
    pub fn decide(&mut self, problem: &Problem, before: &Self, column: u32, limit: Units) {
        let (row, kinds) = (before.depth, problem.kinds);
        // The index of the column among the free ones; past their end for `NONE`.
        let index = before.columns.partition_point(|other| *other < column);
        let (old, removed) = (before.columns.len(), index..(index + 1).min(before.columns.len()));
        let copy = |to: &mut Vec<Units>, from: &[Units]| {
            to.extend_from_slice(&from[..removed.start]);
            to.extend_from_slice(&from[removed.end..]);
        };
        self.depth = row + 1;
        self.bound = before.bound;
        self.fixed = before.fixed + if column == NONE { before.known_unassigned[0] } else { before.known[index] };
        self.columns.clear();
        self.columns.extend(before.columns.iter().filter(|other| **other != column));
        let columns = self.columns.len();

        self.column_counts.clear();
        for kind in 0..kinds {
            copy(&mut self.column_counts, &before.column_counts[kind * old..][..old]);
        }
        self.column_inserted.clear();
        copy(&mut self.column_inserted, &before.column_inserted);
        let edges: Option<&[u16]> = (column != NONE).then(|| problem.column_edges(column));
        if let Some(edges) = edges {
            for (index, &other) in self.columns.iter().enumerate() {
                let kind = edges[other as usize] as usize;
                if kind != 0 {
                    self.column_counts[index] -= 1;
                    self.column_counts[kind * columns + index] -= 1;
                    self.column_inserted[index] -= problem.edge_inserted[kind];
                }
            }
        }

        self.known.clear();
        self.known_unassigned.clear();
        self.known_unassigned.extend_from_slice(&before.known_unassigned[1..]);
        self.row_counts.clear();
        self.row_counts.extend_from_slice(&before.row_counts[kinds..]);
        self.row_deleted.clear();
        self.row_deleted.extend_from_slice(&before.row_deleted[1..]);
        for other in 0..self.known_unassigned.len() {
            let start = self.known.len();
            copy(&mut self.known, &before.known[(other + 1) * old..][..old]);
            let kind = problem.row_edge(row, row + 1 + other);
            if kind == 0 {
                continue;
            }
            let gains = problem.edge_gains(kind);
            for (known, &column) in self.known[start..].iter_mut().zip(&self.columns) {
                *known += gains[edges.map_or(0, |edges| edges[column as usize]) as usize];
            }
            self.known_unassigned[other] += gains[0];
            self.row_counts[other * kinds] -= 1;
            self.row_counts[other * kinds + kind] -= 1;
            self.row_deleted[other] -= gains[0];
        }
        self.estimate(problem, limit);
    }

    /// Bounds the cost of the open rows.
    fn estimate(&mut self, problem: &Problem, limit: Units) {
        let (columns, kinds, least) = (self.columns.len(), problem.kinds, problem.least);
        self.costs.clear();
        self.unassigned.clear();
        let saved = least.different - least.same;
        for (row, (counts, known)) in
            self.row_counts.chunks_exact(kinds).zip(self.known.chunks_exact(columns.max(1))).enumerate()
        {
            let row_edges = counts[0];
            let all = self.column_counts[..columns].iter().zip(&self.column_inserted).zip(known);
            self.costs.extend(all.map(|((&column_edges, inserted), known)| {
                let substituted = row_edges.min(column_edges) * least.different;
                let deleted = (row_edges - column_edges).max(0) * least.deletion;
                let added = (column_edges - row_edges).max(0) * least.insertion;
                2 * known + substituted + deleted + added - inserted
            }));
            if saved != 0 {
                let costs = &mut self.costs[row * columns..];
                for (kind, &count) in counts.iter().enumerate().skip(1).filter(|(_, count)| **count != 0) {
                    let column_counts = &self.column_counts[kind * columns..][..columns];
                    costs.iter_mut().zip(column_counts).for_each(|(cost, other)| *cost -= saved * count.min(*other));
                }
            }
        }
        if problem.optional {
            self.unassigned.extend(
                self.known_unassigned.iter().zip(&self.row_deleted).map(|(known, deleted)| 2 * known + deleted),
            );
        } else {
            self.unassigned.resize(self.known_unassigned.len(), FORBIDDEN);
        }
        let fixed = 2 * self.fixed;
        self.sum = fixed + self.assignment.solve(columns, &self.costs, &self.unassigned, limit.saturating_sub(fixed));
        self.bound = self.bound.max(self.sum);
    }

    /// Completes a solution, `[rows]`, by the assignment of the bound; returns its cost.
    pub fn complete(&self, problem: &Problem, column_of: &mut [u32]) -> Units {
        let columns = self.columns.len();
        let mut cost = self.fixed;
        for (row, &index) in self.assignment.column_of.iter().enumerate() {
            column_of[self.depth + row] = if index == NONE {
                cost += self.known_unassigned[row];
                NONE
            } else {
                cost += self.known[row * columns + index as usize];
                self.columns[index as usize]
            };
        }
        for row in self.depth..problem.rows {
            for &(other, kind) in &problem.row_neighbors[row] {
                if (self.depth..row).contains(&(other as usize)) {
                    cost += problem.edge_gain(kind as usize, column_of[row], column_of[other as usize]);
                }
            }
        }
        cost
    }

    /// Appends the possible columns of the next row, [`NONE`] for unassigned, each with twice a lower bound, if that is
    /// less than `limit`; the best ones last.
    pub fn choices(&self, problem: &Problem, limit: Units, choices: &mut Vec<(Units, u32)>) {
        let Some(row_dual) = self.assignment.row_duals.first() else { return };
        let start = choices.len();
        let mut add = |bound: Units, column: u32| {
            if bound < limit {
                choices.push((bound, column));
            }
        };
        for (index, &column) in self.columns.iter().enumerate() {
            let reduced = self.costs[index] - row_dual - self.assignment.column_duals[index];
            add(self.bound.max(self.sum + reduced), column);
        }
        if problem.optional {
            add(self.bound.max(self.sum + self.unassigned[0] - row_dual), NONE);
        }
        choices[start..].sort_unstable_by(|one, other| other.cmp(one));
    }
}
