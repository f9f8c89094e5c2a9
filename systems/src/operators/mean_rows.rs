//! The mean of all rows.

use crate::{
    error::BuildError,
    kernels::add_rows,
    program::{Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `y = 1/N sum over i of X[i]`, `[N, F]` to a single row; zeros without rows.
///
/// # Errors
/// If the value is sparse.
pub fn mean_rows(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(MeanRows, &[input])
}

/// [`mean_rows`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct MeanRows;

impl Operator for MeanRows {
    fn name(&self) -> &'static str {
        "mean_rows"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, inputs[0].width())])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (count, width) = (step.input(0).row_count().max(1) as f32, step.input(0).width());
        step.sum_rows(
            [0],
            0..width,
            #[inline(always)]
            |[values], rows, sum| {
                sum.fill(0.0);
                add_rows(values.slice(rows), sum);
                sum.iter_mut().for_each(|sum| *sum /= count);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let backward = kernel("mean_rows_backward", Footprint::All, |step: &mut Step<'_>| {
            let count = step.output(0).as_matrix().row_count().max(1) as f32;
            step.write_rows(
                Partition::Uniform,
                [0],
                #[inline(always)]
                |_, [gradient], _, target| {
                    let Some(gradient) = gradient.rows().next() else { return };
                    for target in target.chunks_exact_mut(gradient.len()) {
                        target.iter_mut().zip(gradient).for_each(|(target, gradient)| *target = gradient / count);
                    }
                },
            );
        });
        tape.gradient(operation.inputs[0], backward, &[gradient])
    }
}
