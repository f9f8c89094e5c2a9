//! Batch normalization.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{BatchNormalizer, batch_norm},
    program::{Program, Value},
};

/// `Y[i] = w (X[i] - mean) / sqrt(variance + epsilon) + b`, feature by feature (Ioffe & Szegedy, "Batch normalization:
/// accelerating deep network training by reducing internal covariate shift", ICML 2015, algorithms 1 and 2).
///
/// `X` and `Y` are `[N, F]` on any domain, all other vectors `[F]`. In training mean and variance are those of the `N`
/// rows, and gradients flow through them; running statistics are updated by `momentum`, with the variance over `N - 1`,
/// and are used in inference. Reads `X` three times forward and twice backward, `O(N F)`.
///
/// Border: rows of dangling edges are excluded from the statistics and have no gradient. A single row becomes `b` in
/// training and does not change the running variance, because its variance over `N - 1` is undefined. Parameters are
/// called `weight`, `bias`, `running_mean` and `running_var`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to each variance.
    pub epsilon: f32,
    /// The weight of the batch's statistics in the update of the running statistics.
    pub momentum: f32,
    /// Whether training uses the running statistics too, and does not update them: for fine-tuning on little data.
    pub frozen: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl BatchNorm {
    /// A normalization with `epsilon` 1e-5 and `momentum` 0.1, as in PyTorch.
    pub fn new() -> Self {
        Self { epsilon: 1e-5, momentum: 0.1, frozen: false, weight_decay: None }
    }

    /// The same, but with the running statistics in training too.
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
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { epsilon, momentum, frozen, weight_decay } = *self;
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(program.error(format!("divides by the root of a variance plus {epsilon}; give more than 0")));
        }
        if !(0.0..=1.0).contains(&momentum) {
            return Err(program.error(format!("has momentum {momentum}; give one from 0 to 1")));
        }
        let width = input.width();
        let weight = program.vector("weight", width, Initialization::Constant(1.0), weight_decay)?;
        let bias = program.vector("bias", width, Initialization::ZEROS, weight_decay)?;
        let mean = program.buffer("running_mean", width, Initialization::ZEROS)?;
        let variance = program.buffer("running_var", width, Initialization::Constant(1.0))?;
        batch_norm(program, input, BatchNormalizer { weight, bias, mean, variance, epsilon, momentum, frozen })
    }
}
