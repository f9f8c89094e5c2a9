//! The linear layer.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, stages};
use crate::{Phase, kernels::Activation};

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
        let shape = [input.width(), self.width];
        let weight = layer.parameter("weight", shape, Initialization::Glorot, self.weight_decay)?;
        let bias = layer.parameter("bias", [1, self.width], Initialization::Zeros, self.weight_decay)?;
        let (value, gradient) = layer.output(self.width)?;
        let epilogue = stages::Epilogue { bias: Some(bias.value), activation: Activation::Identity };
        stages::transform(layer, Phase::Update, input, weight.value, epilogue, value);
        if let Some(gradient) = gradient {
            stages::bias_gradient(layer, gradient, &bias);
            stages::weight_gradient(layer, input, gradient, &weight);
            if let Signal::Dense { gradient: Some(input_gradient), .. } = input {
                stages::input_gradient(layer, gradient, weight.value, input_gradient);
            }
        }
        Ok(Signal::Dense { value, gradient })
    }
}
