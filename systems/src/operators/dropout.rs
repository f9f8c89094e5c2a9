//! Dropout.

use crate::{
    error::BuildError,
    kernels,
    program::{Domain, InInference, Operation, Operator, Program, Shape, Step, Tape, Value},
};

/// Sets each element to 0 with probability `rate` in training and divides the others by `1 - rate` (Srivastava et al.,
/// JMLR 2014). Outside of training it is the identity.
///
/// In a sparse value only stored elements are dropped. The random numbers are keyed by seed, operation, step and index,
/// so the backward pass draws the same mask again and none is stored.
///
/// # Errors
/// If the rate is not in `[0, 1)`.
pub fn dropout(program: &mut Program, input: Value, rate: f32) -> Result<Value, BuildError> {
    if !drops(program, rate)? {
        return Ok(input);
    }
    let stream = program.random_stream();
    program.record_like(Dropout { name: "dropout", rate, stream }, &[input])
}

/// [`dropout`], which is its own derivative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dropout {
    name: &'static str,
    rate: f32,
    stream: u32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn in_inference(&self, _: &[Value]) -> InInference {
        InInference::Identity
    }

    fn run(&self, step: &mut Step<'_>) {
        let (random, from, rate) = (step.random(self.stream), step.input(0), self.rate);
        step.write_blocks(8 * from.width(), |rows, start, to| {
            kernels::dropout(rate, &random, start, from.slice(rows), to);
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.gradient(operation.inputs[0], Self { name: "dropout_backward", ..*self }, &[gradient])
    }
}

/// A dropout mask `[rows of domain, width]`: 0 with probability `rate`, and `1 / (1 - rate)` otherwise; none for a rate
/// of 0. Operations that read it do without it outside of training.
///
/// # Errors
/// If the rate is not in `[0, 1)`.
pub(super) fn draw_mask(
    program: &mut Program,
    domain: Domain,
    width: usize,
    rate: f32,
) -> Result<Option<Value>, BuildError> {
    if !drops(program, rate)? {
        return Ok(None);
    }
    let stream = program.random_stream();
    program.record_one(Mask { rate, stream, shape: Shape::new(domain, width) }, &[]).map(Some)
}

/// [`draw_mask`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mask {
    rate: f32,
    stream: u32,
    shape: Shape,
}

impl Operator for Mask {
    fn name(&self) -> &'static str {
        "draw_mask"
    }

    fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.shape])
    }

    fn run(&self, step: &mut Step<'_>) {
        const ONES: [f32; 1024] = [1.0; 1024];
        let (random, rate) = (step.random(self.stream), self.rate);
        step.write_blocks(8 * self.shape.width, |_, start, to| {
            for (index, to) in to.chunks_mut(ONES.len()).enumerate() {
                kernels::dropout(rate, &random, start + index * ONES.len(), &ONES[..to.len()], to);
            }
        });
    }
}

/// Whether the rate is above 0.
fn drops(program: &Program, rate: f32) -> Result<bool, BuildError> {
    if (0.0..1.0).contains(&rate) {
        return Ok(rate > 0.0);
    }
    Err(program.error(format!("has the dropout probability {rate}; give one of at least 0 and below 1")))
}
