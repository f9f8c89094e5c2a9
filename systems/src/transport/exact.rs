//! Exact optimal transport by the network simplex.
//!
//! The primal simplex of G. B. Dantzig for transportation problems, on a spanning tree with parents and children.
//! Masses are whole numbers, perturbed so that no basis is degenerate (A. Orden, *The Transhipment Problem*, Management
//! Science 2, 1956): each pivot improves the value, and flows are exact. The assignment solver of the edit distance is
//! the special case of one unit each, with integer costs and rows that may stay unassigned.

use super::{Problem, TransportError, problem::total, tree::Tree};
use crate::kernels::vectorize;

/// An optimal plan, and the potentials that prove it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// `T`, `[n, m]`; at most `n + m - 1` elements are not 0.
    pub plan: Vec<f32>,
    /// `<C, T>`, the minimum.
    pub value: f64,
    /// `u`, `[n]`: `u_i + v_j` is at most `C_ij`, and equal to it where `T_ij` is not 0. The derivative of the value
    /// with respect to the mass of a row, up to a constant.
    pub source_potentials: Vec<f64>,
    /// `v`, `[m]`.
    pub target_potentials: Vec<f64>,
}

/// The plan of least cost with the marginals of the problem. The gradient of the value with respect to the cost is the
/// plan.
///
/// Typical cost: about `n + m` to `4 (n + m)` pivots, each of which looks at one or more rows of the cost.
///
/// ```
/// use connectome_systems::transport::{Problem, exact};
///
/// let problem = Problem { cost: &[0.0, 1.0, 1.0, 0.0], source: &[0.5, 0.5], target: &[0.25, 0.75] };
/// let found = exact(problem)?;
/// assert_eq!(found.plan, [0.25, 0.25, 0.0, 0.5]);
/// assert_eq!(found.value, 0.25);
/// # Ok::<(), connectome_systems::transport::TransportError>(())
/// ```
///
/// # Errors
/// If the arrays do not fit, an element is not finite, masses are negative or all 0, or the totals differ.
pub fn exact(problem: Problem) -> Result<Exact, TransportError> {
    problem.check_balanced()?;
    let [rows, columns] = problem.shape();
    let cost = problem.wide_cost();
    let mut simplex = NetworkSimplex::new(&cost, [problem.source, problem.target]);
    simplex.minimize(&cost)?;
    let mut plan = vec![0.0; rows * columns];
    let mut value = 0.0;
    for (row, column, mass) in simplex.flows() {
        let index = row * columns + column;
        plan[index] = mass as f32;
        value += cost[index] * mass;
    }
    let (source, target) = simplex.tree.potentials();
    Ok(Exact { plan, value, source_potentials: source.to_vec(), target_potentials: target.to_vec() })
}

/// A basis of a problem, from which it can be solved again for other costs.
#[derive(Clone, Debug)]
pub(crate) struct NetworkSimplex {
    tree: Tree,
    shape: [usize; 2],
    /// By how much whole masses are multiplied to make room for the perturbation.
    spread: i64,
    /// The mass of one unit.
    unit: f64,
}

impl NetworkSimplex {
    /// A first basis of a problem that is checked: each row in turn sends what it has where that is cheapest.
    pub(crate) fn new(cost: &[f64], [source_masses, target_masses]: [&[f32]; 2]) -> Self {
        let shape = [source_masses.len(), target_masses.len()];
        let [rows, columns] = shape;
        let (source, target) = units(source_masses, target_masses);
        let unit = total(source_masses) / source.iter().sum::<i64>() as f64;
        // Rows get `columns + 1` more, columns 1, and the last column the rest: no sum of some of these is 0, unless it
        // is that of all or none.
        let spread = spread(shape);
        let by_row = columns as i64 + 1;
        let mut left: Vec<i64> = source.iter().map(|mass| mass * spread + by_row).collect();
        let mut missing: Vec<i64> = target.iter().map(|mass| mass * spread + 1).collect();
        if let Some(last) = missing.last_mut() {
            *last += rows as i64 * by_row - columns as i64;
        }
        let mut arcs = Vec::with_capacity(rows + columns);
        for (row, cost) in cost.chunks_exact(columns).enumerate() {
            while left[row] > 0 {
                let open = cost.iter().enumerate().filter(|(column, _)| missing[*column] > 0);
                let Some((column, _)) = open.min_by(|(_, one), (_, other)| one.total_cmp(other)) else { break };
                let flow = left[row].min(missing[column]);
                left[row] -= flow;
                missing[column] -= flow;
                arcs.push((row, column, flow));
            }
        }
        Self { tree: Tree::new(shape, &arcs), shape, spread, unit }
    }

