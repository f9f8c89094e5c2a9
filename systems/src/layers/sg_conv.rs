//! The simple graph convolution of Wu et al.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{add_bias, aggregate, linear},
    program::{Program, Value},
};

/// `Y = S^K X W + b` with `S` of [`GcnConv`](super::GcnConv): `H_k[i] = sum over edges j -> i and i itself of
/// s[ij] H_(k-1)[j]`, `K` times from `H_0 = X`, and `Y[i] = H_K[i] W + b` (Wu et al., "Simplifying graph convolutional
/// networks", ICML 2019, eq. 6).
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. As `(S^K X) W = S^K (X W)`, the narrower of `X`
/// and `X W` is propagated: costs `N F width + K E min(F, width)` multiplications. Border: a node without incoming
/// edges keeps its features at each hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgConv {
    /// Output width.
    pub width: usize,
    /// Number of propagation steps, `K`.
    #[serde(default = "one")]
    pub hops: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn one() -> usize {
    1
}

impl SgConv {
    /// A layer with this output width and this number of propagation steps.
    pub fn new(width: usize, hops: usize) -> Self {
        Self { width, hops, weight_decay: None }
    }
}

impl Layer for SgConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let weight = program.weight("lin.weight", [input.width(), self.width], self.weight_decay)?;
        let bias = program.vector("lin.bias", self.width, Initialization::ZEROS, self.weight_decay)?;
        if self.hops == 0 || (input.width() < self.width && !input.is_sparse()) {
            let sums = propagate(program, input, self.hops)?;
            return linear(program, sums, &weight, Some(&bias));
        }
        let messages = linear(program, input, &weight, None)?;
        let sums = propagate(program, messages, self.hops)?;
        add_bias(program, sums, &bias)
    }
}

/// Records this number of propagation steps.
fn propagate(program: &mut Program, input: Value, hops: usize) -> Result<Value, BuildError> {
    (0..hops).try_fold(input, |value, _| aggregate(program, value, Normalization::Symmetric))
}
