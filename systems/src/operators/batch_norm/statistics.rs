//! Mean and variance over all rows.

use connectome_components::{Matrix, Topology};
use std::sync::Arc;

use crate::{
    kernels::add_rows,
    program::{Domain, Footprint, InInference, Operator, Partition, Shape, Step, Value},
};

/// The sum of each feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sums;

impl Operator for Sums {
    fn name(&self) -> &'static str {
        "batch_norm_sums"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn run(&self, step: &mut Step<'_>) {
        let width = step.input(0).width();
        step.sum_rows(
            [0],
            0..width,
            #[inline(always)]
            |[values], rows, sum| {
                sum.fill(0.0);
                add_rows(values.slice(rows), sum);
            },
        );
    }
}

/// The sums of differences from the mean, and of their squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deviations(pub(super) Population);

impl Operator for Deviations {
    fn name(&self) -> &'static str {
        "batch_norm_deviations"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, 2 * inputs[0].width())])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 0 { Footprint::All } else { Footprint::Same }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (width, row_weight) = (step.input(0).width(), self.0.weight(step.topology(), &step.input(0)));
        step.sum_rows(
            [0, 1],
            0..2 * width,
            #[inline(always)]
            |[values, sums], rows, sum| {
                sum.fill(0.0);
                let sums = only_row(sums);
                let (first, second) = sum.split_at_mut(width);
                for row in rows {
                    let totals = first.iter_mut().zip(second.iter_mut());
                    for ((first, second), (value, sum)) in totals.zip(values.row(row).iter().zip(sums)) {
                        let deviation = value - row_weight * sum;
                        *first += deviation;
                        *second += deviation * deviation;
                    }
                }
            },
        );
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of all rows, from [`Sums`], [`Deviations`] and the values, whose rows it
/// counts; zeros without rows. Outside of training it is [`RunningStatistics`], from the inputs after these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BatchStatistics {
    pub(super) population: Population,
    pub(super) running: RunningStatistics,
}

impl Operator for BatchStatistics {
    fn name(&self) -> &'static str {
        "batch_norm_statistics"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        check_widths(inputs[0].width(), &inputs[3..])?;
        self.running.shapes(&inputs[3..])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 2 { Footprint::All } else { Footprint::Same }
    }

    fn in_inference(&self, _: &[Value]) -> InInference {
        InInference::Replaced(Arc::new(self.running), vec![3, 4])
    }

    fn run(&self, step: &mut Step<'_>) {
        let Self { population, running: RunningStatistics { epsilon } } = *self;
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            move |topology, [sums, deviations, values], _, statistics| {
                let count = population.count(topology, values);
                if count == 0 {
                    statistics.fill(0.0);
                    return;
                }
                let (mean, scale) = statistics.split_at_mut(statistics.len() / 2);
                let measured = measured(sums, deviations, count);
                for ((mean, scale), (measured, squares)) in mean.iter_mut().zip(scale).zip(measured) {
                    *mean = measured;
                    *scale = 1.0 / (squares / count as f32 + epsilon).sqrt();
                }
            },
        );
    }
}

/// The running mean and `1 / sqrt(running variance + epsilon)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RunningStatistics {
    pub(super) epsilon: f32,
}

impl Operator for RunningStatistics {
    fn name(&self) -> &'static str {
        "batch_norm_statistics"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let width = inputs[0].width();
        check_widths(width, inputs)?;
        Ok(vec![Shape::new(Domain::Single, 2 * width)])
    }

    fn run(&self, step: &mut Step<'_>) {
        let epsilon = self.epsilon;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |_, [running_mean, running_variance], _, statistics| {
                let (mean, scale) = statistics.split_at_mut(statistics.len() / 2);
                mean.copy_from_slice(only_row(running_mean));
                for (scale, variance) in scale.iter_mut().zip(only_row(running_variance)) {
                    *scale = 1.0 / (variance + epsilon).sqrt();
                }
            },
        );
    }
}

/// Moves a running mean or variance toward that of all rows, from the first inputs of [`BatchStatistics`]; the identity
/// outside of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct UpdateRunning {
    pub(super) moment: Moment,
    pub(super) population: Population,
    pub(super) momentum: f32,
}

/// A running statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Mean,
    /// Over `N - 1`: undefined for a single row.
    Variance,
}

impl Operator for UpdateRunning {
    fn name(&self) -> &'static str {
        "batch_norm_running"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input == 2 { Footprint::All } else { Footprint::Same }
    }

    fn in_inference(&self, _: &[Value]) -> InInference {
        InInference::Identity
    }

    fn run(&self, step: &mut Step<'_>) {
        let Self { moment, population, momentum } = *self;
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            move |topology, [sums, deviations, values], _, running| {
                let count = population.count(topology, values);
                let least = match moment {
                    Moment::Mean => 1,
                    Moment::Variance => 2,
                };
                if count < least {
                    return;
                }
                for (running, (mean, squares)) in running.iter_mut().zip(measured(sums, deviations, count)) {
                    let measured = match moment {
                        Moment::Mean => mean,
                        Moment::Variance => squares / (count as f32 - 1.0),
                    };
                    *running += momentum * (measured - *running);
                }
            },
        );
    }
}

/// For each feature its mean, and the sum of the squared differences from it.
#[inline(always)]
fn measured<'a>(
    sums: &Matrix<'a>,
    deviations: &Matrix<'a>,
    count: usize,
) -> impl Iterator<Item = (f32, f32)> + use<'a> {
    let ((first, second), count) = (halves(deviations), count as f32);
    let inverse = 1.0 / count;
    only_row(sums).iter().zip(first.iter().zip(second)).map(
        #[inline(always)]
        move |(sum, (first, second))| (inverse * sum + first / count, (second - first * first / count).max(0.0)),
    )
}

/// The rows over which mean and variance are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Population {
    /// All rows.
    All,
    /// All edges but dangling ones.
    Edges,
}

impl Population {
    #[inline(always)]
    pub(super) fn has(self, topology: &Topology, row: usize) -> bool {
        self == Self::All || topology.endpoints[row][0] != Topology::NO_ROW
    }

    #[inline(always)]
    fn count(self, topology: &Topology, values: &Matrix) -> usize {
        match self {
            Self::All => values.row_count(),
            Self::Edges => topology.incoming.len(),
        }
    }

    /// The weight of each row in a mean.
    #[inline(always)]
    pub(super) fn weight(self, topology: &Topology, values: &Matrix) -> f32 {
        1.0 / self.count(topology, values).max(1) as f32
    }
}

pub(super) fn check_widths(width: usize, parameters: &[Value]) -> Result<(), String> {
    match parameters.iter().find(|parameter| parameter.width() != width) {
        Some(parameter) => Err(mismatch(parameter.width(), width)),
        None => Ok(()),
    }
}

pub(super) fn mismatch(found: usize, width: usize) -> String {
    format!("normalizes {found} features, but its input is {width} wide; give both one width")
}

#[inline(always)]
pub(super) fn only_row<'a>(matrix: &Matrix<'a>) -> &'a [f32] {
    matrix.rows().next().unwrap_or(&[])
}

/// The two halves of the only row.
#[inline(always)]
pub(super) fn halves<'a>(matrix: &Matrix<'a>) -> (&'a [f32], &'a [f32]) {
    let row = only_row(matrix);
    row.split_at(row.len() / 2)
}
