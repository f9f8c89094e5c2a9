//! The linear sum assignment problem (LSAP): each row gets a column of its own, or stays alone, so that the sum is least.
//!
//! Shortest augmenting paths with dual variables, after R. Jonker and A. Volgenant, *A Shortest Augmenting Path Algorithm
//! for Dense and Sparse Linear Assignment Problems*, Computing 38, 1987. Whole numbers: the sums are exact.

use super::Units;

/// No column, or no row.
pub(super) const NONE: u32 = u32::MAX;

/// More than any sum, and small enough that a few of them can be added.
pub(super) const FORBIDDEN: Units = Units::MAX / 8;

/// Who is assigned to whom, and the room to find it out.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignment {
    /// The column of each row; [`NONE`] for a row that stays alone.
    pub column_of: Vec<u32>,
    /// The row of each column, or [`NONE`].
    pub row_of: Vec<u32>,
    /// What the sum grows by at least where a row is added. `of_rows[i] + of_columns[j]` is at most the cost of `i, j`.
    pub of_rows: Vec<Units>,
    /// Not positive, and 0 for columns without a row.
    pub of_columns: Vec<Units>,
    path: Path,
}

/// The shortest paths from a row that has no column yet.
#[derive(Clone, Debug, Default)]
struct Path {
    /// To each column.
    distance: Vec<Units>,
    /// The row before each column.
    before: Vec<u32>,
    /// Columns whose distance is final.
    done: Vec<u32>,
    /// The others.
    open: Vec<u32>,
}

impl Assignment {
    /// Solves for rows that cost `costs`, `[rows, columns]`, and `alone` where they stay alone, `[rows]`; returns the least
    /// sum. Gives up, with a sum that is too low, once that is not below `limit`. Where it is [`FORBIDDEN`] to stay
    /// alone, there must be at least as many columns as rows.
    pub fn solve(&mut self, columns: usize, costs: &[Units], alone: &[Units], limit: Units) -> Units {
        let rows = alone.len();
        self.column_of.clear();
        self.column_of.resize(rows, NONE);
        self.row_of.clear();
        self.row_of.resize(columns, NONE);
        self.of_columns.clear();
        self.of_columns.resize(columns, 0);
        self.of_rows.clear();
        for (row, alone) in alone.iter().enumerate() {
            let costs = &costs[row * columns..][..columns];
            let least = costs.iter().fold(*alone, |least, cost| least.min(*cost));
            self.of_rows.push(least);
            let is_free = |(cost, row): (&Units, &u32)| *cost == least && *row == NONE;
            if let Some(column) = costs.iter().zip(&self.row_of).position(is_free) {
                self.join(row, column);
            }
        }
        let mut sum: Units = self.of_rows.iter().sum();
        for row in 0..rows {
            if sum >= limit {
                break;
            }
            // Its cheapest columns were taken, and it does not like to stay alone.
            if self.column_of[row] == NONE && self.of_rows[row] < alone[row] {
                sum += self.augment(row, columns, costs, alone);
            }
        }
        sum
    }

    fn join(&mut self, row: usize, column: usize) {
        self.row_of[column] = row as u32;
        self.column_of[row] = column as u32;
    }

    /// Finds a column for one more row, along the shortest path on which rows pass their columns on; returns its length.
    fn augment(&mut self, start: usize, columns: usize, costs: &[Units], alone: &[Units]) -> Units {
        let Path { distance, before, done, open } = &mut self.path;
        distance.clear();
        before.clear();
        before.resize(columns, start as u32);
        done.clear();
        open.clear();
        open.extend(0..columns as u32);
        let of_columns = &mut self.of_columns;
        let own = self.of_rows[start];
        distance.extend(costs[start * columns..][..columns].iter().zip(&*of_columns).map(|(cost, of)| cost - own - of));
        // The cheapest way to end with a row that stays alone, and that row.
        let (mut leave, mut leaver) = (alone[start] - own, start);
        let (length, mut end) = loop {
            let nearest = open.iter().enumerate().min_by_key(|(_, column)| distance[**column as usize]);
            let Some((place, &column)) = nearest.filter(|(_, column)| distance[**column as usize] < leave) else {
                break (leave, NONE);
            };
            let length = distance[column as usize];
            let row = self.row_of[column as usize];
            if row == NONE {
                break (length, column);
            }
            open.swap_remove(place);
            done.push(column);
            let row = row as usize;
            let base = length - self.of_rows[row];
            if base + alone[row] < leave {
                (leave, leaver) = (base + alone[row], row);
            }
            let costs = &costs[row * columns..][..columns];
            for &column in &*open {
                let column = column as usize;
                let through = base + costs[column] - of_columns[column];
                if through < distance[column] {
                    distance[column] = through;
                    before[column] = row as u32;
                }
            }
        };
        self.of_rows[start] += length;
        for &column in &*done {
            let gain = length - distance[column as usize];
            of_columns[column as usize] -= gain;
            self.of_rows[self.row_of[column as usize] as usize] += gain;
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

    /// The least sum over all ways to assign the rows from `row` on.
    fn least(columns: usize, costs: &[Units], alone: &[Units], row: usize, taken: &mut Vec<usize>) -> Units {
        if row == alone.len() {
            return 0;
        }
        let mut best = alone[row] + least(columns, costs, alone, row + 1, taken);
        for column in 0..columns {
            if !taken.contains(&column) {
                taken.push(column);
                best = best.min(costs[row * columns + column] + least(columns, costs, alone, row + 1, taken));
                taken.pop();
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_sum_is_the_least(
            columns in 0..6_usize,
            rows in 0..6_usize,
            costs in vec(-5..6 as Units, 36),
            alone in vec(-3..8 as Units, 6),
            may_stay_alone: bool,
        ) {
            let rows = if may_stay_alone { rows } else { rows.min(columns) };
            let costs = &costs[..rows * columns];
            let alone = if may_stay_alone { alone[..rows].to_vec() } else { vec![FORBIDDEN; rows] };
            let mut assignment = Assignment::default();
            let sum = assignment.solve(columns, costs, &alone, Units::MAX);
            prop_assert_eq!(sum, least(columns, costs, &alone, 0, &mut Vec::new()));
            let mut taken = vec![NONE; columns];
            let mut real = 0;
            for row in 0..rows {
                let column = assignment.column_of[row];
                real += if column == NONE { alone[row] } else { costs[row * columns + column as usize] };
                if column != NONE {
                    prop_assert_eq!(taken[column as usize], NONE);
                    taken[column as usize] = row as u32;
                }
            }
            prop_assert_eq!(real, sum);
            prop_assert_eq!(&taken, &assignment.row_of);
            for (column, &of_column) in assignment.of_columns.iter().enumerate() {
                prop_assert!(of_column == 0 || of_column < 0 && taken[column] != NONE);
                for row in 0..rows {
                    prop_assert!(assignment.of_rows[row] + of_column <= costs[row * columns + column]);
                    prop_assert!(assignment.of_rows[row] <= alone[row]);
                }
            }
            // What gives up says no more than it knows.
            let early = assignment.solve(columns, costs, &alone, sum - 2);
            prop_assert!(early >= sum - 2 && early <= sum);
        }
    }
}
