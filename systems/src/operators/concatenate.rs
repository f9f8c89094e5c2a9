//! Concatenation and slices of features.

use core::ops::Range;

use crate::{
    error::BuildError,
    program::{Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};

/// Concatenates the features of values on the same rows.
///
/// # Errors
/// If there is none, one is sparse, or they are on different rows.
pub fn concatenate(program: &mut Program, values: &[Value]) -> Result<Value, BuildError> {
    let values = values.iter().map(|value| program.dense(*value)).collect::<Result<Vec<Value>, BuildError>>()?;
    program.record_one(Concatenate, &values)
}

/// [`concatenate`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Concatenate;

impl Operator for Concatenate {
    fn name(&self) -> &'static str {
        "concatenate"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let Some(domain) = inputs.first().map(Value::domain) else {
            return Err("concatenates no values; give at least one".to_owned());
        };
        if inputs.iter().any(|input| input.domain() != domain) {
            return Err("concatenates values on different rows; give values on the same rows".to_owned());
        }
        Ok(vec![Shape::new(domain, inputs.iter().map(Value::width).fold(0, usize::saturating_add))])
    }

    fn run(&self, step: &mut Step<'_>) {
        let width = step.output(0).width();
        let (mut input, mut start) = (0, 0);
        while start < width {
            let features = start..start + step.input(input).width();
            start = features.end;
            step.write_rows(
                Partition::Uniform,
                [input],
                #[inline(always)]
                |_, [values], rows, output| {
                    for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                        output[features.clone()].copy_from_slice(values.row(row));
                    }
                },
            );
            input += 1;
        }
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let mut start = 0;
        for input in &operation.inputs {
            let features = start..start + input.width();
            start = features.end;
            tape.gradient(*input, take_features("concatenate_backward", features), &[gradient])?;
        }
        Ok(())
    }
}

/// A range of the features of a value.
///
/// # Errors
/// If the value is sparse, or is too narrow.
pub fn columns(program: &mut Program, input: Value, features: Range<usize>) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    program.record_one(take_features("columns", features), &[input])
}

/// Pads a value with zeros to `width` features; returns the value itself if it is that wide.
///
/// # Errors
/// If the value is sparse or wider.
pub fn pad(program: &mut Program, input: Value, width: usize) -> Result<Value, BuildError> {
    let input = program.dense(input)?;
    if input.width() == width {
        return Ok(input);
    }
    program.record_one(PutFeatures { name: "pad", features: 0..input.width(), width }, &[input])
}

/// An operator that takes a range of the features of its input.
pub(super) fn take_features(name: &'static str, features: Range<usize>) -> impl Operator {
    TakeFeatures { name, features }
}

/// [`take_features`].
#[derive(Clone, Debug, PartialEq)]
struct TakeFeatures {
    name: &'static str,
    features: Range<usize>,
}

impl Operator for TakeFeatures {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (end, width) = (self.features.end, inputs[0].width());
        if end > width {
            return Err(format!("takes features up to {end} of a value {width} wide; give a range within it"));
        }
        Ok(vec![Shape::new(inputs[0].domain(), self.features.len())])
    }

    fn run(&self, step: &mut Step<'_>) {
        let features = &self.features;
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [from], rows, to| {
                for (row, to) in rows.zip(to.chunks_exact_mut(features.len())) {
                    to.copy_from_slice(&from.row(row)[features.clone()]);
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (input, features) = (operation.inputs[0], self.features.clone());
        tape.gradient(input, PutFeatures { name: "columns_backward", features, width: input.width() }, &[gradient])
    }
}

/// Writes the input to a range of `width` features, and zeros to the others.
#[derive(Clone, Debug, PartialEq)]
struct PutFeatures {
    name: &'static str,
    features: Range<usize>,
    width: usize,
}

impl Operator for PutFeatures {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (end, width) = (self.features.end, self.width);
        if end > width {
            return Err(format!("pads a value to {width}, but it is {end} wide already; give at least that width"));
        }
        Ok(vec![Shape::new(inputs[0].domain(), width)])
    }

    fn run(&self, step: &mut Step<'_>) {
        let (features, width) = (&self.features, self.width);
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [from], rows, to| {
                for (row, to) in rows.zip(to.chunks_exact_mut(width)) {
                    to.fill(0.0);
                    to[features.clone()].copy_from_slice(from.row(row));
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.gradient(operation.inputs[0], take_features("pad_backward", self.features.clone()), &[gradient])
    }
}
