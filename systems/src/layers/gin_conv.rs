//! The graph isomorphism network.

use connectome_components::{Normalization, Signal};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, Mlp};
use crate::stages::{Epilogue, add, aggregate, linear, scale_by};

/// `Y[i] = nn((1 + eps) X[i] + sum of X[j] over the edges j -> i)` (Xu, Hu, Leskovec & Jegelka, "How powerful are graph
/// neural networks?", ICLR 2019, eq. 4.1).
///
/// `X` is `[N, F]`, dense or sparse, `Y` `[N, last width of nn]`. The sum commutes with the first map of `nn`, so the
/// narrower of the two widths is sent along the edges: costs those of `nn` on `N` rows and `E min(F, widths[0])` additions.
/// Weights of edges are not read. Border: a node without incoming edges has `nn((1 + eps) X[i])`.
///
/// Parameters are called `eps` and `nn.*`; an `eps` that is not learned is saved too, as in PyTorch Geometric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GinConv {
    /// What follows the sum.
    pub nn: Mlp,
    /// How much more a node's own features count, to begin with.
    #[serde(default)]
    pub eps: f32,
    /// Whether `eps` is learned.
    #[serde(default)]
    pub train_eps: bool,
}

impl GinConv {
    /// With this perceptron, and an `eps` of 0 that stays so.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, eps: 0.0, train_eps: false }
    }

    /// The same, but learns `eps`.
    pub fn train_eps(self) -> Self {
        Self { train_eps: true, ..self }
    }
}

impl Layer for GinConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let is_sparse = matches!(input, Signal::Sparse { .. });
        let (weight, bias) = self.nn.first(layer, "nn", input.width())?;
        if input.width() <= weight.shape[1] && !is_sparse {
            let sums = aggregate(layer, input, Normalization::Sum, Epilogue::default())?;
            let features = add_own(layer, input, sums, self.eps, self.train_eps)?;
            return layer.nested("nn", &self.nn, features);
        }
        layer.messages();
        let mapped = linear(layer, input, &weight, Epilogue::default())?;
        layer.release(input);
        let sums = aggregate(layer, mapped, Normalization::Sum, Epilogue::bias(&bias))?;
        let hidden = add_own(layer, mapped, sums, self.eps, self.train_eps)?;
        layer.nested("nn", &self.nn.after_first(), hidden)
    }
}

/// `(1 + eps) X + S` with the parameter `eps` and the sums `S`; releases both.
pub(super) fn add_own(
    layer: &mut LayerBuilder,
    own: Signal,
    sums: Signal,
    eps: f32,
    train_eps: bool,
) -> Result<Signal, BuildError> {
    let initialization = Initialization::Constant(eps);
    let eps = if train_eps {
        layer.vector("eps", 1, initialization, None)?
    } else {
        layer.statistics("eps", 1, initialization)?
    };
    let scaled = scale_by(layer, own, &eps, 1.0)?;
    layer.release(own);
    let total = add(layer, [(scaled, 1.0), (sums, 1.0)])?;
    layer.release(scaled);
    layer.release(sums);
    Ok(total)
}
