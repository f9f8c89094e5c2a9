//! The edge convolution of dynamic graph networks.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, LayerBuilder, Mlp};
use crate::stages::{EdgeTerms, Epilogue, Reduction, Relation, Weight, add, gather_ends, linear, reduce};

/// `Y[i] = max of nn([X[i], X[j] - X[i]]) over the edges j -> i`, column by column, or another reduction than the maximum
/// (Wang et al., "Dynamic graph CNN for learning on point clouds", TOG 2019, eq. 7 and 8).
///
/// `X` is `[N, F]`, dense or sparse, `Y` `[N, last width of nn]`. The first map of `nn` is `W_1 [X[i], X[j] - X[i]] = A X[i] -
/// B X[i] + B X[j]`, so it is taken on the nodes: costs `2 N F widths[0]` and the further maps on `E` rows. Weights of edges
/// are not read. Border: a node without incoming edges has zeros. Edges that tie share the gradient.
///
/// Parameters are called `nn.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConv {
    /// What an edge makes of its ends.
    pub nn: Mlp,
    /// What a node makes of its edges.
    #[serde(default = "max")]
    pub aggregation: Reduction,
}

fn max() -> Reduction {
    Reduction::Max
}

impl EdgeConv {
    /// The maximum of what this perceptron makes of the ends.
    pub fn new(nn: Mlp) -> Self {
        Self { nn, aggregation: max() }
    }

    /// The same with another reduction.
    pub fn with_aggregation(self, aggregation: Reduction) -> Self {
        Self { aggregation, ..self }
    }
}

impl Layer for EdgeConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let width = input.width();
        let (weight, bias) = self.nn.first(layer, "nn", 2 * width)?;
        layer.messages();
        let own = linear(layer, input, Weight::rows(&weight, 0..width), Epilogue::bias(&bias))?;
        let sent = linear(layer, input, Weight::rows(&weight, width..2 * width), Epilogue::default())?;
        layer.release(input);
        let received = add(layer, [(own, 1.0), (sent, -1.0)])?;
        layer.release(own);
        let activation = self.nn.passing_activation(0);
        let terms = EdgeTerms { source: Some((sent, 1.0)), target: Some((received, 1.0)), edge: None, activation };
        let hidden = gather_ends(layer, terms)?;
        layer.release(sent);
        layer.release(received);
        let messages = layer.nested("nn", &self.nn.after_first(), hidden)?;
        layer.last_stage();
        reduce(layer, messages, Relation::Edges, self.aggregation)
    }
}
