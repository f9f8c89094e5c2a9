//! Mean aggregation over a node and its neighbors.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{Layer, convolution::convolve};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::activate,
    program::{Program, Value},
};

/// `Y[i] = LeakyReLU(mean(X[i], X[j] for each edge j -> i) W + b)`, with slope 0.01 below 0.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. Edge weights are not read. Costs as much as
/// [`GcnConv`](super::GcnConv). Border: the output of a node without incoming edges is `LeakyReLU(X[i] W + b)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanConv {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl MeanConv {
    /// A layer with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for MeanConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let normalization = Normalization::MeanWithSelf;
        let output = convolve(program, input, self.width, "lin.weight", normalization, self.weight_decay)?;
        activate(program, output, Activation::LeakyRelu(0.01))
    }
}
