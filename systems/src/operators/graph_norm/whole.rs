//! Sums over all nodes, where the graph has no subgraphs.

use connectome_components::Matrix;
use core::ops::Range;

use super::{check_widths, vectors};
use crate::program::{Cost, Domain, Footprint, Operator, Shape, Step, Value, kernel};

/// The mean of each feature over all nodes, where the graph has no subgraphs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeasureMean;

impl Operator for MeasureMean {
    fn name(&self) -> &'static str {
        "measure_mean"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn run(&self, step: &mut Step<'_>) {
        let (width, fraction) = (step.input(0).width(), 1.0 / step.input(0).row_count().max(1) as f32);
        sum_whole(
            step,
            [0],
            0..width,
            #[inline(always)]
            move |[values], row, sum| {
                sum.iter_mut().zip(values.row(row)).for_each(|(sum, value)| *sum += fraction * value);
            },
        );
    }
}

/// The mean of each feature over all nodes, then `1 / sqrt(mean C^2 + epsilon)`, where the graph has no subgraphs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeasureWhole {
    pub(super) epsilon: f32,
}

impl Operator for MeasureWhole {
    fn name(&self) -> &'static str {
        "measure_whole"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        check_widths(inputs[0], &inputs[1..])?;
        Ok(vec![Shape::new(Domain::Single, 2 * inputs[0].width())])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::All } else { Footprint::Same }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (width, fraction) = (step.input(0).width(), 1.0 / step.input(0).row_count().max(1) as f32);
        sum_whole(
            step,
            [0, 1, 2],
            width..2 * width,
            #[inline(always)]
            move |[values, mean, scale], row, sum| {
                let Some([mean, scale]) = vectors([mean, scale]) else { return };
                for ((sum, value), (mean, scale)) in sum.iter_mut().zip(values.row(row)).zip(mean.iter().zip(scale)) {
                    let centered = value - scale * mean;
                    *sum += fraction * (centered * centered);
                }
            },
        );
        let means = step.input(1);
        if let (Some(moments), Some(means)) = (step.output(0).rows_mut().next(), means.rows().next()) {
            let (mean, reciprocal) = moments.split_at_mut(width);
            mean.copy_from_slice(means);
            reciprocal.iter_mut().for_each(|square| *square = 1.0 / (*square + self.epsilon).sqrt());
        }
    }
}

/// Sums over all nodes where the graph has no subgraphs, `add(inputs, row, sum)` by row; else the sum is 0.
fn sum_whole<const K: usize>(
    step: &mut Step<'_>,
    inputs: [usize; K],
    range: Range<usize>,
    add: impl Fn([&Matrix; K], usize, &mut [f32]) + Sync,
) {
    step.output(0).rows_mut().for_each(|row| row.fill(0.0));
    if step.topology().subgraphs.is_empty() {
        step.sum_rows(
            inputs,
            range,
            #[inline(always)]
            |inputs, rows, sum| {
                sum.fill(0.0);
                rows.for_each(|row| add(inputs, row, sum));
            },
        );
    }
}

/// For each feature the sum of the gradient, then that of the gradient times `C / sqrt(mean C^2 + epsilon)`, where the graph
/// has no subgraphs.
pub(super) fn whole_gradient_sums(width: usize) -> impl Operator {
    kernel("graph_norm_whole_sums", Footprint::All, move |step: &mut Step<'_>| {
        sum_whole(
            step,
            [0, 1, 2, 3],
            0..2 * width,
            #[inline(always)]
            move |[gradient, values, moments, scale], row, sums| {
                let Some([moments, scale]) = vectors([moments, scale]) else { return };
                let (plain, normal) = sums.split_at_mut(width);
                let (mean, reciprocal) = moments.split_at(width);
                let (gradient, values) = (gradient.row(row), values.row(row));
                for index in 0..width {
                    let centered = values[index] - scale[index] * mean[index];
                    plain[index] += gradient[index];
                    normal[index] += gradient[index] * centered * reciprocal[index];
                }
            },
        );
    })
    .with_cost(Cost { per_row: 3 * width, per_entry: 0 })
}
