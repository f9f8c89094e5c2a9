//! The block of MeshGraphNets.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, LayerBuilder, LayerNorm, Mlp};
use crate::{
    kernels::Activation,
    stages::{EdgeTerms, Epilogue, Reduction, Relation, Weight, add, gather_ends, linear, linear_of_two, reduce},
};

/// `M[e] = LN(MLP_edge(E[e], X[s], X[t]))` for each edge `e` from `s` to `t`, `E'[e] = E[e] + M[e]`, and
/// `X'[i] = X[i] + LN(MLP_node(X[i], sum over edges e to i of M[e]))` (Pfaff et al., "Learning mesh-based simulation with
/// graph networks", ICLR 2021, eq. 1), `LN` being a [`LayerNorm`]. As in the authors' code nodes are sent `M`, to which the
/// residual connection of the edges is not yet added. The layers that follow read `E'` as the features of the edges.
///
/// `X` and `X'` are `[N, F]`, `E` and `E'` `[E, G]`, all dense. `MLP_edge` maps `G + 2 F` numbers through the hidden widths
/// to `G`, `MLP_node` `F + G` to `F`; their parameters are called `edge.*` and `node.*`, as in PyTorch's `Sequential`s with
/// the normalisation at the end. Of the first maps those of `X` are made on the nodes: costs `2 N F H` there and
/// `E (G H + ...)` on the edges for a hidden width `H`. Border: a node without incoming edges is sent zeros. A dangling
/// edge goes to no node and is read by none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphNetBlock {
    /// The hidden widths of both perceptrons.
    pub hidden: Vec<usize>,
    /// What stands between their maps.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

fn relu() -> Activation {
    Activation::Relu
}

impl GraphNetBlock {
    /// Perceptrons of these hidden widths, with rectifiers between their maps.
    pub fn new(hidden: impl Into<Vec<usize>>) -> Self {
        Self { hidden: hidden.into(), activation: relu(), weight_decay: None }
    }

    fn perceptron(&self, width: usize) -> Mlp {
        let widths: Vec<usize> = self.hidden.iter().copied().chain([width]).collect();
        Mlp { activation: self.activation, weight_decay: self.weight_decay, ..Mlp::new(widths) }
    }

    /// The rest of a perceptron to so many numbers, after its first map, and the normalisation.
    fn finish(&self, layer: &mut LayerBuilder, name: &str, first: Signal, width: usize) -> Result<Signal, BuildError> {
        let perceptron = self.perceptron(width);
        let mapped = layer.nested(name, &perceptron.after_first(), first)?;
        // It stands behind the maps and the activations between them.
        let place = 2 * perceptron.widths.len() - 1;
        let norm = LayerNorm { weight_decay: self.weight_decay, ..LayerNorm::new() };
        layer.nested(&format!("{name}.{place}"), &norm, mapped)
    }
}

impl Layer for GraphNetBlock {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let edges = layer.edges()?;
        layer.dense(input)?;
        let (width, edge_width) = (input.width(), edges.width());
        let perceptron = self.perceptron(edge_width);
        let (weight, bias) = perceptron.first(layer, "edge", edge_width + 2 * width)?;
        let part =
            |number: usize| Weight::rows(&weight, edge_width + number * width..edge_width + (number + 1) * width);
        layer.messages();
        let source = linear(layer, input, part(0), Epilogue::default())?;
        let target = linear(layer, input, part(1), Epilogue::default())?;
        let own = linear(layer, edges, Weight::rows(&weight, 0..edge_width), Epilogue::bias(&bias))?;
        let activation = perceptron.passing_activation(0);
        let [source, target, own] = [source, target, own].map(|signal| (signal, 1.0));
        let terms = EdgeTerms { source: Some(source), target: Some(target), edge: Some(own), activation };
        let first = gather_ends(layer, terms)?;
        [source, target, own].into_iter().for_each(|(signal, _)| layer.release(signal));
        let sent = self.finish(layer, "edge", first, edge_width)?;
        let new_edges = add(layer, [(edges, 1.0), (sent, 1.0)])?;

        let sums = reduce(layer, sent, Relation::Edges, Reduction::Sum)?;
        layer.release(sent);
        let perceptron = self.perceptron(width);
        let (weight, bias) = perceptron.first(layer, "node", width + edge_width)?;
        let parts = [(input, 0..width), (sums, width..width + edge_width)];
        let parts = parts.map(|(signal, rows)| (signal, Weight::rows(&weight, rows)));
        let first = linear_of_two(layer, parts, perceptron.first_epilogue(&bias))?;
        layer.release(sums);
        let change = self.finish(layer, "node", first, width)?;
        layer.last_stage();
        let output = add(layer, [(input, 1.0), (change, 1.0)])?;
        layer.set_edges(new_edges);
        Ok(output)
    }
}
