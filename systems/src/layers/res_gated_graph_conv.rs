//! The residual gated graph convolution of Bresson and Laurent.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, affine::Affine};
use crate::{
    kernels::Activation,
    stages::{EdgeTerms, Epilogue, add, gather_ends, weighted_sum},
};

/// `y[i] = S x[i] + b + sum over j of sigmoid(K x[i] + k + Q x[j] + q) * (V x[j] + v)` over the sources `j` of the edges
/// that come to `i`, number by number (Bresson & Laurent, "Residual gated graph convnets", 2017, eq. 11 and 12).
///
/// `X` is `[N, F]`, dense or sparse, `S`, `K`, `Q` and `V` are `[F, width]`; the output is `[N, width]`. Costs
/// `4 N F width + E width` multiplications and as many exponentials as edges times `width`, and columns of `[E, width]` for
/// the gates alone.
///
/// A node without incoming edges has `S x[i] + b`. Self-loops are edges like others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResGatedGraphConv {
    /// Output width.
    pub width: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl ResGatedGraphConv {
    /// A layer of so many outputs.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for ResGatedGraphConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let &Self { width, weight_decay } = self;
        let map = |name, bias| Affine { name, width, bias, initialization: None, weight_decay };
        let bias = layer.vector("bias", width, Initialization::ZEROS, weight_decay)?;

        layer.messages();
        let key = map("lin_key", true).of(layer, input)?;
        let query = map("lin_query", true).of(layer, input)?;
        let value = map("lin_value", true).of(layer, input)?;
        let skip = map("lin_skip", false).of(layer, input)?;
        layer.release(input);
        let [source, target] = [query, key].map(|signal| Some((signal, 1.0)));
        let gates = gather_ends(layer, EdgeTerms { source, target, edge: None, activation: Activation::Sigmoid })?;
        [key, query].into_iter().for_each(|signal| layer.release(signal));
        // Each column is a head of its own.
        let messages = weighted_sum(layer, value, gates, Epilogue::bias(&bias))?;
        layer.last_stage();
        add(layer, [(messages, 1.0), (skip, 1.0)])
    }
}
