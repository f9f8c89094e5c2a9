//! The edge convolution of dynamic graph networks.

use serde::{Deserialize, Serialize};

use super::{Layer, Mlp};
use crate::{
    error::BuildError,
    operators::{EdgeTerms, Reduction, Relation, add, gather_endpoints, linear, reduce},
    program::{Program, Value},
};

/// `Y[i] = max of nn([X[i], X[j] - X[i]]) over the edges j -> i`, feature by feature, or another aggregation than the
/// maximum (Wang et al., "Dynamic graph CNN for learning on point clouds", TOG 2019, eq. 7 and 8).
///
/// `X` is `[N, F]`, dense or sparse, `Y` `[N, last width of nn]`. The first linear map of `nn` is
/// `W_1 [X[i], X[j] - X[i]] = A X[i] - B X[i] + B X[j]`, so it is computed on the nodes: costs `2 N F widths[0]` and
/// the further maps on `E` rows. Edge weights are not read. Border: the output of a node without incoming edges is 0.
/// Edges that tie for the maximum divide the gradient equally.
///
/// Parameters are called `nn.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConv {
    /// The perceptron that computes a message from the two endpoints.
    pub nn: Mlp,
    /// The aggregation of the messages.
    #[serde(default = "max")]
    pub aggregation: Reduction,
}

fn max() -> Reduction {
    Reduction::Max
}

impl EdgeConv {
    /// A layer with this perceptron and the maximum as aggregation.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, aggregation: max() }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }
}

impl Layer for EdgeConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        // The target of a message is subtracted from its source: both are of one kind.
        let width = input.width();
        let (weight, bias) = self.nn.first(program, "nn", 2 * width)?;
        let root = linear(program, input, &weight.rows(0..width), Some(&bias))?;
        let source = linear(program, input, &weight.rows(width..2 * width), None)?;
        let target = add(program, [(root, 1.0), (source, -1.0)])?;
        let terms = EdgeTerms { source: Some((source, 1.0)), target: Some((target, 1.0)), edge: None };
        let hidden = gather_endpoints(program, terms)?;
        let messages = program.nested("nn", &self.nn.after_first(), hidden)?;
        reduce(program, messages, Relation::Edges, self.aggregation)
    }
}
