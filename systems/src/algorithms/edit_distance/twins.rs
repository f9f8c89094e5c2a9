//! Twins: interchangeable nodes, of which the search tries one order only.

use super::{assignment::NONE, problem::Problem};

/// For each row and each column the last twin before it, if any: one with the same label and edges of the same kinds to
/// all other nodes.
#[derive(Clone, Debug)]
pub(super) struct Twins {
    rows: Vec<u32>,
    columns: Vec<u32>,
}

impl Twins {
    pub fn new(problem: &Problem) -> Self {
        let row_twins = |one: usize, other: usize| {
            let gains = |row: usize| &problem.node_gain[row * problem.columns..][..problem.columns];
            problem.node_unassigned[one] == problem.node_unassigned[other]
                && gains(one) == gains(other)
                && (0..problem.rows)
                    .filter(|row| ![one, other].contains(row))
                    .all(|row| problem.row_edge(one, row) == problem.row_edge(other, row))
        };
        let column_twins = |one: usize, other: usize| {
            let gain = |row: usize, column: usize| problem.node_gain[row * problem.columns + column];
            let [edges, other_edges] = [one, other].map(|column| problem.column_edges(column as u32));
            (0..problem.rows).all(|row| gain(row, one) == gain(row, other))
                && (0..problem.columns)
                    .filter(|column| ![one, other].contains(column))
                    .all(|column| edges[column] == other_edges[column])
        };
        Self { rows: latest(problem.rows, row_twins), columns: latest(problem.columns, column_twins) }
    }

    /// Whether a column for the next row is equivalent to another choice: an earlier twin of the column is free, or a
    /// twin of the row has a later column.
    ///
    /// Of all solutions that differ by an exchange of twins, the lexicographically first is never redundant.
    pub fn is_redundant(&self, row: usize, column: u32, column_of: &[u32]) -> bool {
        let later = self.rows[row] != NONE && column_of[self.rows[row] as usize] > column;
        let free = |twin: u32| twin != NONE && !column_of[..row].contains(&twin);
        later || (column != NONE && free(self.columns[column as usize]))
    }
}

/// For each index the last one before it that is its twin.
fn latest(count: usize, are_twins: impl Fn(usize, usize) -> bool) -> Vec<u32> {
    (0..count)
        .map(|index| (0..index).rfind(|other| are_twins(*other, index)).map_or(NONE, |twin| twin as u32))
        .collect()
}
