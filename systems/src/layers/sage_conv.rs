//! GraphSAGE.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{
    BuildError, Layer,
    mlp::{torch_linear, torch_weight},
};
use crate::{
    kernels::Activation,
    operators::{Reduction, Relation, activate, add, add_bias, aggregate, linear, linear_pair, normalize_rows, reduce},
    program::{Program, Value},
};

/// `Y[i] = W_l^T mean(X[j] over the edges j -> i) + b + W_r^T X[i]`, or with another reduction than the mean (Hamilton, Ying
/// & Leskovec, "Inductive representation learning on large graphs", NeurIPS 2017, algorithm 1 with the map of both put side
/// by side taken apart).
///
/// `X` is `[N, F]`, dense, or sparse where it is mapped before it is reduced; `W_l` and `W_r` are `[F, width]`, `b`
/// `[width]`. Sums and means commute with the map, so the narrower of the two widths is sent along the edges: costs
/// `2 N F width + E min(F, width)`, and `E F` comparisons for extremes. Weights of edges are not read. Border: a node
/// without incoming edges has `b + W_r^T X[i]`.
///
/// Parameters are called `lin_l.weight`, `lin_l.bias`, `lin_r.weight`; and `lin.weight`, `lin.bias` with `project`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SageConv {
    /// Output width.
    pub width: usize,
    /// What is made of the neighbors.
    #[serde(default = "mean")]
    pub aggregation: Reduction,
    /// Whether the neighbors' features go through a linear map and a rectifier first: with the maximum, the pooling
    /// aggregator of the paper (eq. 3).
    #[serde(default)]
    pub project: bool,
    /// Whether a node's own features are read.
    #[serde(default = "yes")]
    pub root_weight: bool,
    /// Whether each row is divided by its length at last (line 7 of the algorithm).
    #[serde(default)]
    pub normalize: bool,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn mean() -> Reduction {
    Reduction::Mean
}

fn yes() -> bool {
    true
}

impl SageConv {
    /// The mean of the neighbors and the node itself to so many outputs.
    pub fn new(width: usize) -> Self {
        let (aggregation, root_weight) = (mean(), yes());
        Self { width, aggregation, project: false, root_weight, normalize: false, weight_decay: None }
    }

    /// The same with another reduction.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }

    /// The same with rows of length 1.
    pub fn normalized(self) -> Self {
        Self { normalize: true, ..self }
    }

    /// The coefficients by which a reduction is a weighted sum, if it is one.
    fn normalization(&self) -> Option<Normalization> {
        match self.aggregation {
            Reduction::Sum => Some(Normalization::Sum),
            Reduction::Mean => Some(Normalization::Mean),
            Reduction::Max | Reduction::Min => None,
        }
    }

    /// What of the neighbors is mapped: their features, or what the projection makes of them.
    fn features(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        if !self.project {
            return Ok(input);
        }
        let (weight, bias) = torch_linear(program, "lin", [input.width(); 2], self.weight_decay)?;
        let projected = linear(program, input, &weight, Some(&bias))?;
        activate(program, projected, Activation::Relu)
    }

    fn combine(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let features = self.features(program, input)?;
        let (weight, bias) = torch_linear(program, "lin_l", [features.width(), self.width], self.weight_decay)?;
        let own = [input.width(), self.width];
        let own_weight =
            self.root_weight.then(|| torch_weight(program, "lin_r", own, self.weight_decay)).transpose()?;
        let reduced = match self.normalization() {
            Some(normalization) if self.width < features.width() || features.is_sparse() => {
                let messages = linear(program, features, &weight, None)?;
                let mut sums = aggregate(program, messages, normalization)?;
                if let Some(weight) = &own_weight {
                    let own = linear(program, input, weight, None)?;
                    sums = add(program, [(sums, 1.0), (own, 1.0)])?;
                }
                return add_bias(program, sums, &bias);
            }
            Some(normalization) => aggregate(program, features, normalization)?,
            None => reduce(program, features, Relation::Neighbors, self.aggregation)?,
        };
        match own_weight {
            Some(own_weight) => linear_pair(program, [(reduced, weight), (input, own_weight)], Some(&bias)),
            None => linear(program, reduced, &weight, Some(&bias)),
        }
    }
}

impl Layer for SageConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let output = self.combine(program, input)?;
        if self.normalize { normalize_rows(program, output) } else { Ok(output) }
    }
}
