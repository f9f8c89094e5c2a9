//! The gated graph network of Li et al.

use connectome_components::{Normalization, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{aggregate, gru, linear, pad},
    program::{Program, Value},
};

/// `M_l[i] = sum over edges j -> i of H_(l-1)[j] W_l` and `H_l[i] = GRU(M_l[i], H_(l-1)[i])` for `l = 1..=layers`,
/// where `H_0` is `X` padded with zeros (Li et al., "Gated graph sequence neural networks", ICLR 2016, eq. 1 to 6),
/// with [`gru`] as recurrent unit, as in PyTorch Geometric. Edge weights are not read.
///
/// `X` is `[N, F]`, dense, `F` at most `width`, and `H_l` `[N, width]`. Each layer has a map in `weight` `[layers,
/// width, width]`; `rnn.weight_ih` and `rnn.weight_hh`, `[3 width, width]` in files, and their biases are shared by all
/// layers. Costs `layers (7 N width^2 + E width)` multiplications. Border: for a node without incoming edges `M_l[i]`
/// is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedGraphConv {
    /// Width of the state.
    pub width: usize,
    /// Number of propagation steps.
    pub layers: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl GatedGraphConv {
    /// A layer with a state of this width and this number of propagation steps.
    pub fn new(width: usize, layers: usize) -> Self {
        Self { width, layers, weight_decay: None }
    }
}

impl Layer for GatedGraphConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Self { width, layers, weight_decay } = *self;
        if layers == 0 {
            return Err(program.error("has no layers; give at least one"));
        }
        if input.width() > width {
            let found = input.width();
            let reason =
                format!("has a state of width {width} for an input of width {found}; set `width` to at least that");
            return Err(program.error(reason));
        }
        let initialization = Initialization::Uniform(1.0 / (width.max(1) as f32).sqrt());
        let layout = TensorLayout { shape: vec![layers, width, width], transposed: false };
        let weight =
            program.parameter("weight", [layers.saturating_mul(width), width], layout, initialization, weight_decay)?;
        let [from_input, from_hidden] = ["ih", "hh"].map(|side| {
            let layout = TensorLayout { shape: vec![3 * width, width], transposed: true };
            let (name, shape) = (format!("rnn.weight_{side}"), [width, 3 * width]);
            let weight = program.parameter(&name, shape, layout, initialization, weight_decay)?;
            let bias = program.vector(&format!("rnn.bias_{side}"), 3 * width, initialization, weight_decay)?;
            Ok::<_, BuildError>((weight, bias))
        });
        let ((input_weight, input_bias), (hidden_weight, hidden_bias)) = (from_input?, from_hidden?);
        let mut state = pad(program, input, width)?;
        for layer in 0..layers {
            let weight = weight.rows(layer * width..(layer + 1) * width);
            let messages = linear(program, state, &weight, None)?;
            let sums = aggregate(program, messages, Normalization::Sum)?;
            let input_gates = linear(program, sums, &input_weight, Some(&input_bias))?;
            let hidden_gates = linear(program, state, &hidden_weight, Some(&hidden_bias))?;
            state = gru(program, input_gates, hidden_gates, state)?;
        }
        Ok(state)
    }
}
