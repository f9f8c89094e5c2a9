//! Layer normalization: mean 0 and variance 1 for each row.

use super::epilogue::bias_gradient;
use crate::{
    error::BuildError,
    kernels::{moments, sum},
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// `Y[i] = (X[i] - mean X[i]) / sqrt(var X[i] + epsilon) * weight + bias`, mean and variance over the features of a
/// row.
///
/// Only the input is saved: the backward pass recomputes mean and variance.
///
/// # Errors
/// If the value is sparse, or `weight` or `bias` has another width.
pub fn layer_norm(
    program: &mut Program,
    input: Value,
    weight: &Weight,
    bias: &Weight,
    epsilon: f32,
) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(LayerNorm { epsilon }, &[input, weight.value(), bias.value()])
}

/// [`layer_norm`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct LayerNorm {
    epsilon: f32,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let width = inputs[0].width();
        if inputs[1..].iter().all(|parameter| parameter.width() == width) {
            Ok(vec![inputs[0].shape()])
        } else {
            Err(format!("scales and shifts rows {width} wide; give `weight` and `bias` that width"))
        }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 3 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let epsilon = self.epsilon;
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            move |_, [values, weight, bias], rows, output| {
                let (Some(weight), Some(bias)) = (weight.rows().next(), bias.rows().next()) else { return };
                for (row, output) in rows.zip(output.chunks_exact_mut(values.width())) {
                    let values = values.row(row);
                    let (mean, reciprocal) = moments(values, epsilon);
                    let terms = values.iter().zip(weight).zip(bias);
                    for (output, ((value, weight), bias)) in output.iter_mut().zip(terms) {
                        *output = (value - mean) * reciprocal * weight + bias;
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[input, weight, bias] = &operation.inputs[..] else { return Ok(()) };
        let (epsilon, width) = (self.epsilon, input.width());
        bias_gradient(bias, gradient, tape)?;
        let sum_terms = kernel("layer_norm_weight_gradient", Footprint::All, move |step: &mut Step<'_>| {
            step.sum_rows(
                [0, 1],
                0..width,
                #[inline(always)]
                |[gradient, values], rows, sum| {
                    sum.fill(0.0);
                    for row in rows {
                        let values = values.row(row);
                        let (mean, reciprocal) = moments(values, epsilon);
                        for (sum, (gradient, value)) in sum.iter_mut().zip(gradient.row(row).iter().zip(values)) {
                            *sum += gradient * (value - mean) * reciprocal;
                        }
                    }
                },
            );
        });
        let sum_terms = sum_terms.accumulating().with_cost(Cost { per_row: 3 * width, per_entry: 0 });
        tape.weight_gradient(weight, 0..width, sum_terms, &[gradient, input])?;
        let backward = kernel("layer_norm_backward", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1, 2],
                #[inline(always)]
                move |_, [gradient, values, weight], rows, target| {
                    let Some(weight) = weight.rows().next() else { return };
                    for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                        row_gradient(gradient.row(row), values.row(row), weight, epsilon, target);
                    }
                },
            );
        });
        let cost = Cost { per_row: 8 * width, per_entry: 0 };
        tape.gradient(input, backward.with_cost(cost), &[gradient, input, weight])
    }
}

/// With `n = (x - mean) r` and `d = gradient * weight`: `target = r (d - mean d - n mean(d n))`.
#[inline(always)]
fn row_gradient(gradient: &[f32], values: &[f32], weight: &[f32], epsilon: f32, target: &mut [f32]) {
    let width = target.len();
    let fraction = 1.0 / width as f32;
    let (mean, reciprocal) = moments(values, epsilon);
    let scaled = |index: usize| gradient[index] * weight[index];
    let normal = |index: usize| (values[index] - mean) * reciprocal;
    let first = fraction * sum(width, scaled);
    let second = fraction * sum(width, |index| scaled(index) * normal(index));
    for (index, target) in target.iter_mut().enumerate() {
        *target = reciprocal * (scaled(index) - first - normal(index) * second);
    }
}
