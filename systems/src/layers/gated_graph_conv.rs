//! The gated graph network of Li et al.

use connectome_components::{Normalization, Signal, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, LayerBuilder};
use crate::stages::{Epilogue, Weight, aggregate, gru, linear, pad};

/// `M_l[i] = sum over edges j -> i of H_(l-1)[j] W_l` and `H_l[i] = GRU(M_l[i], H_(l-1)[i])` for `l = 1..=layers`, where
/// `H_0` is `X` with zeros behind (Li et al., "Gated graph sequence neural networks", ICLR 2016, eq. 1 to 6), with the
/// recurrent unit of [`stages::gru`](crate::stages::gru) in place of theirs, as in PyTorch Geometric. Weights of edges are
/// not read.
///
/// `X` is `[N, F]`, dense, `F` at most `width`, and `H_l` `[N, width]`. The maps `weight` `[layers, width, width]` are each
/// layer's own; `rnn.weight_ih` and `rnn.weight_hh`, `[3 width, width]` in files, with their biases, all layers share.
/// Costs `layers (7 N width^2 + E width)` multiplications. Border: a node without incoming edges is sent zeros, and its
/// state goes on by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedGraphConv {
    /// Width of the state.
    pub width: usize,
    /// How many rounds there are.
    pub layers: usize,
    /// Decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl GatedGraphConv {
    /// A state of so many numbers that is updated so often.
    pub fn new(width: usize, layers: usize) -> Self {
        Self { width, layers, weight_decay: None }
    }
}

impl Layer for GatedGraphConv {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let Self { width, layers, weight_decay } = *self;
        if layers == 0 {
            return Err(layer.refuse("is a gated graph network of no layers; give at least one"));
        }
        if input.width() > width {
            let found = input.width();
            return Err(layer.refuse(format!("has a state {width} wide for an input {found} wide; give it that width")));
        }
        let initialization = Initialization::Uniform(1.0 / (width.max(1) as f32).sqrt());
        let stored = TensorLayout { shape: vec![layers, width, width], transposed: false };
        let weight = layer.parameter("weight", [layers * width, width], stored, initialization, weight_decay)?;
        let [from_input, from_hidden] = ["ih", "hh"].map(|side| {
            let stored = TensorLayout { shape: vec![3 * width, width], transposed: true };
            let shape = [width, 3 * width];
            let weight = layer.parameter(&format!("rnn.weight_{side}"), shape, stored, initialization, weight_decay)?;
            let bias = layer.vector(&format!("rnn.bias_{side}"), 3 * width, initialization, weight_decay)?;
            Ok::<_, BuildError>((weight, bias))
        });
        let ((input_weight, input_bias), (hidden_weight, hidden_bias)) = (from_input?, from_hidden?);
        let mut state = pad(layer, input, width)?;
        if state != input {
            layer.release(input);
        }
        for round in 0..layers {
            layer.messages();
            let own = Weight::rows(&weight, round * width..(round + 1) * width);
            let messages = linear(layer, state, own, Epilogue::default())?;
            let sums = aggregate(layer, messages, Normalization::Sum, Epilogue::default())?;
            layer.release(messages);
            let input_gates = linear(layer, sums, &input_weight, Epilogue::bias(&input_bias))?;
            layer.release(sums);
            let hidden_gates = linear(layer, state, &hidden_weight, Epilogue::bias(&hidden_bias))?;
            if round + 1 == layers {
                layer.last_stage();
            }
            let next = gru(layer, input_gates, hidden_gates, state)?;
            [input_gates, hidden_gates, state].into_iter().for_each(|signal| layer.release(signal));
            state = next;
        }
        Ok(state)
    }
}
