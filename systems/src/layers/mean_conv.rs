//! The plain message passing layer.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, convolution::convolve};
use crate::{
    kernels::Activation,
    operators::activate,
    program::{Program, Value},
};

/// `Y[i] = LeakyReLU(mean(X[i], X[j] for each edge j -> i) W + b)`, slope 0.01 below 0.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. Weights of edges are not read; a node without edges
/// keeps its own features. Costs as [`GcnConv`](super::GcnConv); all nodes are one parallel batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanConv {
    /// Output width.
    pub width: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl MeanConv {
    /// A layer of so many outputs.
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
