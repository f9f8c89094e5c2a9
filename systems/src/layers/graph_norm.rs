//! Graph normalization.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{GraphNormParameters, graph_norm},
    program::{Program, Value},
};

/// `C[i] = X[i] - mean_scale * mean X` and `Y[i] = weight * C[i] / sqrt(mean C^2 + epsilon) + bias`, feature by
/// feature, with means over the nodes of the subgraph that node `i` belongs to (Cai et al., "GraphNorm: a principled
/// approach to accelerating graph neural network training", ICML 2021, eq. 6).
///
/// `X` is `[N, F]`, dense, on nodes; `weight`, `bias` and `mean_scale` are `[F]`, initially 1, 0 and 1. Costs about `8
/// N F` operations and `2 F` values for each subgraph; a subgraph is not divided among workers. Border: a graph without
/// subgraphs is one segment, so the means are taken over all its nodes, or over those of a sampled batch. Where there are
/// subgraphs, the output of a node in none is the bias.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphNorm {
    /// Added to the variance, so that it is never 0.
    #[serde(default = "epsilon")]
    pub epsilon: f32,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn epsilon() -> f32 {
    1e-5
}

impl GraphNorm {
    /// A normalization with an `epsilon` of 1e-5, as in PyTorch Geometric.
    pub fn new() -> Self {
        Self { epsilon: epsilon(), weight_decay: None }
    }
}

impl Default for GraphNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer for GraphNorm {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { epsilon, weight_decay } = *self;
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(program.error(format!("has epsilon {epsilon}; give a small one above 0")));
        }
        let width = input.width();
        let mut vector = |name, initial| program.vector(name, width, Initialization::Constant(initial), weight_decay);
        let parameters = GraphNormParameters {
            weight: vector("weight", 1.0)?,
            bias: vector("bias", 0.0)?,
            mean_scale: vector("mean_scale", 1.0)?,
        };
        graph_norm(program, input, &parameters, epsilon)
    }
}
