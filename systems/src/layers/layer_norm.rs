//! Layer normalization.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::layer_norm,
    program::{Program, Value},
};

/// `Y[i] = (X[i] - mean X[i]) / sqrt(var X[i] + epsilon) * weight + bias`, with mean and variance over the features of
/// row `i` (Ba, Kiros & Hinton, "Layer normalization", 2016, eq. 4), the variance over `F`.
///
/// `X` is `[N, F]` on any domain, dense, `weight` and `bias` `[F]`, initially 1 and 0. Costs about `6 N F` operations.
/// Border: rows are independent of each other and of the edges; with one feature, the output is the bias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Added to the variance, so that it is never 0.
    #[serde(default = "epsilon")]
    pub epsilon: f32,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn epsilon() -> f32 {
    1e-5
}

impl LayerNorm {
    /// A normalization with an `epsilon` of 1e-5, as in PyTorch.
    pub fn new() -> Self {
        Self { epsilon: epsilon(), weight_decay: None }
    }
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for LayerNorm {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { epsilon, weight_decay } = *self;
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(program.error(format!("has epsilon {epsilon}; give a small one above 0")));
        }
        let width = input.width();
        let weight = program.vector("weight", width, Initialization::Constant(1.0), weight_decay)?;
        let bias = program.vector("bias", width, Initialization::ZEROS, weight_decay)?;
        layer_norm(program, input, &weight, &bias, epsilon)
    }
}
