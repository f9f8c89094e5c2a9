//! Dropout.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, LayerBuilder};
use crate::stages;

/// Sets each number to 0 with this probability while training, and scales up the others; see
/// [`stages::drop_out`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dropout(pub f32);

impl Layer for Dropout {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        stages::drop_out(layer, input, self.0)
    }
}
