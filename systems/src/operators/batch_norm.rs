//! Each column brought to mean 0 and variance 1 over all rows.

use connectome_components::{Matrix, Topology};
use core::ops::Range;
use std::sync::Arc;

use crate::{
    kernels::add_rows,
    layers::BuildError,
    program::{
        Cost, Domain, Footprint, InInference, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight,
        kernel,
    },
};

/// What a batch normalization learns and remembers; the parameters are as wide as its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalizer {
    /// `w`.
    pub weight: Weight,
    /// `b`.
    pub bias: Weight,
    /// The running mean.
    pub mean: Weight,
    /// The running variance.
    pub variance: Weight,
    /// Added to each variance.
    pub epsilon: f32,
    /// The share of a training step in the running statistics.
    pub momentum: f32,
    /// Whether training too goes by the running statistics, and leaves them as they are.
    pub frozen: bool,
}

/// `Y = w (X - mean) / sqrt(variance + epsilon) + b`, column by column (Ioffe & Szegedy, ICML 2015, algorithm 1).
///
/// In training mean and variance are those of all rows, dangling edges left out, gradients go through them, and the running
/// ones move towards them, the variance over `N - 1`. Elsewhere they are the running ones. The variance is taken of the
/// differences from the mean, corrected by what rounding has left of their sum (Chan, Golub & LeVeque 1983, eq. 1.7).
///
/// # Errors
/// If the value is sparse, or the parameters are not of its width.
pub fn batch_norm(program: &mut Program, input: Value, normalizer: BatchNormalizer) -> Result<Value, BuildError> {
    let values = program.dense(input)?;
    let BatchNormalizer { weight, bias, mean, variance, epsilon, momentum, frozen } = normalizer;
    let population = if values.domain() == program.edges() { Population::Edges } else { Population::All };
    let running = RunningStatistics { epsilon };
    let statistics = if frozen {
        program.record_one(running, &[mean, variance].map(|buffer| buffer.value()))?
    } else {
        // Gradients go through the statistics too, as a part of the derivative of the whole.
        let values = values.detached();
        let sums = program.record_one(Sums(population), &[values])?;
        let deviations = program.record_one(Deviations(population), &[values, sums])?;
        let inputs = [sums, deviations, values, mean.value(), variance.value()];
        let statistics = program.record_one(BatchStatistics { population, running }, &inputs)?;
        for (moment, buffer) in [(Moment::Mean, mean), (Moment::Variance, variance)] {
            program.record_update(UpdateRunning { moment, population, momentum }, &inputs[..3], buffer)?;
        }
        statistics
    };
    let by_batch = !frozen;
    program.record_one(BatchNorm { population, by_batch }, &[values, statistics, weight.value(), bias.value()])
}

/// The sum of each column.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sums(Population);

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
        let (population, width) = (self.0, step.input(0).width());
        step.sum_rows(
            [0],
            0..width,
            #[inline(always)]
            |topology, [values], rows, sum| {
                sum.fill(0.0);
                match population {
                    Population::All => add_rows(values.slice(rows), sum),
                    Population::Edges => {
                        let present = rows.filter(|row| population.has(topology, *row));
                        present.for_each(|row| add_rows(values.row(row), sum));
                    }
                }
            },
        );
    }
}

/// The sums of differences from the mean, and of their squares.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Deviations(Population);

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
        let (population, width) = (self.0, step.input(0).width());
        step.sum_rows(
            [0, 1],
            0..2 * width,
            #[inline(always)]
            |topology, [values, sums], rows, sum| {
                sum.fill(0.0);
                let (sums, share) = (only_row(sums), population.share(topology, values));
                let (first, second) = sum.split_at_mut(width);
                for row in rows.filter(|row| population.has(topology, *row)) {
                    let totals = first.iter_mut().zip(second.iter_mut());
                    for ((first, second), (value, sum)) in totals.zip(values.row(row).iter().zip(sums)) {
                        let deviation = value - share * sum;
                        *first += deviation;
                        *second += deviation * deviation;
                    }
                }
            },
        );
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of all rows, from [`Sums`], [`Deviations`] and the values, of which it reads how
/// many there are; zeros if there is none. Outside of training [`RunningStatistics`], from the inputs after these.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BatchStatistics {
    population: Population,
    running: RunningStatistics,
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
struct RunningStatistics {
    epsilon: f32,
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

/// Moves a running mean or variance towards that of all rows, from the first inputs of [`BatchStatistics`]. Outside of
/// training it is left as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct UpdateRunning {
    moment: Moment,
    population: Population,
    momentum: f32,
}

/// What is remembered of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Mean,
    /// Over `N - 1`: unknown of a single row.
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

/// For each column its mean, and the sum of the squares of the differences from it.
#[inline(always)]
fn measured<'a>(
    sums: &Matrix<'a>,
    deviations: &Matrix<'a>,
    count: usize,
) -> impl Iterator<Item = (f32, f32)> + use<'a> {
    let ((first, second), count) = (halves(deviations), count as f32);
    let share = 1.0 / count;
    only_row(sums).iter().zip(first.iter().zip(second)).map(
        #[inline(always)]
        move |(sum, (first, second))| (share * sum + first / count, (second - first * first / count).max(0.0)),
    )
}

