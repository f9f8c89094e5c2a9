//! One half of a round of Sinkhorn: what each row has to be divided by.

use crate::{
    kernels::{exp, ln, vectorize},
    parallel::{Blocks, RowsMut, Workers},
};

/// Lanes of sums and maxima, which are combined in order.
const LANES: usize = 16;

/// A cost divided by epsilon, by rows `[n, m]` and by columns `[m, n]`.
pub(super) struct Scaled {
    pub(super) rows: Vec<f64>,
    pub(super) columns: Vec<f64>,
}

impl Scaled {
    /// Of a cost `[n, m]`.
    pub(super) fn new(cost: impl IntoIterator<Item = f64>, [rows, columns]: [usize; 2], epsilon: f32) -> Self {
        let by_row: Vec<f64> = cost.into_iter().map(|cost| cost / f64::from(epsilon)).collect();
        let mut by_column = vec![0.0; by_row.len()];
        for (row, cost) in by_row.chunks_exact(columns).enumerate() {
            cost.iter().enumerate().for_each(|(column, cost)| by_column[column * rows + row] = *cost);
        }
        Self { rows: by_row, columns: by_column }
    }

    /// `<C, T>`, divided by epsilon.
    pub(super) fn value(&self, plan: &[f32]) -> f64 {
        self.rows.iter().zip(plan).map(|(cost, mass)| cost * f64::from(*mass)).sum()
    }
}

/// `sums[i] = ln sum over j of exp(potentials[j] - cost[i, j])`, for a cost `[len of sums, len of potentials]`.
///
/// Differences are taken in 64 bits, for exponents of hundreds would lose digits of the plan in 32; exponentials of
/// what is left after subtracting the largest are 32 bits wide.
pub(super) fn log_sums(cost: &[f64], potentials: &[f64], sums: &mut [f64], workers: &Workers) {
    let width = potentials.len();
    for_each_row(
        sums,
        width,
        workers,
        #[inline(always)]
        |row, sum| *sum = log_sum(&cost[row * width..][..width], potentials),
    );
}

/// Calls `body` with each row and its element of an output, for rows of this width.
pub(super) fn for_each_row(output: &mut [f64], width: usize, workers: &Workers, body: impl Fn(usize, &mut f64) + Sync) {
    let blocks = Blocks::of_width(output.len(), width);
    workers.for_each_block(blocks, EXPONENTIAL * width, RowsMut::new(output, 1), |rows, output| {
        vectorize(
            #[inline(always)]
            || rows.zip(output.data).for_each(|(row, output)| body(row, output)),
        );
    });
}

/// Accesses that cost as much as an exponential.
pub(super) const EXPONENTIAL: usize = 8;

#[inline(always)]
fn log_sum(cost: &[f64], potentials: &[f64]) -> f64 {
    let larger = |one: f64, other: f64| if other > one { other } else { one };
    let ((costs, rest), (others, other_rest)) = (cost.as_chunks::<LANES>(), potentials.as_chunks::<LANES>());
    let mut most = [f64::NEG_INFINITY; LANES];
    for (cost, potential) in costs.iter().zip(others) {
        for ((most, cost), potential) in most.iter_mut().zip(cost).zip(potential) {
            *most = larger(*most, potential - cost);
        }
    }
    let exponents = rest.iter().zip(other_rest).map(|(cost, potential)| potential - cost);
    let most = most.into_iter().chain(exponents.clone()).fold(f64::NEG_INFINITY, larger);
    if most == f64::NEG_INFINITY {
        return most;
    }
    let mut sums = [0.0; LANES];
    for (cost, potential) in costs.iter().zip(others) {
        for ((sum, cost), potential) in sums.iter_mut().zip(cost).zip(potential) {
            *sum += f64::from(exp((potential - cost - most) as f32));
        }
    }
    let rest: f64 = exponents.map(|exponent| f64::from(exp((exponent - most) as f32))).sum();
    most + f64::from(ln((sums.iter().sum::<f64>() + rest) as f32))
}

/// The logarithms of masses; minus infinity for 0.
pub(super) fn log_masses(masses: &[f32]) -> Vec<f64> {
    masses.iter().map(|mass| log_mass(*mass)).collect()
}

/// The logarithm, also of numbers that are not normal.
fn log_mass(mass: f32) -> f64 {
    const POWER: i32 = 24;
    if mass >= f32::MIN_POSITIVE {
        ln(mass).into()
    } else if mass > 0.0 {
        f64::from(ln(mass * 2f32.powi(POWER))) - f64::from(POWER) * core::f64::consts::LN_2
    } else {
        f64::NEG_INFINITY
    }
}
