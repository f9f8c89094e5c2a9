//! The graph convolution of Kipf and Welling.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{Layer, convolution::convolve};
use crate::{
    error::BuildError,
    program::{Program, Value},
};

/// `Y = D^-1/2 A' D^-1/2 X W + b` (Kipf & Welling, "Semi-supervised classification with graph convolutional networks",
/// ICLR 2017, eq. 2) with edge weights in `A'` and weighted in-degrees `D`.
///
/// `A'` is the adjacency matrix with a self-loop of weight 1 added to each node that has none; an existing self-loop
/// keeps its weight. This is `GCNConv` of PyTorch Geometric.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. The narrower of `X` and `X W` is aggregated:
/// costs `N F width + E min(F, width)` multiplications. Border: the output of a node without incoming edges is
/// `X[i] W + b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcnConv {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl GcnConv {
    /// A layer with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for GcnConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        convolve(program, input, self.width, "lin.weight", Normalization::Symmetric, self.weight_decay)
    }
}