/// [`batch_norm`], from the values, their statistics, `w` and `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BatchNorm {
    population: Population,
    /// Whether the statistics are those of the values, in training.
    by_batch: bool,
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let width = inputs[0].width();
        check_widths(width, &inputs[2..])?;
        if inputs[1].width() != 2 * width {
            return Err(mismatch(inputs[1].width() / 2, width));
        }
        Ok(vec![inputs[0].shape()])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 2 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, 3],
            #[inline(always)]
            |_, [values, statistics, weight, bias], rows, output| {
                let (mean, scale) = halves(statistics);
                let columns = mean.iter().zip(scale).zip(only_row(weight).iter().zip(only_row(bias)));
                let width = values.width();
                for (output, values) in output.chunks_exact_mut(width).zip(values.slice(rows).chunks_exact(width)) {
                    for ((output, value), ((mean, scale), (weight, bias))) in
                        output.iter_mut().zip(values).zip(columns.clone())
                    {
                        *output = (value - mean) * (scale * weight) + bias;
                    }
                }
            },
        );
    }

    fn differentiate(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let &[Some(gradient)] = gradients else { return Ok(()) };
        let &[values, statistics, weight, bias] = &operation.inputs[..] else { return Ok(()) };
        let width = values.width();
        let inputs = [gradient, values, statistics];
        let totals = tape.compute(totals(self.population, width), &inputs, Shape::new(Domain::Single, 2 * width))?;
        tape.weight_gradient(bias, 0..width, total_gradient(0..width), &[totals])?;
        tape.weight_gradient(weight, 0..width, total_gradient(width..2 * width), &[totals])?;
        tape.gradient(values, self.input_gradient(width), &[gradient, values, statistics, weight, totals])
    }
}

impl BatchNorm {
    /// `w s (G - mean of G - Z mean of (G Z))` with `s = 1 / sqrt(variance + epsilon)` and the normalized values `Z`; the
    /// means are left out where the statistics are given.
    fn input_gradient(self, width: usize) -> impl Operator {
        let Self { population, by_batch } = self;
        kernel("batch_norm_backward", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1, 2, 3, 4],
                #[inline(always)]
                move |topology, [gradient, values, statistics, weight, totals], rows, target| {
                    let share = if by_batch { population.share(topology, values) } else { 0.0 };
                    let ((mean, scale), (first, second)) = (halves(statistics), halves(totals));
                    let columns = mean.iter().zip(scale).zip(only_row(weight)).zip(first.iter().zip(second));
                    for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                        if !population.has(topology, row) {
                            target.fill(0.0);
                            continue;
                        }
                        let (gradient, values) = (gradient.row(row), values.row(row));
                        let terms = target.iter_mut().zip(gradient.iter().zip(values));
                        for ((target, (gradient, value)), (((mean, scale), weight), (first, second))) in
                            terms.zip(columns.clone())
                        {
                            let normalized = (value - mean) * scale;
                            *target = weight * scale * (gradient - share * (first + normalized * second));
                        }
                    }
                },
            );
        })
        .with_cost(Cost { per_row: 5 * width, per_entry: 0 })
    }
}

/// The sums of gradients, and of gradients times normalized values.
fn totals(population: Population, width: usize) -> impl Operator {
    kernel("batch_norm_totals", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1, 2],
            0..2 * width,
            #[inline(always)]
            |topology, [gradient, values, statistics], rows, sum| {
                sum.fill(0.0);
                let (mean, scale) = halves(statistics);
                let columns = mean.iter().zip(scale);
                let (first, second) = sum.split_at_mut(width);
                for row in rows.filter(|row| population.has(topology, *row)) {
                    let (gradient, values) = (gradient.row(row), values.row(row));
                    let totals = first.iter_mut().zip(second.iter_mut());
                    for (((first, second), (gradient, value)), (mean, scale)) in
                        totals.zip(gradient.iter().zip(values)).zip(columns.clone())
                    {
                        *first += gradient;
                        *second += gradient * ((value - mean) * scale);
                    }
                }
            },
        );
    })
    .with_cost(Cost { per_row: 2 * width, per_entry: 0 })
}

/// The gradient with respect to a parameter: these columns of the totals.
fn total_gradient(columns: Range<usize>) -> impl Operator {
    kernel("batch_norm_parameter_gradient", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [totals], _, target| target.copy_from_slice(&only_row(totals)[columns.clone()]),
        );
    })
}

/// Whose mean and variance are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Population {
    /// All rows.
    All,
    /// Those of the edges that are not dangling, for these carry nothing.
    Edges,
}

impl Population {
    #[inline(always)]
    fn has(self, topology: &Topology, row: usize) -> bool {
        self == Self::All || topology.endpoints[row][0] != Topology::NO_ROW
    }

    #[inline(always)]
    fn count(self, topology: &Topology, values: &Matrix) -> usize {
        match self {
            Self::All => values.row_count(),
            Self::Edges => topology.incoming.len(),
        }
    }

    /// What each row adds to a mean.
    #[inline(always)]
    fn share(self, topology: &Topology, values: &Matrix) -> f32 {
        1.0 / self.count(topology, values).max(1) as f32
    }
}

fn check_widths(width: usize, parameters: &[Value]) -> Result<(), String> {
    match parameters.iter().find(|parameter| parameter.width() != width) {
        Some(parameter) => Err(mismatch(parameter.width(), width)),
        None => Ok(()),
    }
}

fn mismatch(found: usize, width: usize) -> String {
    format!("normalizes {found} columns, but its input is {width} wide; give both one width")
}

#[inline(always)]
fn only_row<'a>(matrix: &Matrix<'a>) -> &'a [f32] {
    matrix.rows().next().unwrap_or(&[])
}

/// The two rows that lie side by side in the only row.
#[inline(always)]
fn halves<'a>(matrix: &Matrix<'a>) -> (&'a [f32], &'a [f32]) {
    let row = only_row(matrix);
    row.split_at(row.len() / 2)
}
