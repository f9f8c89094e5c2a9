//! The directions in which layers pass through directed acyclic graphs.

use connectome_components::Direction;

use crate::{
    error::BuildError,
    operators::concatenate,
    program::{Program, Value},
};

/// Records a pass in a direction and, if it is bidirectional, another in the opposite one; then the output is both, side by
/// side. `pass` gets the direction and what the names of its parameters end with, as in PyTorch's `GRU`.
pub(super) fn in_directions(
    program: &mut Program,
    (direction, bidirectional): (Direction, bool),
    pass: impl Fn(&mut Program, Direction, &str) -> Result<Value, BuildError>,
) -> Result<Value, BuildError> {
    let first = pass(program, direction, "")?;
    if !bidirectional {
        return Ok(first);
    }
    let second = pass(program, direction.opposite(), "_reverse")?;
    concatenate(program, &[first, second])
}
