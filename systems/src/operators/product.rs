//! Elementwise products.

use crate::{
    error::BuildError,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `Y = A * B`, elementwise; if `B` has width 1, each row of `A` times the element of `B`.
///
/// # Errors
/// If a value is sparse, they are on different rows, or `B` has neither the width of `A` nor width 1.
pub fn multiply(program: &mut Program, first: Value, second: Value) -> Result<Value, BuildError> {
    let inputs = [program.dense(first)?, program.dense(second)?];
    program.record_one(Multiply { name: "multiply" }, &inputs)
}

/// [`multiply`]; with respect to a factor as wide as the other one it is its own derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Multiply {
    name: &'static str,
}

impl Operator for Multiply {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [a, b] = [inputs[0].shape(), inputs[1].shape()];
        if a.domain == b.domain && (b.width == a.width || b.width == 1) {
            return Ok(vec![a]);
        }
        let (a, b) = (a.width, b.width);
        Err(format!("multiplies values {a} and {b} wide; give both one width, on the same rows"))
    }

    fn run(&self, step: &mut Step<'_>) {
        let broadcast = step.input(1).width() != step.input(0).width();
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |_, [a, b], rows, output| {
                let width = a.width();
                let (first, second) = (a.slice(rows.clone()), b.slice(rows));
                if broadcast {
                    let rows = output.chunks_exact_mut(width).zip(first.chunks_exact(width)).zip(second);
                    for ((output, a), b) in rows {
                        output.iter_mut().zip(a).for_each(|(output, a)| *output = a * b);
                    }
                } else {
                    for (output, (a, b)) in output.iter_mut().zip(first.iter().zip(second)) {
                        *output = a * b;
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[a, b] = &operation.inputs[..] else { return Ok(()) };
        let name = "multiply_backward";
        tape.gradient(a, Self { name }, &[gradient, b])?;
        if b.width() == a.width() {
            return tape.gradient(b, Self { name }, &[gradient, a]);
        }
        let backward = kernel(name, Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, a], rows, target| {
                    for (row, target) in rows.zip(target) {
                        *target = gradient.row(row).iter().zip(a.row(row)).map(|(gradient, a)| gradient * a).sum();
                    }
                },
            );
        });
        tape.gradient(b, backward.with_cost(Cost { per_row: a.width(), per_entry: 0 }), &[gradient, a])
    }
}
