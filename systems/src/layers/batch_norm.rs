//! Batch normalisation.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder};
use crate::stages::{self, BatchNormalizer};

/// `Y[i] = w (X[i] - mean) / sqrt(variance + epsilon) + b`, column by column (Ioffe & Szegedy, "Batch normalization:
/// accelerating deep network training by reducing internal covariate shift", ICML 2015, algorithms 1 and 2).
///
/// `X` and `Y` are `[N, F]` on rows of any kind, all other vectors `[F]`. In training mean and variance are those of the
/// `N` rows, and gradients go through them; running ones follow by `momentum`, the variance over `N - 1`, and take their
/// place outside of training. Reads `X` three times forward and twice backward, `O(N F)`.
///
/// Border: edges matter to none. A single row becomes `b` in training, and leaves the running variance as it is, since its
/// variance over `N - 1` is unknown. Parameters are called `weight`, `bias`, `running_mean` and `running_var`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to each variance.
    pub epsilon: f32,
    /// The share of each training step in the running statistics.
    pub momentum: f32,
    /// Whether training too goes by the running statistics, and leaves them as they are: for fine-tuning on little data.
    pub frozen: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl BatchNorm {
    /// With `epsilon` 1e-5 and `momentum` 0.1, as in PyTorch.
    pub fn new() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1, frozen: false, weight_decay: None }
    }

    /// The same, but by its running statistics in training too.
    pub fn frozen(self) -> Self {
        Self { frozen: true, ..self }
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for BatchNorm {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let (epsilon, momentum) = (self.epsilon, self.momentum);
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(layer.refuse(format!("divides by the root of a variance plus {epsilon}; give more than 0")));
        }
        if !(0.0..=1.0).contains(&momentum) {
            return Err(layer.refuse(format!("has momentum {momentum}, which is no share; give one from 0 to 1")));
        }
        let width = input.width();
        let weight = layer.vector("weight", width, Initialization::Constant(1.0), self.weight_decay)?;
        let bias = layer.vector("bias", width, Initialization::ZEROS, self.weight_decay)?;
        let mean = layer.statistics("running_mean", width, Initialization::ZEROS)?;
        let variance = layer.statistics("running_var", width, Initialization::Constant(1.0))?;
        layer.last_stage();
        let frozen = self.frozen;
        stages::batch_norm(layer, input, BatchNormalizer { weight, bias, mean, variance, epsilon, momentum, frozen })
    }
}
