//! The gated recurrent unit over directed acyclic graphs.

use connectome_components::{Direction, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, directions::in_directions, mlp::torch_weight};
use crate::{
    error::BuildError,
    operators::{DagGruCell, Messages, dag_gru, linear},
    program::{Program, Value},
};

/// `H[v] = GRU(X[v], M[v])`, level by level: the state of each node follows from its features and from the states of all
/// nodes before it, whatever the depth of the graph (Zhang, Jiang, Cui, Garnett & Chen, "D-VAE: a variational autoencoder for
/// directed acyclic graphs", NeurIPS 2019; Thost & Chen, "Directed acyclic graph neural networks", ICLR 2021).
///
/// With the cell of [`gru`](crate::operators::gru), whose state before is what the node aggregates from its predecessors `u`:
///
/// | aggregation | `M[v]` |
/// | --- | --- |
/// | `Sum` | `sum of H[u]` |
/// | `Gated` | `sum of sigmoid(H[u] G + g) * (H[u] M)` |
/// | `Attention` | `sum of a[u] H[u]` with the softmax `a` of `<k, H[u]>` over the predecessors |
///
/// The score of attention has no term of `v` itself, which would cancel in the softmax. `M[v]` is 0 without predecessors.
///
/// `X` is `[N, F]`, dense or sparse, `H` `[N, width]`, or twice as wide if `bidirectional`. `weight_ih` and `weight_hh` are
/// `[3 width, F]` and `[3 width, width]` in files. Costs `3 N width (F + width) + E width` multiplications, with gates
/// `2 N width^2` more. Edge weights are not read.
///
/// Border: a graph with a cycle is an error of the step that names one, [`BuildError::Cycle`]. Parallel edges count each,
/// dangling edges not at all. In a batch of several graphs, or of sampled neighbors, levels are those of the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DagGru {
    /// Width of the state.
    pub width: usize,
    /// How the states of predecessors are aggregated.
    #[serde(default)]
    pub aggregation: DagAggregation,
    /// The direction.
    #[serde(default)]
    pub direction: Direction,
    /// Whether there is another pass in the opposite direction with weights of its own, whose states come after those of the
    /// first.
    #[serde(default)]
    pub bidirectional: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

/// How [`DagGru`] aggregates the states of the predecessors of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DagAggregation {
    /// Their sum.
    #[default]
    Sum,
    /// The sum of maps of them, each times a gate, as in D-VAE.
    Gated,
    /// Their mean by attention, as in DAGNN.
    Attention,
}

impl DagGru {
    /// A layer with a state of this width, which sums over predecessors along the edges.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            aggregation: DagAggregation::Sum,
            direction: Direction::Forward,
            bidirectional: false,
            weight_decay: None,
        }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: DagAggregation) -> Self {
        Self { aggregation, ..self }
    }

    fn messages(&self, program: &mut Program, suffix: &str) -> Result<Messages, BuildError> {
        let (width, decay) = (self.width, self.weight_decay);
        Ok(match self.aggregation {
            DagAggregation::Sum => Messages::Sum,
            DagAggregation::Gated => {
                let name = format!("gate{suffix}");
                let gate = torch_weight(program, &name, [width, width], decay)?;
                let bias = program.vector(&format!("{name}.bias"), width, self.initialization(), decay)?;
                let map = torch_weight(program, &format!("map{suffix}"), [width, width], decay)?;
                Messages::Gated { gate, bias, map }
            }
            DagAggregation::Attention => {
                let key = program.vector(&format!("key{suffix}"), width, self.initialization(), decay)?;
                Messages::Attention { key }
            }
        })
    }

    fn initialization(&self) -> Initialization {
        Initialization::Uniform(1.0 / (self.width.max(1) as f32).sqrt())
    }
}

impl Layer for DagGru {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let (width, decay) = (self.width, self.weight_decay);
        in_directions(program, (self.direction, self.bidirectional), |program, direction, suffix| {
            let mut gates = |side: &str, inputs: usize| {
                let layout = TensorLayout { shape: vec![3 * width, inputs], transposed: true };
                let name = format!("weight_{side}{suffix}");
                let weight = program.parameter(&name, [inputs, 3 * width], layout, self.initialization(), decay)?;
                let name = format!("bias_{side}{suffix}");
                let bias = program.vector(&name, 3 * width, self.initialization(), decay)?;
                Ok::<_, BuildError>((weight, bias))
            };
            let (input_weight, input_bias) = gates("ih", input.width())?;
            let (hidden, bias) = gates("hh", width)?;
            let messages = self.messages(program, suffix)?;
            let input_gates = linear(program, input, &input_weight, Some(&input_bias))?;
            dag_gru(program, input_gates, DagGruCell { hidden, bias, messages }, direction)
        })
    }
}
