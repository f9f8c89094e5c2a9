//! The simple graph convolution of Wu et al.

use connectome_components::{Normalization, Signal};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder};
use crate::stages::{Epilogue, aggregate, linear};

/// `Y = S^K X W + b` with `S = D^-1/2 (A + I) D^-1/2`: node by node `H_k[i] = sum over edges j -> i and i itself of
/// s[ij] H_(k-1)[j]`, `K` times from `H_0 = X`, and `Y[i] = H_K[i] W + b` (Wu et al., "Simplifying graph convolutional
/// networks", ICML 2019, eq. 6), with the weights of the edges in `A` and degrees by target.
///
/// `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`. As `(S^K X) W = S^K (X W)`, the narrower of the two
/// widths is sent along the edges: costs `N F width + K E min(F, width)` multiplications. Border: a node without incoming
/// edges keeps its own features at each hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgConv {
    /// Output width.
    pub width: usize,
    /// How far features travel, `K`.
    #[serde(default = "one")]
    pub hops: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn one() -> usize {
    1
}

impl SgConv {
    /// A layer of so many outputs that reads neighbours so many edges away.
    pub fn new(width: usize, hops: usize) -> Self {
        Self { width, hops, weight_decay: None }
    }
}

impl Layer for SgConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let weight = layer.weight("lin.weight", [input.width(), self.width], self.weight_decay)?;
        let bias = layer.vector("lin.bias", self.width, Initialization::ZEROS, self.weight_decay)?;
        let epilogue = Epilogue::bias(&bias);
        let is_sparse = matches!(input, Signal::Sparse { .. });
        if self.hops == 0 || (input.width() < self.width && !is_sparse) {
            let sums = propagate(layer, input, self.hops)?;
            layer.last_stage();
            return linear(layer, sums, &weight, epilogue);
        }
        layer.messages();
        let messages = linear(layer, input, &weight, Epilogue::default())?;
        layer.release(input);
        let sums = propagate(layer, messages, self.hops - 1)?;
        layer.last_stage();
        aggregate(layer, sums, Normalization::Symmetric, epilogue)
    }
}

/// So many hops; the signal is released.
fn propagate(layer: &mut LayerBuilder, mut signal: Signal, hops: usize) -> Result<Signal, BuildError> {
    for _ in 0..hops {
        let sums = aggregate(layer, signal, Normalization::Symmetric, Epilogue::default())?;
        layer.release(signal);
        signal = sums;
    }
    Ok(signal)
}
