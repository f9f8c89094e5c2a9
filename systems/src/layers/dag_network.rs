//! The network whose neurons are the nodes of a directed acyclic graph.

use connectome_components::Direction;
use serde::{Deserialize, Serialize};

use super::{Layer, directions::in_directions};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::dag_network,
    program::{Program, Value},
};

/// `Y[i] = X[i]` for a node without predecessors, and otherwise `Y[i] = f(sum over edges e: j -> i of w[e] Y[j] + X[i])`,
/// level by level: the graph is a feed-forward network, its nodes are the neurons, and `X` holds the values of its inputs and
/// the biases of all others (as evolved networks are evaluated: Stanley & Miikkulainen, "Evolving neural networks through
/// augmenting topologies", Evolutionary Computation 2002).
///
/// `X` and `Y` are `[N, F]`: each column is an example of its own. The weights `w` are the features of the edges, `[E, 1]`;
/// gradients with respect to these and to `X` follow from
/// [`input_gradient`](crate::ModelBuilder::input_gradient). Without `edge_features` they are the
/// [`EdgeWeight`](connectome_components::EdgeWeight)s, which are given. Costs `E F` multiplications; it has no parameters.
///
/// Border: a graph with a cycle is an error of the step that names one, [`BuildError::Cycle`]. Parallel edges count each,
/// dangling edges not at all. In a batch of several graphs, or of sampled neighbors, levels are those of the batch: a node
/// none of whose predecessors was sampled has the value `X[i]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DagNetwork {
    /// The activation `f`.
    pub activation: Activation,
    /// Whether the weights are the features of the edges.
    #[serde(default)]
    pub edge_features: bool,
    /// The direction.
    #[serde(default)]
    pub direction: Direction,
    /// Whether there is another pass in the opposite direction, whose outputs come after those of the first.
    #[serde(default)]
    pub bidirectional: bool,
}

impl DagNetwork {
    /// A network with this activation along the edges, whose weights are those of the graph.
    pub fn new(activation: Activation) -> Self {
        Self { activation, edge_features: false, direction: Direction::Forward, bidirectional: false }
    }

    /// The same with the features of the edges as weights.
    pub fn with_edge_features(self) -> Self {
        Self { edge_features: true, ..self }
    }
}

impl Layer for DagNetwork {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let weights = self.edge_features.then(|| program.edge_features()).transpose()?;
        in_directions(program, (self.direction, self.bidirectional), |program, direction, _| {
            dag_network(program, input, weights, self.activation, direction)
        })
    }
}
