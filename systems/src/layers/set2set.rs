//! A readout with memory.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer};
use crate::{
    operators::{Attention, Relation, Scores, add_bias, attend, concatenate, linear_pair, lstm, zeros},
    program::{Program, Shape, Value},
};

/// A memory that looks at the nodes of each subgraph `steps` times: `q = LSTM(q*)`, `a_i = softmax(x_i . q)`, `r = sum
/// a_i x_i`, `q* = [q | r]`, from `q* = 0` on (Vinyals, Bengio & Kudlur, "Order matters", ICLR 2016, section 4.2;
/// PyTorch Geometric's `Set2Set` with one layer).
///
/// `X` is `[N, C]` on nodes; the output is `[G, 2C]` on subgraphs. Costs `2 N C` multiplications a step for the nodes,
/// and `12 C C` for each subgraph. Border: of a subgraph without nodes `r` is 0; nodes in no subgraph are ignored.
/// Parameters are called `lstm.weight_ih_l0`, `lstm.weight_hh_l0`, `lstm.bias_ih_l0`, `lstm.bias_hh_l0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set2Set {
    /// How often it looks.
    pub steps: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Set2Set {
    /// A readout of this number of steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, weight_decay: None }
    }
}

impl Layer for Set2Set {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { steps, weight_decay } = self;
        if steps == 0 {
            return Err(program.setting_error("steps", "has 0 steps; write at least 1"));
        }
        let (input, subgraphs) = (program.dense(input)?, program.subgraphs());
        let width = input.width();
        let gates = width.saturating_mul(4);
        let initialization = Initialization::Uniform(1.0 / (width.max(1) as f32).sqrt());
        let [from_input, from_hidden] = [("ih", width.saturating_mul(2)), ("hh", width)].map(|(side, inputs)| {
            let layout = TensorLayout { shape: vec![gates, inputs], transposed: true };
            let name = format!("lstm.weight_{side}_l0");
            let weight = program.parameter(&name, [inputs, gates], layout, initialization, weight_decay)?;
            let bias = program.vector(&format!("lstm.bias_{side}_l0"), gates, initialization, weight_decay)?;
            Ok::<_, BuildError>((weight, bias))
        });
        let ((input_weight, input_bias), (hidden_weight, hidden_bias)) = (from_input?, from_hidden?);
        let mut read = zeros(program, Shape::new(subgraphs, width.saturating_mul(2)))?;
        let mut hidden = zeros(program, Shape::new(subgraphs, width))?;
        let mut cell = hidden;
        for _ in 0..steps {
            let terms = [(read, input_weight), (hidden, hidden_weight)];
            let gates = linear_pair(program, terms, Some(&input_bias))?;
            let gates = add_bias(program, gates, &hidden_bias)?;
            [hidden, cell] = lstm(program, gates, cell)?;
            let scores = Scores::ScaledDot { keys: input, queries: hidden, factor: 1.0 };
            let attention =
                Attention { heads: 1, scores, edges: None, add_self_loops: false, self_loop_edges: None, dropout: 0.0 };
            let found = attend(program, input, attention, Relation::Members, None)?;
            read = concatenate(program, &[hidden, found])?;
        }
        Ok(read)
    }
}
