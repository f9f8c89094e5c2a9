//! Pooling into soft clusters that keeps edges.

use connectome_components::Normalization;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer};
use crate::{
    operators::{aggregate, concatenate, linear, pool_clusters, softmax, weighted_sum},
    program::{Program, Value},
};

/// `S = softmax(X W)` assigns the nodes of each subgraph to `clusters`, and the output is the coarse graph, cluster by
/// cluster: `[S' X | S' A S]` (Ying et al., "Hierarchical graph representation learning with differentiable pooling",
/// NeurIPS 2018, eqs. 3 and 4), where `A_ij` is the weight of the edge from `j` to `i`.
///
/// `X` is `[N, F]` on nodes, `W` `[F, K]`; the output is `[G, K (F + K)]` on subgraphs: of each cluster its `F`
/// features, then the weights of its edges from each cluster. Costs `E K + N K (2 F + K)` multiplications. Border:
/// nodes in no subgraph are ignored; an edge between subgraphs counts in that of its target.
///
/// [`coarsen`] pools by assignments of any other layers, [`link_loss`](crate::operators::link_loss) and
/// [`assignment_entropy`](crate::operators::assignment_entropy) are the losses of the paper, and
/// [`spawn_clusters`](crate::spawn_clusters) makes entities of the coarse graph. The parameter is called `weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffPool {
    /// The number of clusters, `K`.
    pub clusters: usize,
    /// Whether edges have the weights that the features of edges, 1 wide, give them, with gradients; otherwise their
    /// [`EdgeWeight`](connectome_components::EdgeWeight)s.
    #[serde(default)]
    pub edge_features: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl DiffPool {
    /// A layer with this number of clusters.
    pub fn new(clusters: usize) -> Self {
        Self { clusters, edge_features: false, weight_decay: None }
    }

    /// The assignments `S` `[N, K]` of the nodes.
    ///
    /// # Errors
    /// Those of [`Layer::build`].
    pub fn assignment(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let weight = program.weight("weight", [input.width(), self.clusters], self.weight_decay)?;
        let scores = linear(program, input, &weight, None)?;
        softmax(program, scores)
    }
}

impl Layer for DiffPool {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let assignment = self.assignment(program, input)?;
        let weights = self.edge_features.then(|| program.edge_features()).transpose()?;
        coarsen(program, assignment, input, weights)
    }
}

/// The coarse graph `[S' X | S' A S]`, `[G, K (F + K)]`, of values `X` `[N, F]` by assignments `S` `[N, K]`; see
/// [`DiffPool`]. Edges have the weights given, `[E, 1]`, or their [`EdgeWeight`](connectome_components::EdgeWeight)s.
///
/// # Errors
/// If a value is sparse or on the wrong rows, or weights are not 1 wide.
pub fn coarsen(
    program: &mut Program,
    assignment: Value,
    values: Value,
    weights: Option<Value>,
) -> Result<Value, BuildError> {
    if let Some(found) = weights.map(|weights| weights.width()).filter(|width| *width != 1) {
        return Err(program.error(format!("reads weights {found} wide as those of edges; give one for each edge")));
    }
    let neighbors = match weights {
        Some(weights) => weighted_sum(program, assignment, weights)?,
        None => aggregate(program, assignment, Normalization::WeightedSum)?,
    };
    let values = program.dense(values)?;
    let rows = concatenate(program, &[values, neighbors])?;
    pool_clusters(program, assignment, rows)
}
