//! Euclidean normalization of rows.

use crate::{
    error::BuildError,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// Rows of a smaller norm are divided by this, as in PyTorch.
const SHORTEST: f32 = 1e-12;

/// `Y[i] = X[i] / |X[i]|`, with the Euclidean norm.
///
/// A row of zeros stays as it is, and has gradient 0.
///
/// # Errors
/// If the value is sparse.
pub fn normalize_rows(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(NormalizeRows, &[input])
}

/// [`normalize_rows`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct NormalizeRows;

impl Operator for NormalizeRows {
    fn name(&self) -> &'static str {
        "normalize_rows"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 2 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [values], rows, output| {
                let width = values.width();
                for (output, values) in output.chunks_exact_mut(width).zip(values.slice(rows).chunks_exact(width)) {
                    let factor = 1.0 / length(values).max(SHORTEST);
                    output.iter_mut().zip(values).for_each(|(output, value)| *output = factor * value);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let input = operation.inputs[0];
        let backward = kernel("normalize_rows_backward", Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, values], rows, target| {
                    let width = values.width();
                    let gradients = gradient.slice(rows.clone()).chunks_exact(width);
                    let terms = gradients.zip(values.slice(rows).chunks_exact(width));
                    for (target, (gradient, values)) in target.chunks_exact_mut(width).zip(terms) {
                        let length = length(values);
                        if length <= SHORTEST {
                            target.fill(0.0);
                            continue;
                        }
                        // (G - Y (Y . G)) / |X|
                        let factor = 1.0 / length;
                        let along: f32 = gradient.iter().zip(values).map(|(gradient, value)| gradient * value).sum();
                        let along = along * factor * factor;
                        for (target, (gradient, value)) in target.iter_mut().zip(gradient.iter().zip(values)) {
                            *target = factor * (gradient - along * value);
                        }
                    }
                },
            );
        });
        let cost = Cost { per_row: 4 * input.width(), per_entry: 0 };
        tape.gradient(input, backward.with_cost(cost), &[gradient, input])
    }
}

#[inline(always)]
fn length(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>().sqrt()
}
