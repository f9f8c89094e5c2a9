//! Projections on a learned direction.

use crate::{
    error::BuildError,
    kernels::dot,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// `y[i] = X[i] . w / |w|`, `[N, F]` to `[N, 1]`, with the learned direction `w` `[F]`. Where `w` is 0 so is the
/// output.
///
/// # Errors
/// If the value is sparse, or the direction has another width.
pub fn project(program: &mut Program, input: Value, direction: &Weight) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(Project, &[input, direction.value()])
}

/// [`project`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Project;

impl Operator for Project {
    fn name(&self) -> &'static str {
        "project"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [input, direction] = [inputs[0].width(), inputs[1].width()];
        if input == direction {
            return Ok(vec![Shape::new(inputs[0].domain(), 1)]);
        }
        Err(format!("projects rows {input} wide on a direction {direction} wide; give both one width"))
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [values, direction], rows, output| {
                let Some(direction) = direction.rows().next() else { return };
                let factor = inverse_length(direction);
                for (row, output) in rows.zip(output) {
                    *output = factor * dot(values.row(row), direction);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[input, direction] = &operation.inputs[..] else { return Ok(()) };
        let output = operation.outputs[0];
        let of_input = kernel("project_backward", Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, direction], rows, target| {
                    let Some(direction) = direction.rows().next() else { return };
                    let factor = inverse_length(direction);
                    for (row, target) in rows.zip(target.chunks_exact_mut(direction.len())) {
                        let factor = factor * gradient.row(row)[0];
                        target.iter_mut().zip(direction).for_each(|(target, value)| *target = factor * value);
                    }
                },
            );
        });
        tape.gradient(input, of_input, &[gradient, direction])?;
        let width = direction.width();
        let of_direction = kernel("project_backward", Footprint::All, move |step: &mut Step<'_>| {
            step.sum_rows(
                [0, 1, 2, 3],
                0..width,
                #[inline(always)]
                |[gradient, values, output, direction], rows, sum| {
                    sum.fill(0.0);
                    let Some(direction) = direction.rows().next() else { return };
                    let factor = inverse_length(direction);
                    // (x - y w / |w|) / |w|
                    for row in rows {
                        let (gradient, along) = (factor * gradient.row(row)[0], factor * output.row(row)[0]);
                        for (sum, (value, direction)) in sum.iter_mut().zip(values.row(row).iter().zip(direction)) {
                            *sum += gradient * (value - along * direction);
                        }
                    }
                },
            );
        });
        tape.weight_gradient(direction, 0..width, of_direction.accumulating(), &[gradient, input, output, direction])
    }
}

/// `1 / |w|`; 0 for a direction of length 0.
#[inline(always)]
fn inverse_length(direction: &[f32]) -> f32 {
    let length = dot(direction, direction).sqrt();
    if length > 0.0 { 1.0 / length } else { 0.0 }
}
