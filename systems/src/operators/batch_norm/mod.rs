//! Batch normalization: mean 0 and variance 1 for each feature over all rows.

mod statistics;

use super::concatenate::take_features;
use crate::{
    error::BuildError,
    program::{
        Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel,
    },
};
use statistics::{
    BatchStatistics, Deviations, Moment, Population, RunningStatistics, Sums, UpdateRunning, check_widths, halves,
    mismatch, only_row,
};

/// The parameters, buffers and settings of a batch normalization; all vectors are as wide as its input.
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
    /// The weight of the batch's statistics in the update of the running statistics.
    pub momentum: f32,
    /// Whether training uses the running statistics as well, and does not update them.
    pub frozen: bool,
}

/// `Y = w (X - mean) / sqrt(variance + epsilon) + b`, feature by feature (Ioffe & Szegedy, ICML 2015, algorithm 1).
///
/// In training mean and variance are those of all rows except dangling edges, gradients flow through them, and the
/// running statistics are updated from them, with the variance over `N - 1`. Outside of training they are the running
/// statistics. The variance is computed from the differences from the mean, corrected by the rounding error of their
/// sum (Chan, Golub & LeVeque 1983, eq. 1.7).
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
        // The derivative of the whole covers the gradients through the statistics.
        let values = values.detached();
        let sums = program.record_one(Sums, &[values])?;
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

/// [`batch_norm`], from the values, their statistics, `w` and `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BatchNorm {
    population: Population,
    /// Whether the statistics are those of the values, as in training.
    by_batch: bool,
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
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
                let features = mean.iter().zip(scale).zip(only_row(weight).iter().zip(only_row(bias)));
                let width = values.width();
                for (output, values) in output.chunks_exact_mut(width).zip(values.slice(rows).chunks_exact(width)) {
                    for ((output, value), ((mean, scale), (weight, bias))) in
                        output.iter_mut().zip(values).zip(features.clone())
                    {
                        *output = (value - mean) * (scale * weight) + bias;
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[values, statistics, weight, bias] = &operation.inputs[..] else { return Ok(()) };
        let width = values.width();
        let inputs = [gradient, values, statistics];
        let totals = tape.compute(totals(width), &inputs, Shape::new(Domain::Single, 2 * width))?;
        tape.weight_gradient(bias, 0..width, take_features("batch_norm_bias_gradient", 0..width), &[totals])?;
        tape.weight_gradient(
            weight,
            0..width,
            take_features("batch_norm_weight_gradient", width..2 * width),
            &[totals],
        )?;
        tape.gradient(values, self.input_gradient(width), &[gradient, values, statistics, weight, totals])
    }
}

impl BatchNorm {
    /// `w s (G - mean of G - Z mean of (G Z))` with `s = 1 / sqrt(variance + epsilon)` and the normalized values `Z`;
    /// the means are left out with running statistics.
    fn input_gradient(self, width: usize) -> impl Operator {
        let Self { population, by_batch } = self;
        kernel("batch_norm_backward", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1, 2, 3, 4],
                #[inline(always)]
                move |topology, [gradient, values, statistics, weight, totals], rows, target| {
                    let row_weight = if by_batch { population.weight(topology, values) } else { 0.0 };
                    let ((mean, scale), (first, second)) = (halves(statistics), halves(totals));
                    let features = mean.iter().zip(scale).zip(only_row(weight)).zip(first.iter().zip(second));
                    for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                        if !population.has(topology, row) {
                            target.fill(0.0);
                            continue;
                        }
                        let (gradient, values) = (gradient.row(row), values.row(row));
                        let terms = target.iter_mut().zip(gradient.iter().zip(values));
                        for ((target, (gradient, value)), (((mean, scale), weight), (first, second))) in
                            terms.zip(features.clone())
                        {
                            let normalized = (value - mean) * scale;
                            *target = weight * scale * (gradient - row_weight * (first + normalized * second));
                        }
                    }
                },
            );
        })
        .with_cost(Cost { per_row: 5 * width, per_entry: 0 })
    }
}

/// The sums of gradients, and of gradients times normalized values.
fn totals(width: usize) -> impl Operator {
    kernel("batch_norm_totals", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1, 2],
            0..2 * width,
            #[inline(always)]
            |[gradient, values, statistics], rows, sum| {
                sum.fill(0.0);
                let (mean, scale) = halves(statistics);
                let features = mean.iter().zip(scale);
                let (first, second) = sum.split_at_mut(width);
                for row in rows {
                    let (gradient, values) = (gradient.row(row), values.row(row));
                    let totals = first.iter_mut().zip(second.iter_mut());
                    for (((first, second), (gradient, value)), (mean, scale)) in
                        totals.zip(gradient.iter().zip(values)).zip(features.clone())
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
