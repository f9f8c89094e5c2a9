//! The edge-conditioned convolution of Gilmer et al.

use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, Mlp, mlp::torch_weight};
use crate::{
    error::BuildError,
    operators::{Reduction, Relation, add, linear, reduce, transform_along_edges},
    program::{Program, Value},
};

/// `Y[i] = W^T X[i] + b + sum of nn(E[e])^T X[j] over the edges e: j -> i`, or another aggregation than the sum, where
/// `nn(E[e])` is read as a matrix `[F, width]` (Gilmer et al., "Neural message passing for quantum chemistry", ICML
/// 2017, section 5, "edge network").
///
/// `X` is `[N, F]`, dense, the edge features `E` are `[E, D]`, `W` is `[F, width]`, `b` `[width]`. Costs `nn` on `E`
/// rows, `E F width` and `N F width` multiplications, and `E F width` values in memory for the matrices. Border: the
/// output of a node without incoming edges is `W^T X[i] + b`.
///
/// Parameters are called `nn.*`, `lin.weight` and `bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NnConv {
    /// Output width.
    pub width: usize,
    /// The perceptron that computes a matrix from the features of an edge; its last width is `F * width`.
    pub nn: Mlp,
    /// The aggregation of the messages.
    #[serde(default = "sum")]
    pub aggregation: Reduction,
    /// Weight decay of the parameters other than those of `nn`; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn sum() -> Reduction {
    Reduction::Sum
}

impl NnConv {
    /// A layer with this output width and this perceptron, and the sum as aggregation.
    pub fn new(width: usize, nn: Mlp) -> Self {
        Self { width, nn, aggregation: sum(), weight_decay: None }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }
}

impl Layer for NnConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let (sources, edges) = (program.source_features(input)?, program.edge_features()?);
        let (found, expected) = (self.nn.width(), sources.width().saturating_mul(self.width));
        if found != expected {
            let shape = format!("{} by {}", sources.width(), self.width);
            let reason = format!(
                "computes {found} values for each edge, but needs a matrix of {shape}; set the last width of `nn` to \
                 {expected}"
            );
            return Err(program.error(reason));
        }
        let matrices = program.nested("nn", &self.nn, edges)?;
        let messages = transform_along_edges(program, sources, matrices, self.width)?;
        let sums = reduce(program, messages, Relation::Edges, self.aggregation)?;
        let weight = torch_weight(program, "lin", [input.width(), self.width], self.weight_decay)?;
        let bias = program.vector("bias", self.width, Initialization::ZEROS, self.weight_decay)?;
        let root = linear(program, input, &weight, Some(&bias))?;
        add(program, [(sums, 1.0), (root, 1.0)])
    }
}
