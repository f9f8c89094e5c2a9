//! Squared Euclidean norms.

use crate::{
    error::BuildError,
    kernels::sum,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y[i] = |X[i]|^2`, `[N, F]` to `[N, 1]`.
///
/// # Errors
/// If the value is sparse.
pub fn square_norm(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(SquareNorm, &[input])
}

/// [`square_norm`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct SquareNorm;

impl Operator for SquareNorm {
    fn name(&self) -> &'static str {
        "square_norm"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(inputs[0].domain(), 1)])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [values], rows, output| {
                for (row, output) in rows.zip(output) {
                    let values = values.row(row);
                    *output = sum(values.len(), |index| values[index] * values[index]);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let input = operation.inputs[0];
        let backward = kernel("square_norm_backward", Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, values], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                        let factor = 2.0 * gradient.row(row)[0];
                        target.iter_mut().zip(values.row(row)).for_each(|(target, value)| *target = factor * value);
                    }
                },
            );
        });
        tape.gradient(input, backward, &[gradient, input])
    }
}
