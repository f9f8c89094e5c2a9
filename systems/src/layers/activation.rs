//! Activations as layers.

use connectome_components::Signal;

use super::{BuildError, Layer, LayerBuilder};
use crate::{kernels::Activation, stages};

/// `Y = f(X)`, number by number; `[N, F]` to `[N, F]`.
impl Layer for Activation {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        layer.last_stage();
        stages::activate(layer, input, *self)
    }

    fn activation(&self) -> Option<Activation> {
        Some(*self)
    }
}
