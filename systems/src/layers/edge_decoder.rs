//! A decoder that predicts a row for each edge.

use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, Mlp};
use crate::{
    operators::{EdgeTerms, gather_endpoints, linear},
    program::{Program, Value},
};

/// `Y[e] = nn([X[s], X[t]])` for each edge `e` from `s` to `t`, or `nn([X[s], X[t], E[e]])` with edge features (the
/// `EdgeDecoder` of PyTorch Geometric's example of link regression; Fey & Lenssen, "Fast graph representation learning
/// with PyTorch Geometric", 2019). Used in heads for edge classification and regression.
///
/// `X` is `[N, F]` on nodes, dense or sparse, `E` `[E, G]`, `Y` `[E, last width of nn]` on the edges. The first linear
/// map of `nn` is a sum of maps of `X[s]`, `X[t]` and `E[e]`, so those of `X` are computed on the nodes: costs `2 N F
/// widths[0]` and the further maps on `E` rows. `Y` depends on the direction of the edge. Border: the output of the
/// first map is 0 for a dangling edge, whatever its features.
///
/// Parameters are called `nn.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeDecoder {
    /// The perceptron that computes the row of an edge.
    pub nn: Mlp,
    /// Whether edge features are read.
    #[serde(default)]
    pub edge_features: bool,
}

impl EdgeDecoder {
    /// A decoder with this perceptron that does not read edge features.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, edge_features: false }
    }
}

impl Layer for EdgeDecoder {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let edges = self.edge_features.then(|| program.edge_features()).transpose()?;
        let width = input.width();
        let (weight, bias) = self.nn.first(program, "nn", 2 * width + edges.map_or(0, |edges| edges.width()))?;
        let source = linear(program, input, &weight.rows(0..width), None)?;
        let target = linear(program, input, &weight.rows(width..2 * width), Some(&bias))?;
        let edge = edges.map(|edges| linear(program, edges, &weight.rows(2 * width..2 * width + edges.width()), None));
        let edge = edge.transpose()?.map(|edge| (edge, 1.0));
        let terms = EdgeTerms { source: Some((source, 1.0)), target: Some((target, 1.0)), edge };
        let hidden = gather_endpoints(program, terms)?;
        program.nested("nn", &self.nn.after_first(), hidden)
    }
}
