//! A node of the search tree: the first rows have their columns, and what the rest costs at least is known.

use super::{
    Units,
    assignment::{Assignment, FORBIDDEN, NONE},
    problem::Problem,
};

/// Some rows are decided; the costs of the others, with all that is known of them.
///
/// Costs are doubled here, for an edge between two rows that are not decided counts half at each of them. The bound is
/// the least sum of an assignment in which an undecided row and a free column cost what their labels and their edges to
/// decided ones do, exactly, and half of what their other edges do at least, whose kinds are compared as multisets: BMa of
/// L. Chang et al., *Accelerating Graph Similarity Search via Efficient GED Computation*, TKDE 2022, after the branches of
/// D. Blumenthal and J. Gamper, *Improved Lower Bounds for Graph Edit Distance*, TKDE 2018.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// How many rows are decided.
    pub depth: usize,
    /// What decided rows cost, and inserting the free columns; not doubled.
    fixed: Units,
    /// Twice a bound from below on any solution from here.
    pub bound: Units,
    /// The one that the assignment gives here.
    sum: Units,
    /// The free columns, rising.
    pub columns: Vec<u32>,
    /// What undecided rows cost by their labels and their edges to decided ones, `[rows, columns]`; not doubled.
    known: Vec<Units>,
    /// The same where they stay alone, `[rows]`.
    known_alone: Vec<Units>,
    /// For each undecided row the number of its edges of each kind to other undecided ones, `[rows, kinds]`; kind 0 counts all of them.
    row_counts: Vec<Units>,
    /// For each kind the number of edges of each free column to other free ones, `[kinds, columns]`.
    column_counts: Vec<Units>,
    /// What it costs to insert them, `[columns]`.
    column_inserted: Vec<Units>,
    /// What it costs to delete the edges of each undecided row to others, `[rows]`.
    row_deleted: Vec<Units>,
    /// Twice the cost of each pair, at least, `[rows, columns]`.
    costs: Vec<Units>,
    /// The same where a row stays alone, `[rows]`.
    alone: Vec<Units>,
    pub assignment: Assignment,
}

