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
/// with graph networks", ICLR 2021, eq. 1), `LN` being a [`LayerNorm`]. As in the authors' code nodes receive `M`,
/// without the residual connection of the edges. The layers that follow read `E'` as the features of the edges.
///
/// `X` and `X'` are `[N, F]`, `E` and `E'` `[E, G]`, all dense. `MLP_edge` maps `G + 2 F` features through the hidden
/// widths to `G`, `MLP_node` `F + G` to `F`; their parameters are called `edge.*` and `node.*`, as in PyTorch's
/// `Sequential`s with the normalization at the end. The first maps of `X` are computed on the nodes: costs `2 N F H`
/// there and `E (G H + ...)` on the edges for a hidden width `H`. Border: a node without incoming edges receives zeros.
/// A dangling edge sends nothing.
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
    /// A block whose perceptrons have these hidden widths and rectifiers.
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
        // It follows the maps and the activations between them.
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
        let part = |number: usize| weight.rows(edge_width + number * width..edge_width + (number + 1) * width);
        let source = linear(program, input, &part(0), None)?;
        let target = linear(program, input, &part(1), None)?;
        let own = linear(program, edges, &weight.rows(0..edge_width), Some(&bias))?;
        let [source, target, edge] = [source, target, own].map(|value| Some((value, 1.0)));
        let first = gather_endpoints(program, EdgeTerms { source, target, edge })?;
        let sent = self.finish(program, "edge", first, edge_width)?;
        let new_edges = add(program, [(edges, 1.0), (sent, 1.0)])?;

        let sums = reduce(program, sent, Relation::Edges, Reduction::Sum)?;
        let (weight, bias) = self.perceptron(width).first(program, "node", width + edge_width)?;
        let parts = [(input, weight.rows(0..width)), (sums, weight.rows(width..width + edge_width))];
        let first = linear_pair(program, parts, Some(&bias))?;
        let change = self.finish(program, "node", first, width)?;
        program.set_edge_features(new_edges);
        add(program, [(input, 1.0), (change, 1.0)])
    }
}
