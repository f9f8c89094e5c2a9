//! Weights of the terms of a loss.

use connectome_components::{ColumnSet, Field, Matrix, SplitMetrics};

use super::row::RowLoss;

/// The column of the row weights, if there are any.
pub(super) fn read_weights(weights: Option<Field>) -> ColumnSet {
    let mut set = ColumnSet::default();
    weights.into_iter().for_each(|weights| {
        set.read(weights);
    });
    set
}

/// The weights of the terms: that of the row times that of its class or, if targets are values, of the output
/// dimension.
pub(super) struct TermWeights<'a> {
    pub(super) rows: Option<Matrix<'a>>,
    pub(super) classes: &'a [f32],
}

impl TermWeights<'_> {
    /// Whether all weights are 1.
    #[inline(always)]
    pub(super) fn are_uniform(&self) -> bool {
        self.rows.is_none() && self.classes.is_empty()
    }

    /// Number of rows with a weight, if rows have weights.
    pub(super) fn row_count(&self) -> Option<usize> {
        self.rows.as_ref().map(Matrix::row_count)
    }

    /// The weight of a row; a row of weight 0 is skipped like one in no split.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> f32 {
        self.rows.as_ref().map_or(1.0, |rows| rows.row(row)[0])
    }

    #[inline(always)]
    fn class(&self, class: usize) -> f32 {
        if self.classes.is_empty() { 1.0 } else { self.classes.get(class).copied().unwrap_or(1.0) }
    }

    /// The sum of the weights of the terms of a row.
    pub(super) fn of_row<L: RowLoss>(&self, loss: L, row: usize, target: &[L::Target], width: usize) -> f64 {
        let row = f64::from(self.row(row));
        match loss.class(target) {
            Some(class) => row * f64::from(self.class(class as usize)),
            None if self.classes.is_empty() => row * loss.terms(target, width) as f64,
            None => self.classes.iter().map(|class| row * f64::from(*class)).sum(),
        }
    }

    /// As [`RowLoss::measure`], weighted.
    #[inline(always)]
    pub(super) fn measure<L: RowLoss>(
        &self,
        loss: L,
        row: usize,
        output: &[f32],
        target: &[L::Target],
    ) -> SplitMetrics {
        if self.are_uniform() {
            return loss.measure(output, target);
        }
        self.terms(
            loss,
            row,
            target,
            output.len(),
            #[inline(always)]
            |range, _| loss.measure(&output[range.clone()], targets_in(target, range)),
        )
    }

    /// As [`RowLoss::differentiate`], weighted.
    #[inline(always)]
    pub(super) fn differentiate<L: RowLoss>(
        &self,
        loss: L,
        row: usize,
        output: &[f32],
        target: &[L::Target],
        scale: f32,
        gradient: &mut [f32],
    ) -> SplitMetrics {
        if self.are_uniform() {
            return loss.differentiate(output, target, scale, gradient);
        }
        self.terms(
            loss,
            row,
            target,
            output.len(),
            #[inline(always)]
            |range, weight| {
                let target = targets_in(target, range.clone());
                loss.differentiate(&output[range.clone()], target, weight * scale, &mut gradient[range])
            },
        )
    }

    /// The weighted sum of the terms of a row, dimension by dimension if these have weights.
    #[inline(always)]
    fn terms<L: RowLoss>(
        &self,
        loss: L,
        row: usize,
        target: &[L::Target],
        width: usize,
        mut term: impl FnMut(core::ops::Range<usize>, f32) -> SplitMetrics,
    ) -> SplitMetrics {
        let row = self.row(row);
        let mut weigh = |range, weight: f32| {
            let sums = term(range, weight);
            let weight = f64::from(weight);
            SplitMetrics { loss_sum: weight * sums.loss_sum, weight: weight * sums.weight, ..sums }
        };
        match loss.class(target) {
            Some(class) => weigh(0..width, row * self.class(class as usize)),
            None if self.classes.is_empty() => weigh(0..width, row),
            None => {
                let mut total = SplitMetrics::default();
                for (index, class) in self.classes.iter().enumerate() {
                    total.merge(&weigh(index..index + 1, row * class));
                }
                total
            }
        }
    }
}

/// The targets of some output dimensions; the class if the target is a class.
#[inline(always)]
fn targets_in<T>(target: &[T], range: core::ops::Range<usize>) -> &[T] {
    target.get(range).unwrap_or(target)
}
