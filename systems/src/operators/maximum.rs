//! The elementwise maximum.

use crate::{
    error::BuildError,
    program::{Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y = max(A, B)`, elementwise; NaN stays NaN. The gradient flows to the larger one, and to `A` where both are equal.
///
/// # Errors
/// If a value is sparse, or the two are of different width or on different rows.
pub fn maximum(program: &mut Program, [first, second]: [Value; 2]) -> Result<Value, BuildError> {
    let inputs = [program.dense(first)?, program.dense(second)?];
    program.record_one(Maximum, &inputs)
}

/// [`maximum`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Maximum;

impl Operator for Maximum {
    fn name(&self) -> &'static str {
        "maximum"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        if inputs[0].shape() == inputs[1].shape() {
            return Ok(vec![inputs[0].shape()]);
        }
        let [a, b] = [inputs[0].width(), inputs[1].width()];
        Err(format!("takes the maximum of values {a} and {b} wide; give both one width, on the same rows"))
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [a, b], rows, output| {
                let terms = a.slice(rows.clone()).iter().zip(b.slice(rows));
                for (output, (a, b)) in output.iter_mut().zip(terms) {
                    *output = if is_second(*a, *b) { *b } else { *a };
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[a, b] = &operation.inputs[..] else { return Ok(()) };
        for (input, takes_second) in [(a, false), (b, true)] {
            let backward = kernel("maximum_backward", Footprint::Same, move |step: &mut Step<'_>| {
                step.write_rows(
                    Partition::Uniform,
                    [0, 1, 2],
                    #[inline(always)]
                    move |_, [gradient, a, b], rows, target| {
                        let terms = a.slice(rows.clone()).iter().zip(b.slice(rows.clone()));
                        for ((target, gradient), (a, b)) in target.iter_mut().zip(gradient.slice(rows)).zip(terms) {
                            *target = if is_second(*a, *b) == takes_second { *gradient } else { 0.0 };
                        }
                    },
                );
            });
            tape.gradient(input, backward, &[gradient, a, b])?;
        }
        Ok(())
    }
}

#[inline(always)]
fn is_second(a: f32, b: f32) -> bool {
    b > a || b.is_nan()
}
