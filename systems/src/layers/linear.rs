//! The linear layer.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::linear,
    program::{Program, Value},
};

/// `Y = X W + b`, row by row.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. Costs `N F width` multiplications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Linear {
    /// A layer with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for Linear {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let weight = program.weight("weight", [input.width(), self.width], self.weight_decay)?;
        let bias = program.vector("bias", self.width, Initialization::ZEROS, self.weight_decay)?;
        linear(program, input, &weight, Some(&bias))
    }
}
