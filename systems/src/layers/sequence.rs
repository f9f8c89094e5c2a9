//! Layers one after another, as parts of another one.

use super::{BuildError, Layer};
use crate::program::{Program, Value};

/// Records parts one after another; the parameters of part `i` are called `name.i.*`. Without parts the input itself is
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
