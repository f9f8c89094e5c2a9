//! The E(n)-equivariant graph network of Satorras et al.

use connectome_components::{Parameter, Signal, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder, Mlp};
use crate::{
    kernels::Activation,
    stages::{
        EdgeTerms, Epilogue, Reduction, Relation, Weight, activate, add, gather_ends, linear, linear_of_two, multiply,
        reduce, square_norm,
    },
};

/// `M[e] = phi_e(H[t], H[s], |X[t] - X[s]|^2)` for each edge `e` from `s` to `t`,
/// `X'[i] = X[i] + mean over edges e to i of (X[i] - X[s]) phi_x(M[e])` and `H'[i] = H[i] + phi_h(H[i], sum of M[e])`
/// (Satorras, Hoogeboom & Welling, "E(n) equivariant graph neural networks", ICML 2021, eq. 3 to 6, with a residual
/// connection in eq. 6 as the authors' code has it, and the mean over incoming edges for `C`).
///
/// The input is `H`, `[N, F]`, dense. `X`, `[N, D]`, are the coordinates of the model
/// ([`ModelBuilder::coordinates`](crate::ModelBuilder::coordinates)), and the layers that follow read `X'` as such. Turn,
/// mirror or move them, and `X'` turns, is mirrored or moves alike, while `H'` stays. `phi_e` is a perceptron from
/// `2 F + 1` through `hidden` to `hidden` with `SiLU` after each map, `phi_x` one from `hidden` through `hidden` to one
/// number without bias, `phi_h` one from `F + hidden` through `hidden` to `F`; their parameters are called `phi_e.0.weight`
/// and so on. The first maps of `H` are made on the nodes: costs `3 N F hidden` there and `2 E hidden^2` on the edges.
/// Border: a node without incoming edges stays where it is and is sent zeros. A dangling edge goes to no node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgnnConv {
    /// Width of the messages and of the hidden layers.
    pub hidden: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl EgnnConv {
    /// Messages of so many numbers.
    pub fn new(hidden: usize) -> Self {
        Self { hidden, weight_decay: None }
    }

    fn perceptron(&self, width: usize) -> Mlp {
        let silu = Mlp::new([self.hidden, width]).with_activation(Activation::Silu);
        Mlp { weight_decay: self.weight_decay, ..silu }
    }

    /// `M`, of the nodes and of what the edges span.
    fn messages(&self, layer: &mut LayerBuilder, input: Signal, spans: Signal) -> Result<Signal, BuildError> {
        let width = input.width();
        let perceptron = self.perceptron(self.hidden);
        let (weight, bias) = perceptron.first(layer, "phi_e", 2 * width + 1)?;
        let part = |start: usize, count: usize| Weight::rows(&weight, start..start + count);
        let target = linear(layer, input, part(0, width), Epilogue::default())?;
        let source = linear(layer, input, part(width, width), Epilogue::default())?;
        let lengths = square_norm(layer, spans)?;
        let own = linear(layer, lengths, part(2 * width, 1), Epilogue::bias(&bias))?;
        let activation = perceptron.passing_activation(0);
        let [source, target, own] = [source, target, own].map(|signal| (signal, 1.0));
        let terms = EdgeTerms { source: Some(source), target: Some(target), edge: Some(own), activation };
        let first = gather_ends(layer, terms)?;
        [source.0, target.0, lengths, own.0].into_iter().for_each(|signal| layer.release(signal));
        let mapped = layer.nested("phi_e", &perceptron.after_first(), first)?;
        let messages = activate(layer, mapped, Activation::Silu)?;
        layer.release(mapped);
        Ok(messages)
    }

    /// `X'`, by how far each message pulls along its edge.
    fn moved(
        &self,
        layer: &mut LayerBuilder,
        coordinates: Signal,
        spans: Signal,
        messages: Signal,
    ) -> Result<Signal, BuildError> {
        let [first, first_bias] = self.first_pull(layer)?;
        let last = self.last_pull(layer)?;
        let before = linear(layer, messages, &first, Epilogue::bias(&first_bias))?;
        let hidden = activate(layer, before, Activation::Silu)?;
        layer.release(before);
        let pulls = linear(layer, hidden, &last, Epilogue::default())?;
        layer.release(hidden);
        let pulled = multiply(layer, spans, pulls)?;
        layer.release(pulls);
        let change = reduce(layer, pulled, Relation::Edges, Reduction::Mean)?;
        layer.release(pulled);
        let output = add(layer, [(coordinates, 1.0), (change, 1.0)])?;
        layer.release(change);
        Ok(output)
    }

    fn first_pull(&self, layer: &mut LayerBuilder) -> Result<[Parameter; 2], BuildError> {
        let (weight, bias) = self.perceptron(1).first(layer, "phi_x", self.hidden)?;
        Ok([weight, bias])
    }

    /// Small in the beginning, so that nodes move little: a thousandth of Glorot & Bengio's bound, as in the authors' code.
    fn last_pull(&self, layer: &mut LayerBuilder) -> Result<Parameter, BuildError> {
        let bound = 0.001 * (6.0 / (self.hidden + 1) as f32).sqrt();
        let stored = TensorLayout { shape: vec![1, self.hidden], transposed: true };
        let shape = [self.hidden, 1];
        layer.parameter("phi_x.2.weight", shape, stored, Initialization::Uniform(bound), self.weight_decay)
    }
}

impl Layer for EgnnConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let coordinates = layer.coordinates()?;
        layer.dense(input)?;
        if layer.dense(coordinates)?.domain() != layer.rows().nodes {
            return Err(layer.refuse("moves nodes, so the coordinates are to be on nodes"));
        }
        let width = input.width();
        layer.messages();
        let ends =
            EdgeTerms { source: Some((coordinates, -1.0)), target: Some((coordinates, 1.0)), ..EdgeTerms::default() };
        let spans = gather_ends(layer, ends)?;
        let messages = self.messages(layer, input, spans)?;
        let moved = self.moved(layer, coordinates, spans, messages)?;
        layer.release(spans);
        let sums = reduce(layer, messages, Relation::Edges, Reduction::Sum)?;
        layer.release(messages);

        let perceptron = self.perceptron(width);
        let (weight, bias) = perceptron.first(layer, "phi_h", width + self.hidden)?;
        let parts = [(input, 0..width), (sums, width..width + self.hidden)];
        let parts = parts.map(|(signal, rows)| (signal, Weight::rows(&weight, rows)));
        let first = linear_of_two(layer, parts, perceptron.first_epilogue(&bias))?;
        layer.release(sums);
        let change = layer.nested("phi_h", &perceptron.after_first(), first)?;
        layer.last_stage();
        let output = add(layer, [(input, 1.0), (change, 1.0)])?;
        layer.set_coordinates(moved);
        Ok(output)
    }
}
