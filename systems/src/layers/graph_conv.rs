//! The graph convolution of Morris et al., with separate weights for a node and its neighbors.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{
    Layer,
    convolution::aggregate_with_root,
    mlp::{torch_linear, torch_weight},
};
use crate::{
    error::BuildError,
    operators::Reduction,
    program::{Program, Value},
};

/// `Y[i] = W_rel^T sum(w[ji] X[j] over the edges j -> i) + b + W_root^T X[i]` with edge weights `w` (Morris et al.,
/// "Weisfeiler and Leman go neural: higher-order graph neural networks", AAAI 2019, eq. 3).
///
/// `X` is `[N, F]`, dense or sparse; `W_rel` and `W_root` are `[F, width]`, `b` `[width]`. The mean divides the
/// weighted sum by the number of incoming edges. Both commute with the linear map, so the narrower of its input and
/// output is aggregated: costs `2 N F width + E min(F, width)` multiplications. Border: the output of a node without
/// incoming edges is `b + W_root^T X[i]`, and an edge without a weight has weight 1.
///
/// This is `GraphConv` of PyTorch Geometric. Scenes of earlier versions use this name for [`GcnConv`](super::GcnConv).
///
/// Parameters are called `lin_rel.weight`, `lin_rel.bias`, `lin_root.weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphConv {
    /// Output width.
    pub width: usize,
    /// The aggregation of the neighbors: the weighted sum, or the weighted mean.
    #[serde(default = "sum")]
    pub aggregation: Reduction,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn sum() -> Reduction {
    Reduction::Sum
}

impl GraphConv {
    /// A layer with this output width that sums over the neighbors.
    pub fn new(width: usize) -> Self {
        Self { width, aggregation: sum(), weight_decay: None }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }
}

impl Layer for GraphConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let features = program.source_features(input)?;
        let normalization = match self.aggregation {
            Reduction::Sum => Normalization::WeightedSum,
            Reduction::Mean => Normalization::WeightedMean,
            Reduction::Max | Reduction::Min => {
                let reason =
                    "aggregates weighted neighbors by sum or mean; use `SageConv` for their maximum or minimum";
                return Err(program.setting_error("aggregation", reason));
            }
        };
        let map = torch_linear(program, "lin_rel", [features.width(), self.width], self.weight_decay)?;
        let root = torch_weight(program, "lin_root", [input.width(), self.width], self.weight_decay)?;
        aggregate_with_root(program, features, map, Some((input, root)), normalization)
    }
}
