//! The linear layer.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder};
use crate::stages::{self, Epilogue};

/// `Y = X W + b`, each node by itself.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. Costs `N F width` multiplications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Output width.
    pub width: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Linear {
    /// A layer of so many outputs.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for Linear {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let weight = layer.weight("weight", [input.width(), self.width], self.weight_decay)?;
        let bias = layer.vector("bias", self.width, Initialization::ZEROS, self.weight_decay)?;
        layer.last_stage();
        stages::linear(layer, input, &weight, Epilogue::bias(&bias))
    }
}
