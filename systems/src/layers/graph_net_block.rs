//! The block of MeshGraphNets.

use serde::{Deserialize, Serialize};

use super::{Layer, LayerNorm, Mlp};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{EdgeTerms, Reduction, Relation, add, gather_endpoints, linear, linear_pair, reduce},
    program::{Program, Value},
};

/// `M[e] = LN(MLP_edge(E[e], X[s], X[t]))` for each edge `e` from `s` to `t`, `E'[e] = E[e] + M[e]`, and
/// `X'[i] = X[i] + LN(MLP_node(X[i], sum over edges e to i of M[e]))` (Pfaff et al., "Learning mesh-based simulation
/// with graph networks", ICLR 2021, eq. 1), where `LN` is a [`LayerNorm`]. As in the authors' code nodes aggregate `M`,
/// without the residual connection of the edges. The layers that follow read `E'` as edge features.
///
/// `X` and `X'` are `[N, F]`, `E` and `E'` `[E, G]`, all dense. `MLP_edge` has the widths `G + 2 F`, the hidden ones,
/// and `G`, `MLP_node` `F + G`, the hidden ones, and `F`; their parameters are called `edge.*` and `node.*`, as in a
/// `Sequential` of PyTorch with the normalization at the end. The first maps of `X` are computed on the nodes: costs `2
/// N F H` there and `E (G H + ...)` on the edges for a hidden width `H`. Border: for a node without incoming edges the
/// sum is 0. A dangling edge sends no message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphNetBlock {
    /// The hidden widths of both perceptrons.
    pub hidden: Vec<usize>,
    /// The activation between their linear maps.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn relu() -> Activation {
    Activation::Relu
}

impl GraphNetBlock {
    /// A block whose perceptrons have these hidden widths and ReLUs.
    pub fn new(hidden: impl Into<Vec<usize>>) -> Self {
        Self { hidden: hidden.into(), activation: relu(), weight_decay: None }
    }

    fn perceptron(&self, width: usize) -> Mlp {
        let widths: Vec<usize> = self.hidden.iter().copied().chain([width]).collect();
        Mlp { activation: self.activation, weight_decay: self.weight_decay, ..Mlp::new(widths) }
    }

    /// The rest of a perceptron with this output width, after its first map, and the normalization.
    fn finish(&self, program: &mut Program, name: &str, first: Value, width: usize) -> Result<Value, BuildError> {
        let perceptron = self.perceptron(width);
        let mapped = program.nested(name, &perceptron.after_first(), first)?;
        // The normalization follows the maps and the activations between them.
        let index = 2 * perceptron.widths.len() - 1;
        let norm = LayerNorm { weight_decay: self.weight_decay, ..LayerNorm::new() };
        program.nested(&format!("{name}.{index}"), &norm, mapped)
    }
}

impl Layer for GraphNetBlock {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let edges = program.edge_features()?;
        program.dense(input)?;
        let (width, edge_width) = (input.width(), edges.width());
        let (weight, bias) = self.perceptron(edge_width).first(program, "edge", edge_width + 2 * width)?;
        let endpoint = |index: usize| weight.rows(edge_width + index * width..edge_width + (index + 1) * width);
        let source = linear(program, input, &endpoint(0), None)?;
        let target = linear(program, input, &endpoint(1), None)?;
        let edge = linear(program, edges, &weight.rows(0..edge_width), Some(&bias))?;
        let [source, target, edge] = [source, target, edge].map(|value| Some((value, 1.0)));
        let first = gather_endpoints(program, EdgeTerms { source, target, edge })?;
        let messages = self.finish(program, "edge", first, edge_width)?;
        let new_edges = add(program, [(edges, 1.0), (messages, 1.0)])?;

        let sums = reduce(program, messages, Relation::Edges, Reduction::Sum)?;
        let (weight, bias) = self.perceptron(width).first(program, "node", width + edge_width)?;
        let terms = [(input, weight.rows(0..width)), (sums, weight.rows(width..width + edge_width))];
        let first = linear_pair(program, terms, Some(&bias))?;
        let change = self.finish(program, "node", first, width)?;
        program.set_edge_features(new_edges);
        add(program, [(input, 1.0), (change, 1.0)])
    }
}