impl State {
    /// Nothing is decided.
    pub fn start(&mut self, problem: &Problem) {
        let (rows, columns, kinds) = (problem.rows, problem.columns, problem.kinds);
        self.depth = 0;
        self.fixed = problem.inserted;
        self.columns.clear();
        self.columns.extend(0..columns as u32);
        self.known.clone_from(&problem.node_gain);
        self.known_alone.clone_from(&problem.node_alone);
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

    /// What is left when the next row of `before` gets a column, or stays alone ([`NONE`]). Once the bound is found not to be
    /// below `limit`, nothing more is found out.
    pub fn decide(&mut self, problem: &Problem, before: &Self, column: u32, limit: Units) {
        let (row, kinds) = (before.depth, problem.kinds);
        // Where the column stands among the free ones; past them if it is none.
        let place = before.columns.partition_point(|other| *other < column);
        let (old, keep) = (before.columns.len(), place..(place + 1).min(before.columns.len()));
        let copy = |to: &mut Vec<Units>, from: &[Units]| {
            to.extend_from_slice(&from[..keep.start]);
            to.extend_from_slice(&from[keep.end..]);
        };
        self.depth = row + 1;
        self.bound = before.bound;
        self.fixed = before.fixed + if column == NONE { before.known_alone[0] } else { before.known[place] };
        self.columns.clear();
        self.columns.extend(before.columns.iter().filter(|other| **other != column));
        let columns = self.columns.len();

        self.column_counts.clear();
        for kind in 0..kinds {
            copy(&mut self.column_counts, &before.column_counts[kind * old..][..old]);
        }
        self.column_inserted.clear();
        copy(&mut self.column_inserted, &before.column_inserted);
        let met: Option<&[u16]> = (column != NONE).then(|| problem.column_edges(column));
        if let Some(met) = met {
            for (place, &other) in self.columns.iter().enumerate() {
                let kind = met[other as usize] as usize;
                if kind != 0 {
                    self.column_counts[place] -= 1;
                    self.column_counts[kind * columns + place] -= 1;
                    self.column_inserted[place] -= problem.edge_inserted[kind];
                }
            }
        }

        self.known.clear();
        self.known_alone.clear();
        self.known_alone.extend_from_slice(&before.known_alone[1..]);
        self.row_counts.clear();
        self.row_counts.extend_from_slice(&before.row_counts[kinds..]);
        self.row_deleted.clear();
        self.row_deleted.extend_from_slice(&before.row_deleted[1..]);
        for other in 0..self.known_alone.len() {
            let start = self.known.len();
            copy(&mut self.known, &before.known[(other + 1) * old..][..old]);
            let kind = problem.row_edge(row, row + 1 + other);
            if kind == 0 {
                continue;
            }
            let gains = problem.edge_gains(kind);
            for (known, &column) in self.known[start..].iter_mut().zip(&self.columns) {
                *known += gains[met.map_or(0, |met| met[column as usize]) as usize];
            }
            self.known_alone[other] += gains[0];
            self.row_counts[other * kinds] -= 1;
            self.row_counts[other * kinds + kind] -= 1;
            self.row_deleted[other] -= gains[0];
        }
        self.estimate(problem, limit);
    }

    /// Bounds what the undecided rows cost.
    fn estimate(&mut self, problem: &Problem, limit: Units) {
        let (columns, kinds, least) = (self.columns.len(), problem.kinds, problem.least);
        self.costs.clear();
        self.alone.clear();
        let saved = least.different - least.same;
        for (row, (counts, known)) in
            self.row_counts.chunks_exact(kinds).zip(self.known.chunks_exact(columns.max(1))).enumerate()
        {
            let own = counts[0];
            let all = self.column_counts[..columns].iter().zip(&self.column_inserted).zip(known);
            self.costs.extend(all.map(|((&met, inserted), known)| {
                let changed = own.min(met) * least.different;
                let unmet = (own - met).max(0) * least.deletion + (met - own).max(0) * least.insertion;
                2 * known + changed + unmet - inserted
            }));
            if saved != 0 {
                let costs = &mut self.costs[row * columns..];
                for (kind, &count) in counts.iter().enumerate().skip(1).filter(|(_, count)| **count != 0) {
                    let met = &self.column_counts[kind * columns..][..columns];
                    costs.iter_mut().zip(met).for_each(|(cost, met)| *cost -= saved * count.min(*met));
                }
            }
        }
        if problem.optional {
            self.alone
                .extend(self.known_alone.iter().zip(&self.row_deleted).map(|(known, deleted)| 2 * known + deleted));
        } else {
            self.alone.resize(self.known_alone.len(), FORBIDDEN);
        }
        let fixed = 2 * self.fixed;
        self.sum = fixed + self.assignment.solve(columns, &self.costs, &self.alone, limit.saturating_sub(fixed));
        self.bound = self.bound.max(self.sum);
    }

    /// Completes a solution by the assignment that gave the bound, `[rows]`; returns what it really costs.
    pub fn complete(&self, problem: &Problem, column_of: &mut [u32]) -> Units {
        let columns = self.columns.len();
        let mut cost = self.fixed;
        for (row, &place) in self.assignment.column_of.iter().enumerate() {
            column_of[self.depth + row] = if place == NONE {
                cost += self.known_alone[row];
                NONE
            } else {
                cost += self.known[row * columns + place as usize];
                self.columns[place as usize]
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

    /// Appends the columns that the next row may get, [`NONE`] for staying alone, each with twice a bound from below that
    /// is less than `limit`; the best ones last.
    pub fn choices(&self, problem: &Problem, limit: Units, choices: &mut Vec<(Units, u32)>) {
        let Some(own) = self.assignment.of_rows.first() else { return };
        let start = choices.len();
        let mut add = |bound: Units, column: u32| {
            if bound < limit {
                choices.push((bound, column));
            }
        };
        for (place, &column) in self.columns.iter().enumerate() {
            add(self.bound.max(self.sum + self.costs[place] - own - self.assignment.of_columns[place]), column);
        }
        if problem.optional {
            add(self.bound.max(self.sum + self.alone[0] - own), NONE);
        }
        choices[start..].sort_unstable_by(|one, other| other.cmp(one));
    }
}
