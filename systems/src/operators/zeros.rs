//! Zeros.

use crate::{
    error::BuildError,
    program::{Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};

/// A value of zeros, as states begin with.
///
/// # Errors
/// If it is too wide.
pub fn zeros(program: &mut Program, shape: Shape) -> Result<Value, BuildError> {
    program.record_one(Zeros(shape), &[])
}

/// [`zeros`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct Zeros(Shape);

impl Operator for Zeros {
    fn name(&self) -> &'static str {
        "zeros"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.0])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(Partition::Uniform, [], |_, [], _, output| output.fill(0.0));
    }

    fn differentiate(&self, _: &Operation, _: Value, _: &mut Tape<'_>) -> Result<(), BuildError> {
        Ok(())
    }
}
