//! The residual gated graph convolution of Bresson and Laurent.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, affine::Affine};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{EdgeTerms, activate, add, add_bias, gather_endpoints, weighted_sum},
    program::{Program, Value},
};

/// `y[i] = S x[i] + b + sum over j of sigmoid(K x[i] + k + Q x[j] + q) * (V x[j] + v)` over the sources `j` of the
/// edges that end at `i`, elementwise (Bresson & Laurent, "Residual gated graph convnets", 2017, eq. 11 and 12).
///
/// `X` is `[N, F]`, dense or sparse, `S`, `K`, `Q` and `V` are `[F, width]`; the output is `[N, width]`. Costs
/// `4 N F width + E width` multiplications and `E width` exponentials; only the gates need buffers of `[E, width]`.
///
/// Border: the output of a node without incoming edges is `S x[i] + b`. Self-loops are treated as other edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResGatedGraphConv {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl ResGatedGraphConv {
    /// A layer with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for ResGatedGraphConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, weight_decay } = self;
        let map = |name, bias| Affine { name, width, bias, initialization: None, weight_decay };
        let bias = program.vector("bias", width, Initialization::ZEROS, weight_decay)?;

        let sources = program.source_features(input)?;
        let key = map("lin_key", true).of(program, input)?;
        let query = map("lin_query", true).of(program, sources)?;
        let value = map("lin_value", true).of(program, sources)?;
        let skip = map("lin_skip", false).of(program, input)?;
        let [source, target] = [query, key].map(|value| Some((value, 1.0)));
        let agreement = gather_endpoints(program, EdgeTerms { source, target, edge: None })?;
        let gates = activate(program, agreement, Activation::Sigmoid)?;
        // Each feature is a head.
        let messages = weighted_sum(program, value, gates)?;
        let messages = add_bias(program, messages, &bias)?;
        add(program, [(messages, 1.0), (skip, 1.0)])
    }
}
