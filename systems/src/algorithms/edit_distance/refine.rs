//! Local search: solutions get better as long as few rows can change their columns for it.

use std::time::Instant;

use super::{Units, assignment::NONE, problem::Problem};

/// Graphs of more rows are searched by two rows at a time only.
const MAX_FOR_THREE: usize = 64;

/// Lets two rows, and where that does not help three, pass their columns around as long as this lowers the cost; a row may
/// also take a free column or stay alone: K-REFINE of N. Boria et al., *Improved Local Search for Graph Edit Distance*,
/// Pattern Recognition Letters 129, 2020, which takes the best change where this takes the first. Returns the new cost.
///
/// Gives up at `end`.
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

/// What some rows cost, with the edges that touch them.
fn cost_of(problem: &Problem, column_of: &[u32], rows: &[usize]) -> Units {
    let mut cost = 0;
    for (place, &row) in rows.iter().enumerate() {
        let column = column_of[row];
        cost += problem.row_gain(row, column);
        for &(other, kind) in &problem.row_neighbors[row] {
            // An edge between two of them counts once.
            if !rows[..place].contains(&(other as usize)) {
                cost += problem.edge_gain(kind as usize, column, column_of[other as usize]);
            }
        }
    }
    cost
}

/// Lets a row take a free column, or stay alone.
fn move_row(problem: &Problem, column_of: &mut [u32], row: usize, free: &mut Vec<u32>) -> Units {
    let before = cost_of(problem, column_of, &[row]);
    let mut cost = before;
    for place in 0..free.len() {
        let old = core::mem::replace(&mut column_of[row], free[place]);
        let new_cost = cost_of(problem, column_of, &[row]);
        if new_cost >= cost {
            column_of[row] = old;
            continue;
        }
        cost = new_cost;
        if old == NONE {
            free.remove(place);
            break;
        }
        free[place] = old;
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

/// Lets a row and one before it swap their columns.
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

fn rotate_three(problem: &Problem, column_of: &mut [u32]) -> Units {
    for one in 0..column_of.len() {
        for two in 0..one {
            for three in 0..two {
                let rows = [one, two, three];
                let old = rows.map(|row| column_of[row]);
                let before = cost_of(problem, column_of, &rows);
                for turn in 1..3 {
                    for place in 0..3 {
                        column_of[rows[place]] = old[(place + turn) % 3];
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
