//! Local search that improves solutions by exchanging the columns of few rows.

use std::time::Instant;

use super::{Units, assignment::NONE, problem::Problem};

/// The maximum number of rows for which exchanges among three rows are tried.
const MAX_FOR_THREE: usize = 64;

/// Exchanges the columns of two rows, and of three if that does not help, as long as this lowers the cost; a row may
/// also take a free column or become unassigned: K-REFINE of N. Boria et al., *Improved Local Search for Graph Edit
/// Distance*, Pattern Recognition Letters 129, 2020, with the first improvement in place of the best. Returns the new
/// cost.
///
/// Stops at `end`.
pub(super) fn refine(problem: &Problem, mut cost: Units, column_of: &mut [u32], end: Option<Instant>) -> Units {
    let mut free: Vec<u32> = (0..problem.columns as u32).filter(|column| !column_of.contains(column)).collect();
    loop {
        let before = cost;
        for row in 0..column_of.len() {
            if end.is_some_and(|end| Instant::now() >= end) {
                return cost;
            }
            cost += move_row(problem, column_of, row, &mut free);
            cost += swap_two(problem, column_of, row);
        }
        if cost == before && problem.rows <= MAX_FOR_THREE {
            cost += rotate_three(problem, column_of);
        }
        if cost == before {
            return cost;
        }
    }
}

/// The relative cost of some rows and their incident edges.
fn cost_of(problem: &Problem, column_of: &[u32], rows: &[usize]) -> Units {
    let mut cost = 0;
    for (index, &row) in rows.iter().enumerate() {
        let column = column_of[row];
        cost += problem.row_gain(row, column);
        for &(other, kind) in &problem.row_neighbors[row] {
            // An edge between two of the rows counts once.
            if !rows[..index].contains(&(other as usize)) {
                cost += problem.edge_gain(kind as usize, column, column_of[other as usize]);
            }
        }
    }
    cost
}

/// Moves a row to a free column, or unassigns it, if this lowers the cost; returns the change.
fn move_row(problem: &Problem, column_of: &mut [u32], row: usize, free: &mut Vec<u32>) -> Units {
    let before = cost_of(problem, column_of, &[row]);
    let mut cost = before;
    for index in 0..free.len() {
        let old = core::mem::replace(&mut column_of[row], free[index]);
        let new_cost = cost_of(problem, column_of, &[row]);
        if new_cost >= cost {
            column_of[row] = old;
            continue;
        }
        cost = new_cost;
        if old == NONE {
            free.remove(index);
            break;
        }
        free[index] = old;
    }
    if problem.optional && column_of[row] != NONE {
        let old = core::mem::replace(&mut column_of[row], NONE);
        let new_cost = cost_of(problem, column_of, &[row]);
        if new_cost < cost {
            cost = new_cost;
            free.push(old);
        } else {
            column_of[row] = old;
        }
    }
    cost - before
}

/// Swaps the columns of a row and each one before it if this lowers the cost; returns the change.
fn swap_two(problem: &Problem, column_of: &mut [u32], row: usize) -> Units {
    let mut gained = 0;
    for other in 0..row {
        let before = cost_of(problem, column_of, &[row, other]);
        column_of.swap(row, other);
        let gain = cost_of(problem, column_of, &[row, other]) - before;
        if gain < 0 {
            gained += gain;
        } else {
            column_of.swap(row, other);
        }
    }
    gained
}

/// Rotates the columns of the first three rows for which this lowers the cost; returns the change.
fn rotate_three(problem: &Problem, column_of: &mut [u32]) -> Units {
    for one in 0..column_of.len() {
        for two in 0..one {
            for three in 0..two {
                let rows = [one, two, three];
                let old = rows.map(|row| column_of[row]);
                let before = cost_of(problem, column_of, &rows);
                for shift in 1..3 {
                    for index in 0..3 {
                        column_of[rows[index]] = old[(index + shift) % 3];
                    }
                    let gain = cost_of(problem, column_of, &rows) - before;
                    if gain < 0 {
                        return gain;
                    }
                }
                rows.iter().zip(old).for_each(|(row, column)| column_of[*row] = column);
            }
        }
    }
    0
}
