//! Sequences of layers inside of other layers.

use super::Layer;
use crate::{
    error::BuildError,
    program::{Program, Value},
};

/// Records layers one after another; the parameters of layer `i` are called `name.i.*`. Without layers the input is
/// returned.
pub(crate) fn in_sequence<L: Layer>(
    program: &mut Program,
    name: &str,
    parts: &[L],
    input: Value,
) -> Result<Value, BuildError> {
    let mut parts = parts.iter().enumerate();
    parts.try_fold(input, |value, (index, part)| program.nested(&format!("{name}.{index}"), part, value))
}
