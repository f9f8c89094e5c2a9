//! The linear sum assignment problem (LSAP): assigns each row a distinct column, or none, at minimum total cost.
//!
//! Shortest augmenting paths with dual variables, after R. Jonker and A. Volgenant, *A Shortest Augmenting Path
//! Algorithm for Dense and Sparse Linear Assignment Problems*, Computing 38, 1987. Costs are integers, so the sums are
//! exact.

use super::Units;

/// No column, or no row.
pub(super) const NONE: u32 = u32::MAX;

/// More than any sum, and small enough that a few of them can be added.
pub(super) const FORBIDDEN: Units = Units::MAX / 8;

/// An assignment, its dual variables, and reusable buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignment {
    /// The column of each row; [`NONE`] for an unassigned row.
    pub column_of: Vec<u32>,
    /// The row of each column, or [`NONE`].
    pub row_of: Vec<u32>,
    /// The dual variable of each row. `row_duals[i] + column_duals[j]` is at most the cost of `i, j`.
    pub row_duals: Vec<Units>,
    /// The dual variable of each column: not positive, and 0 for columns without a row.
    pub column_duals: Vec<Units>,
    path: Path,
}

/// The shortest paths from a row that has no column yet.
#[derive(Clone, Debug, Default)]
struct Path {
    /// The distance to each column.
    distance: Vec<Units>,
    /// The row before each column.
    before: Vec<u32>,
    /// Columns whose distance is final.
    done: Vec<u32>,
    /// The others.
    open: Vec<u32>,
}

impl Assignment {
    /// Solves the problem with the costs `[rows, columns]` of assigned rows and the costs `unassigned`, `[rows]`, of
    /// unassigned ones; returns the minimum. Stops early, with a lower bound of the minimum, once that is not below
    /// `limit`. If `unassigned` is [`FORBIDDEN`], there must be at least as many columns as rows.
    pub fn solve(&mut self, columns: usize, costs: &[Units], unassigned: &[Units], limit: Units) -> Units {
        let rows = unassigned.len();
        self.column_of.clear();
        self.column_of.resize(rows, NONE);
        self.row_of.clear();
        self.row_of.resize(columns, NONE);
        self.column_duals.clear();
        self.column_duals.resize(columns, 0);
        self.row_duals.clear();
        for (row, unassigned) in unassigned.iter().enumerate() {
            let costs = &costs[row * columns..][..columns];
            let least = costs.iter().fold(*unassigned, |least, cost| least.min(*cost));
            self.row_duals.push(least);
            let is_free = |(cost, row): (&Units, &u32)| *cost == least && *row == NONE;
            if let Some(column) = costs.iter().zip(&self.row_of).position(is_free) {
                self.join(row, column);
            }
        }
        let mut sum: Units = self.row_duals.iter().sum();
        for row in 0..rows {
            if sum >= limit {
                break;
            }
            // Its cheapest columns were taken, and leaving it unassigned costs more.
            if self.column_of[row] == NONE && self.row_duals[row] < unassigned[row] {
                sum += self.augment(row, columns, costs, unassigned);
            }
        }
        sum
    }

    fn join(&mut self, row: usize, column: usize) {
        self.row_of[column] = row as u32;
        self.column_of[row] = column as u32;
    }

