//! Sequences of layers nested in other layers.

use super::Layer;
use crate::{
    error::BuildError,
    program::{Program, Value},
};

/// Records layers one after another; the parameters of layer `i` are called `{name}.i.*`. Without layers, returns the
/// input.
pub(crate) fn in_sequence<L: Layer>(
    program: &mut Program,
    name: &str,
    layers: &[L],
    input: Value,
) -> Result<Value, BuildError> {
    let mut layers = layers.iter().enumerate();
    layers.try_fold(input, |value, (index, layer)| program.nested(&format!("{name}.{index}"), layer, value))
}
