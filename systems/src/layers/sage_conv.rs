//! GraphSAGE.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{
    Layer,
    convolution::{aggregate_with_root, linear_with_root},
    mlp::{torch_linear, torch_weight},
};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{Reduction, Relation, activate, linear, normalize_rows, reduce},
    program::{Program, Value},
};

/// `Y[i] = W_l^T mean(X[j] over the edges j -> i) + b + W_r^T X[i]`, or with another aggregation than the mean
/// (Hamilton, Ying & Leskovec, "Inductive representation learning on large graphs", NeurIPS 2017, algorithm 1, whose
/// map of the concatenation is written as two).
///
/// `X` is `[N, F]`, dense, or sparse if it is mapped before it is aggregated; `W_l` and `W_r` are `[F, width]`, `b`
/// `[width]`. Sums and means commute with the linear map, so the narrower of its input and output is aggregated: costs
/// `2 N F width + E min(F, width)`, and `E F` comparisons for minimum and maximum. Edge weights are not read. Border:
/// the output of a node without incoming edges is `b + W_r^T X[i]`.
///
/// Parameters are called `lin_l.weight`, `lin_l.bias`, `lin_r.weight`; and `lin.weight`, `lin.bias` with `project`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SageConv {
    /// Output width.
    pub width: usize,
    /// The aggregation of the neighbors.
    #[serde(default = "mean")]
    pub aggregation: Reduction,
    /// Whether a linear map and a ReLU are applied before the aggregation: with the maximum, the pooling aggregator of
    /// the paper (eq. 3).
    #[serde(default)]
    pub project: bool,
    /// Whether the node itself is read, by `W_r`.
    #[serde(default = "yes")]
    pub root_weight: bool,
    /// Whether each output row is divided by its Euclidean norm (line 7 of the algorithm).
    #[serde(default)]
    pub normalize: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
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
    /// A layer with this output width and the mean as aggregation.
    pub fn new(width: usize) -> Self {
        let (aggregation, root_weight) = (mean(), yes());
        Self { width, aggregation, project: false, root_weight, normalize: false, weight_decay: None }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }

    /// The same with output rows of norm 1.
    pub fn normalized(self) -> Self {
        Self { normalize: true, ..self }
    }

    /// The coefficients of the aggregation, if it is a weighted sum.
    fn normalization(&self) -> Option<Normalization> {
        match self.aggregation {
            Reduction::Sum => Some(Normalization::Sum),
            Reduction::Mean => Some(Normalization::Mean),
            Reduction::Max | Reduction::Min => None,
        }
    }

    /// The features to aggregate: the input, or its projection.
    fn features(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        if !self.project {
            return Ok(input);
        }
        let (weight, bias) = torch_linear(program, "lin", [input.width(); 2], self.weight_decay)?;
        let projected = linear(program, input, &weight, Some(&bias))?;
        activate(program, projected, Activation::Relu)
    }

    fn combine(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let sources = program.source_features(input)?;
        let features = self.features(program, sources)?;
        let map = torch_linear(program, "lin_l", [features.width(), self.width], self.weight_decay)?;
        let shape = [input.width(), self.width];
        let root = self.root_weight.then(|| torch_weight(program, "lin_r", shape, self.weight_decay)).transpose()?;
        let root = root.map(|weight| (input, weight));
        match self.normalization() {
            Some(normalization) => aggregate_with_root(program, features, map, root, normalization),
            None => {
                let reduced = reduce(program, features, Relation::Neighbors, self.aggregation)?;
                linear_with_root(program, reduced, map, root)
            }
        }
    }
}

impl Layer for SageConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let output = self.combine(program, input)?;
        if self.normalize { normalize_rows(program, output) } else { Ok(output) }
    }
}