    /// Finds the optimal basis for a cost `[n, m]` from the present one.
    pub(crate) fn minimize(&mut self, cost: &[f64]) -> Result<(), TransportError> {
        let [rows, columns] = self.shape;
        let nodes = rows + columns;
        let scale = cost.iter().fold(0.0, |largest: f64, cost| largest.max(cost.abs()));
        // More than the rounding error of potentials, each of which is a sum along the tree.
        let tolerance = 2.0 * nodes as f64 * f64::EPSILON * scale;
        // Far more than are ever needed; rounding must not keep it going.
        let limit = 1000 * nodes + rows.saturating_mul(columns);
        self.tree.price(cost);
        let mut start = 0;
        for _ in 0..limit {
            let (source, target) = self.tree.potentials();
            let Some((row, column)) = cheaper(cost, [source, target], start, tolerance) else { return Ok(()) };
            self.tree.pivot(row, column, cost);
            start = (row + 1) % rows;
        }
        let value = self.flows().map(|(row, column, mass)| cost[row * columns + column] * mass).sum();
        Err(TransportError::NotConverged { rounds: limit, value, gap: tolerance })
    }

    /// The number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.shape[1]
    }

    /// The row, the column and the mass of each arc of the basis; masses may be 0.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        // The perturbation is less than half of the spread.
        let whole = |flow: i64| (flow + self.spread / 2).div_euclid(self.spread);
        self.tree.arcs().map(move |(row, column, flow)| (row, column, whole(flow) as f64 * self.unit))
    }
}

/// More than twice the sum of all perturbations.
fn spread([rows, columns]: [usize; 2]) -> i64 {
    2 * rows as i64 * (columns as i64 + 1) + 1
}

/// Masses as whole numbers with equal sums: exact where all rows have one mass and all columns one, or where masses are
/// multiples of a power of two.
fn units(source: &[f32], target: &[f32]) -> (Vec<i64>, Vec<i64>) {
    let is_uniform = |masses: &[f32]| masses.iter().all(|mass| *mass == masses[0]);
    if is_uniform(source) && is_uniform(target) {
        return (vec![target.len() as i64; source.len()], vec![source.len() as i64; target.len()]);
    }
    // So many that sums of perturbed masses stay far below the largest integer.
    let largest = (1 << 61) / spread([source.len(), target.len()]);
    let count = 1 << largest.max(1).ilog2().min(52);
    (whole_masses(source, count), whole_masses(target, count))
}

/// Shares of `count` in proportion to the masses. What rounding leaves goes to the largest.
fn whole_masses(masses: &[f32], count: i64) -> Vec<i64> {
    let factor = count as f64 / total(masses);
    let mut whole: Vec<i64> = masses.iter().map(|mass| (f64::from(*mass) * factor) as i64).collect();
    let rest = count - whole.iter().sum::<i64>();
    if let Some(largest) = whole.iter_mut().rev().max() {
        *largest += rest;
    }
    whole
}

/// In the first row from `start` on that has one, cyclically, the cell whose cost is the furthest below the sum of its
/// potentials.
fn cheaper(cost: &[f64], [source, target]: [&[f64]; 2], start: usize, tolerance: f64) -> Option<(usize, usize)> {
    let columns = target.len();
    vectorize(
        #[inline(always)]
        || {
            for row in (start..source.len()).chain(0..start) {
                let cost = &cost[row * columns..][..columns];
                let least = least_difference(cost, target);
                if least < source[row] - tolerance {
                    let is_least = |(cost, potential): (&f64, &f64)| cost - potential == least;
                    return cost.iter().zip(target).position(is_least).map(|column| (row, column));
                }
            }
            None
        },
    )
}

/// The minimum of `cost[j] - potential[j]`.
#[inline(always)]
fn least_difference(cost: &[f64], potential: &[f64]) -> f64 {
    const LANES: usize = 16;
    let ((costs, rest), (potentials, other)) = (cost.as_chunks::<LANES>(), potential.as_chunks::<LANES>());
    let mut least = [f64::INFINITY; LANES];
    let smaller = |one: f64, other: f64| if other < one { other } else { one };
    for (cost, potential) in costs.iter().zip(potentials) {
        for ((least, cost), potential) in least.iter_mut().zip(cost).zip(potential) {
            *least = smaller(*least, cost - potential);
        }
    }
    let rest = rest.iter().zip(other).map(|(cost, potential)| cost - potential);
    least.into_iter().chain(rest).fold(f64::INFINITY, smaller)
}
