//! The gradient of a Sinkhorn plan with respect to the cost.

use super::{
    Entropic, Problem, Sinkhorn, TransportError,
    half_round::{EXPONENTIAL, Scaled, for_each_row, log_masses},
    problem::check_matrix,
    sinkhorn::scale,
};
use crate::{
    kernels::{exp, vectorize},
    parallel::{Blocks, RowsMut, Workers},
};

impl Sinkhorn {
    /// The gradient `[n, m]` with respect to the cost, from `gradient` `[n, m]`, that with respect to the plan which
    /// [`Sinkhorn::solve`] has found for this problem. It goes through all rounds.
    ///
    /// Of the rounds the sums are kept, `rounds (n + m)` numbers; weights are computed again. Costs `3 n m`
    /// exponentials a round.
    ///
    /// # Errors
    /// As [`Sinkhorn::solve`], and if the gradient does not fit or is not finite.
    pub fn gradient(
        &self,
        problem: Problem,
        found: &Entropic,
        gradient: &[f32],
        workers: &Workers,
    ) -> Result<Vec<f32>, TransportError> {
        self.check(&problem)?;
        let [rows, columns] = problem.shape();
        check_matrix("the gradient of the plan", gradient, [rows, columns])?;
        check_matrix("the plan", &found.plan, [rows, columns])?;
        let cost = Scaled::new(problem.wide_cost(), problem.shape(), self.epsilon);
        let relaxation = self.relaxation();
        let [log_source, log_target] = [problem.source, problem.target].map(log_masses);
        // With respect to potentials in units of epsilon: `dT = T`.
        let terms = |index: usize| f64::from(gradient[index]) * f64::from(found.plan[index]);
        let mut by_cost: Vec<f64> = (0..rows * columns).map(|index| -terms(index)).collect();
        let mut by_source: Vec<f64> =
            (0..rows).map(|row| (0..columns).map(|column| terms(row * columns + column)).sum()).collect();
        let mut by_target: Vec<f64> =
            (0..columns).map(|column| (0..rows).map(|row| terms(row * columns + column)).sum()).collect();
        for (round, [row_sums, column_sums]) in found.history.iter().enumerate().rev() {
            let source = scale(&log_source, row_sums, relaxation);
            let before = match round.checked_sub(1).map(|before| &found.history[before]) {
                Some([_, sums]) => scale(&log_target, sums, relaxation),
                None => vec![0.0; columns],
            };
            let through = Round { cost: &cost, source: &source, before: &before, row_sums, column_sums, relaxation };
            through.rows(&mut by_cost, &mut by_source, &by_target, workers);
            through.columns(&by_source, &mut by_target, workers);
            by_source.fill(0.0);
        }
        Ok(by_cost.into_iter().map(|gradient| (gradient / f64::from(self.epsilon)) as f32).collect())
    }
}

/// A round, on the way back. Potentials and gradients are in units of epsilon.
struct Round<'a> {
    cost: &'a Scaled,
    /// The potentials of the rows in this round.
    source: &'a [f64],
    /// Those of the columns in the round before.
    before: &'a [f64],
    row_sums: &'a [f64],
    column_sums: &'a [f64],
    relaxation: f64,
}

impl Round<'_> {
    /// Through the update of the columns to the potentials of the rows, and through that of the rows to the cost.
    ///
    /// Both updates are `log mass - log sum`; the derivative of the sum is a softmax, by column here and by row there.
    fn rows(&self, by_cost: &mut [f64], by_source: &mut [f64], by_target: &[f64], workers: &Workers) {
        let Self { cost, source, before, row_sums, column_sums, relaxation } = *self;
        let width = before.len();
        let blocks = Blocks::of_width(source.len(), width);
        let output = (RowsMut::new(by_cost, width), RowsMut::new(by_source, 1));
        workers.for_each_block(blocks, 2 * EXPONENTIAL * width, output, |rows, (by_cost, by_source)| {
            vectorize(
                #[inline(always)]
                || {
                    let outputs = by_cost.data.chunks_exact_mut(width).zip(by_source.data);
                    for (row, (by_cost, by_source)) in rows.zip(outputs) {
                        let cost = &cost.rows[row * width..][..width];
                        let mut total = 0.0;
                        for (column, (by_cost, cost)) in by_cost.iter_mut().zip(cost).enumerate() {
                            let exponent = source[row] - cost - column_sums[column];
                            let term = relaxation * by_target[column] * f64::from(exp(exponent as f32));
                            total += term;
                            *by_cost += term;
                        }
                        *by_source -= total;
                        let factor = relaxation * *by_source;
                        for ((by_cost, cost), before) in by_cost.iter_mut().zip(cost).zip(before) {
                            let exponent = before - cost - row_sums[row];
                            *by_cost += factor * f64::from(exp(exponent as f32));
                        }
                    }
                },
            );
        });
    }

    /// Through the update of the rows to the potentials of the columns in the round before.
    fn columns(&self, by_source: &[f64], by_target: &mut [f64], workers: &Workers) {
        let Self { cost, before, row_sums, relaxation, .. } = *self;
        let width = by_source.len();
        for_each_row(by_target, width, workers, |column, by_target| {
            let cost = &cost.columns[column * width..][..width];
            let mut total = 0.0;
            for ((cost, by_source), row_sum) in cost.iter().zip(by_source).zip(row_sums) {
                let exponent = before[column] - cost - row_sum;
                total += by_source * f64::from(exp(exponent as f32));
            }
            *by_target = -relaxation * total;
        });
    }
}
