//! The softmax of rows.

use crate::{
    error::BuildError,
    kernels::{dot, exp, sum},
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y[i, k] = exp(X[i, k]) / sum over l of exp(X[i, l])`. The largest element is subtracted first.
///
/// # Errors
/// If the value is sparse.
pub fn softmax(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(Softmax, &[input])
}

/// [`softmax`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Softmax;

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
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
                    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    output.iter_mut().zip(values).for_each(|(output, value)| *output = exp(value - most));
                    let factor = 1.0 / sum(width, |index| output[index]);
                    output.iter_mut().for_each(|output| *output *= factor);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, output) = (operation.inputs[0], operation.outputs[0]);
        let backward = kernel("softmax_backward", Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, output], rows, target| {
                    let width = output.width();
                    let rows =
                        gradient.slice(rows.clone()).chunks_exact(width).zip(output.slice(rows).chunks_exact(width));
                    for (target, (gradient, output)) in target.chunks_exact_mut(width).zip(rows) {
                        let mean = dot(gradient, output);
                        for (target, (gradient, output)) in target.iter_mut().zip(gradient.iter().zip(output)) {
                            *target = output * (gradient - mean);
                        }
                    }
                },
            );
        });
        tape.gradient(input, backward, &[gradient, output])
    }
}
