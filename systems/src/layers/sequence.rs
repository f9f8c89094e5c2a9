//! Layers one after the other, as parts of another one.

use connectome_components::Signal;

use super::{BuildError, Layer, LayerBuilder};

/// Builds parts one after the other; the parameters of part `i` are called `name.i.*`. As with [`LayerBuilder::nested`]
/// the first one releases the input. Without parts the input itself is returned.
pub(crate) fn in_sequence<L: Layer>(
    layer: &mut LayerBuilder,
    name: &str,
    parts: &[L],
    input: Signal,
) -> Result<Signal, BuildError> {
    parts
        .iter()
        .enumerate()
        .try_fold(input, |signal, (place, part)| layer.nested(&format!("{name}.{place}"), part, signal))
}
