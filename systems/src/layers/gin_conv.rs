//! The graph isomorphism network.

use connectome_components::{Normalization, Parameter, Signal};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, Mlp};
use crate::stages::{Epilogue, NeighbourCoefficients, aggregate, linear};

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
    pub epsilon: f32,
    /// Whether `epsilon` is learned.
    #[serde(default)]
    pub train_epsilon: bool,
}

impl GinConv {
    /// With this perceptron, and an `eps` of 0 that stays so.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, epsilon: 0.0, train_epsilon: false }
    }

    /// The same, but learns `eps`.
    pub fn train_epsilon(self) -> Self {
        Self { train_epsilon: true, ..self }
    }
}

impl Layer for GinConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let is_sparse = matches!(input, Signal::Sparse { .. });
        let (weight, bias) = self.nn.first(layer, "nn", input.width())?;
        let eps = eps(layer, self.epsilon, self.train_epsilon)?;
        let coefficients = NeighbourCoefficients::from(Normalization::Sum).with_own(&eps);
        if input.width() <= weight.shape[1] && !is_sparse {
            let sums = aggregate(layer, input, coefficients, Epilogue::default())?;
            layer.release(input);
            layer.last_part();
            return layer.nested("nn", &self.nn, sums);
        }
        layer.messages();
        let mapped = linear(layer, input, &weight, Epilogue::default())?;
        layer.release(input);
        let hidden = aggregate(layer, mapped, coefficients, self.nn.first_epilogue(&bias))?;
        layer.release(mapped);
        layer.last_part();
        layer.nested("nn", &self.nn.after_first(), hidden)
    }
}

/// The parameter by which a node's own features count more than those of others.
pub(super) fn eps(layer: &mut LayerBuilder, epsilon: f32, learns: bool) -> Result<Parameter, BuildError> {
    let initialization = Initialization::Constant(epsilon);
    if learns { layer.vector("eps", 1, initialization, None) } else { layer.statistics("eps", 1, initialization) }
}