    /// Assigns one more row along the shortest augmenting path; returns its length.
    fn augment(&mut self, start: usize, columns: usize, costs: &[Units], unassigned: &[Units]) -> Units {
        let Path { distance, before, done, open } = &mut self.path;
        distance.clear();
        before.clear();
        before.resize(columns, start as u32);
        done.clear();
        open.clear();
        open.extend(0..columns as u32);
        let column_duals = &mut self.column_duals;
        let base = self.row_duals[start];
        let reduced =
            costs[start * columns..][..columns].iter().zip(&*column_duals).map(|(cost, dual)| cost - base - dual);
        distance.extend(reduced);
        // The shortest path that ends by leaving a row unassigned, and that row.
        let (mut leave, mut leaver) = (unassigned[start] - base, start);
        let (length, mut end) = loop {
            let nearest = open.iter().enumerate().min_by_key(|(_, column)| distance[**column as usize]);
            let Some((index, &column)) = nearest.filter(|(_, column)| distance[**column as usize] < leave) else {
                break (leave, NONE);
            };
            let length = distance[column as usize];
            let row = self.row_of[column as usize];
            if row == NONE {
                break (length, column);
            }
            open.swap_remove(index);
            done.push(column);
            let row = row as usize;
            let base = length - self.row_duals[row];
            if base + unassigned[row] < leave {
                (leave, leaver) = (base + unassigned[row], row);
            }
            let costs = &costs[row * columns..][..columns];
            for &column in &*open {
                let column = column as usize;
                let through = base + costs[column] - column_duals[column];
                if through < distance[column] {
                    distance[column] = through;
                    before[column] = row as u32;
                }
            }
        };
        self.row_duals[start] += length;
        for &column in &*done {
            let gain = length - distance[column as usize];
            column_duals[column as usize] -= gain;
            self.row_duals[self.row_of[column as usize] as usize] += gain;
        }
        if end == NONE {
            if leaver == start {
                return length;
            }
            end = self.column_of[leaver];
            self.column_of[leaver] = NONE;
        }
        loop {
            let row = self.path.before[end as usize] as usize;
            let next = self.column_of[row];
            self.join(row, end as usize);
            if row == start {
                return length;
            }
            end = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// The minimum over all assignments of the rows from `row` on.
    fn minimum(columns: usize, costs: &[Units], unassigned: &[Units], row: usize, taken: &mut Vec<usize>) -> Units {
        if row == unassigned.len() {
            return 0;
        }
        let mut best = unassigned[row] + minimum(columns, costs, unassigned, row + 1, taken);
        for column in 0..columns {
            if !taken.contains(&column) {
                taken.push(column);
                best = best.min(costs[row * columns + column] + minimum(columns, costs, unassigned, row + 1, taken));
                taken.pop();
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_sum_is_minimal(
            columns in 0..6_usize,
            rows in 0..6_usize,
            costs in vec(-5..6 as Units, 36),
            unassigned in vec(-3..8 as Units, 6),
            may_be_unassigned: bool,
        ) {
            let rows = if may_be_unassigned { rows } else { rows.min(columns) };
            let costs = &costs[..rows * columns];
            let unassigned = if may_be_unassigned { unassigned[..rows].to_vec() } else { vec![FORBIDDEN; rows] };
            let mut assignment = Assignment::default();
            let sum = assignment.solve(columns, costs, &unassigned, Units::MAX);
            prop_assert_eq!(sum, minimum(columns, costs, &unassigned, 0, &mut Vec::new()));
            let mut taken = vec![NONE; columns];
            let mut actual = 0;
            for row in 0..rows {
                let column = assignment.column_of[row];
                actual += if column == NONE { unassigned[row] } else { costs[row * columns + column as usize] };
                if column != NONE {
                    prop_assert_eq!(taken[column as usize], NONE);
                    taken[column as usize] = row as u32;
                }
            }
            prop_assert_eq!(actual, sum);
            prop_assert_eq!(&taken, &assignment.row_of);
            for (column, &dual) in assignment.column_duals.iter().enumerate() {
                prop_assert!(dual == 0 || dual < 0 && taken[column] != NONE);
                for row in 0..rows {
                    prop_assert!(assignment.row_duals[row] + dual <= costs[row * columns + column]);
                    prop_assert!(assignment.row_duals[row] <= unassigned[row]);
                }
            }
            // Stopping early returns a lower bound.
            let early = assignment.solve(columns, costs, &unassigned, sum - 2);
            prop_assert!(early >= sum - 2 && early <= sum);
        }
    }
}
