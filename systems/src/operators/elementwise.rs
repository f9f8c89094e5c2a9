//! Elementwise operators.

use super::epilogue::{bias_gradient, describe};
use crate::{
    error::BuildError,
    kernels::Activation,
    program::{Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel},
};

/// `Y = f(X)`.
///
/// # Errors
/// If the value is sparse.
pub fn activate(program: &mut Program, input: Value, activation: Activation) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    if activation == Activation::Identity {
        return Ok(input);
    }
    program.record_one(Activate(activation), &[input])
}

/// [`activate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Activate(pub(super) Activation);

impl Operator for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn describe(&self) -> String {
        format!("activate {}", describe(self.0))
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        let activation = self.0;
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |_, [values], rows, output| {
                output.copy_from_slice(values.slice(rows));
                activation.apply(output);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let activation = self.0;
        let input = operation.inputs[0];
        let backward = kernel("activate_backward", Footprint::Same, move |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                move |_, [gradient, values], rows, target| {
                    target.copy_from_slice(gradient.slice(rows.clone()));
                    activation.chain(values.slice(rows), target);
                },
            );
        });
        tape.gradient(input, backward, &[gradient, input])
    }
}

/// `Y = X + b`: `b`, as wide as `X`, is added to each row.
///
/// # Errors
/// If the value is sparse, or the bias of another width.
pub fn add_bias(program: &mut Program, input: Value, bias: &Weight) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(AddBias, &[input, bias.value()])
}

/// [`add_bias`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AddBias;

impl Operator for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [width, bias] = [inputs[0].width(), inputs[1].width()];
        if width == bias {
            Ok(vec![inputs[0].shape()])
        } else {
            Err(format!("adds a bias {bias} wide to a value {width} wide; give both one width"))
        }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [values, bias], rows, output| {
                let Some(bias) = bias.rows().next() else { return };
                for (output, values) in
                    output.chunks_exact_mut(bias.len()).zip(values.slice(rows).chunks_exact(bias.len()))
                {
                    let terms = output.iter_mut().zip(values.iter().zip(bias));
                    terms.for_each(|(output, (value, bias))| *output = value + bias);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        bias_gradient(operation.inputs[1], gradient, tape)?;
        tape.gradient(operation.inputs[0], scaled("add_bias_backward", 1.0), &[gradient])
    }
}

/// `Y = factor X`.
///
/// # Errors
/// If the value is sparse.
pub fn scale(program: &mut Program, input: Value, factor: f32) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(Scale { name: "scale", factor }, &[input])
}

/// `Y = X`, in a column of its own.
pub(crate) fn copy(program: &mut Program, input: Value) -> Result<Value, BuildError> {
    program.record_one(Scale { name: "copy", factor: 1.0 }, &[input])
}

/// `to = factor * from`, or `to += factor * from` if the step accumulates.
pub(super) fn scaled(name: &'static str, factor: f32) -> impl Operator {
    Scale { name, factor }
}

/// [`scale`], which is its own derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    name: &'static str,
    factor: f32,
}

impl Operator for Scale {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn run(&self, step: &mut Step<'_>) {
        let (factor, adds) = (self.factor, step.accumulates());
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |_, [from], rows, to| {
                let terms = to.iter_mut().zip(from.slice(rows));
                if adds {
                    terms.for_each(|(to, from)| *to += factor * from);
                } else {
                    terms.for_each(|(to, from)| *to = factor * from);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.gradient(operation.inputs[0], scaled("scale_backward", self.factor), &[gradient])
    }
}

/// `Y = a A + b B` for the terms `(A, a)` and `(B, b)`, of equal width and on the same rows.
///
/// # Errors
/// If a value is sparse, or the two are of different width or on different rows.
pub fn add(program: &mut Program, terms: [(Value, f32); 2]) -> Result<Value, BuildError> {
    let [(first, first_factor), (second, second_factor)] = terms;
    let inputs = [program.dense(first)?, program.dense(second)?];
    program.record_one(Add([first_factor, second_factor]), &inputs)
}

/// [`add`], with the factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Add(pub(super) [f32; 2]);

impl Operator for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [first, second] = [inputs[0].shape(), inputs[1].shape()];
        if first == second {
            Ok(vec![first])
        } else {
            Err(format!("adds values of shapes {first} and {second}; give both one width, on the same rows"))
        }
    }

    fn run(&self, step: &mut Step<'_>) {
        let [first, second] = self.0;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |_, [a, b], rows, output| {
                let terms = a.slice(rows.clone()).iter().zip(b.slice(rows));
                for (output, (a, b)) in output.iter_mut().zip(terms) {
                    *output = first * a + second * b;
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        for (input, factor) in operation.inputs.iter().zip(self.0) {
            tape.gradient(*input, scaled("add_backward", factor), &[gradient])?;
        }
        Ok(())
    }
}
