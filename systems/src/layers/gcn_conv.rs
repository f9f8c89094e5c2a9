//! The graph convolution of Kipf and Welling.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, convolution::convolve};
use crate::program::{Program, Value};

/// `Y = D^-1/2 (A + I) D^-1/2 X W + b` (Kipf & Welling, "Semi-supervised classification with graph convolutional
/// networks", ICLR 2017, eq. 2), with the weights of the edges in `A` and degrees by target.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. The narrower of the two widths is sent along the
/// edges: costs `N F width + E min(F, width)` multiplications. A node without edges keeps its own features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcnConv {
    /// Output width.
    pub width: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl GcnConv {
    /// A layer of so many outputs.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for GcnConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        convolve(program, input, self.width, "lin.weight", Normalization::Symmetric, self.weight_decay)
    }
}
