//! Dropout.

use core::ops::Range;

use connectome_components::KeyOrder;

use crate::{
    error::BuildError,
    kernels,
    program::{Domain, Footprint, InInference, Operation, Operator, Program, Shape, Step, Tape, Value},
    random::Philox,
};

/// Sets each element to 0 with probability `rate` in training and divides the others by `1 - rate` (Srivastava et al.,
/// JMLR 2014). Outside of training it is the identity.
///
/// In a sparse value only stored elements are dropped. The random numbers are keyed by seed, operation, step and index
/// in the order of keys, so the backward pass draws the same mask again and none is stored.
///
/// It is done in the pass over the rows that computes the value, if nobody else reads that and the derivative can do
/// with what is left of it.
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
pub(super) struct Dropout {
    name: &'static str,
    rate: f32,
    stream: u32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn in_inference(&self, _: &[Value]) -> InInference {
        InInference::Identity
    }

    fn run(&self, step: &mut Step<'_>) {
        let (mask, from) = (self.mask(step), step.input(0));
        step.write_blocks(DropoutMask::COST * from.width(), |rows, to| {
            to.copy_from_slice(from.slice(rows.clone()));
            mask.apply(rows, to);
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.gradient(operation.inputs[0], Self { name: "dropout_backward", ..*self }, &[gradient])
    }
}

impl Dropout {
    /// The mask of a step, the same one forward and backward.
    pub(super) fn mask<'a>(self, step: &Step<'a>) -> DropoutMask<'a> {
        DropoutMask::new(self.rate, self.stream, step)
    }
}

/// A mask that is drawn where it is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct DropoutMask<'a> {
    rate: f32,
    random: Philox,
    /// The order of the rows by which it is drawn, if it is not their own.
    order: Option<&'a KeyOrder>,
}

impl<'a> DropoutMask<'a> {
    /// Drawing the mask of an element costs as much as so many accesses.
    pub(super) const COST: usize = 8;

    fn new(rate: f32, stream: u32, step: &Step<'a>) -> Self {
        Self { rate, random: step.random(stream), order: step.order() }
    }

    /// Drops some of the values of some rows.
    pub(super) fn apply(&self, rows: Range<usize>, values: &mut [f32]) {
        let width = values.len() / rows.len().max(1);
        let drop = |row: usize, values| kernels::dropout(self.rate, &self.random, row * width, values);
        match self.order {
            None => drop(rows.start, values),
            Some(order) => {
                let rows = rows.zip(values.chunks_exact_mut(width.max(1)));
                rows.for_each(|(row, values)| drop(order.rank(row as u32) as usize, values));
            }
        }
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

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.shape])
    }

    fn run(&self, step: &mut Step<'_>) {
        let mask = DropoutMask::new(self.rate, self.stream, step);
        step.write_blocks(DropoutMask::COST * self.shape.width, |rows, to| {
            to.fill(1.0);
            mask.apply(rows, to);
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
