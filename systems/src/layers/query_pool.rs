//! Pooling by learned queries.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer, coarsen};
use crate::{
    operators::{MemberAssignment, assign_members, linear, scale},
    program::{Program, Value},
};

/// Each of `queries` learned queries pools the nodes of a subgraph that answer it: `S = assignment(X Q' / sqrt(F))`
/// over the nodes, and the output is the coarse graph `[S' X | S' A S]`, as that of [`DiffPool`](super::DiffPool) (Lee
/// et al., "Set transformer", ICML 2019, section 3.2, with one head; by transport, Mialon et al., "A trainable optimal
/// transport embedding", ICLR 2021).
///
/// `X` is `[N, F]` on nodes, `Q` `[K, F]`; the output is `[G, K (F + K)]` on subgraphs. Costs `E K + N K (2 F + K)`
/// multiplications, and the assignment. The parameter is called `query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryPool {
    /// The number of queries, `K`.
    pub queries: usize,
    /// How nodes are shared among the queries.
    pub assignment: MemberAssignment,
    /// Whether edges have the weights that the features of edges, 1 wide, give them.
    #[serde(default)]
    pub edge_features: bool,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl QueryPool {
    /// A layer with this number of queries, each with a softmax over the nodes.
    pub fn new(queries: usize) -> Self {
        Self { queries, assignment: MemberAssignment::Softmax, edge_features: false, weight_decay: None }
    }

    /// The same with another assignment.
    pub fn with_assignment(self, assignment: MemberAssignment) -> Self {
        Self { assignment, ..self }
    }

    /// The assignments `S` `[N, K]` of the nodes.
    ///
    /// # Errors
    /// Those of [`Layer::build`].
    pub fn assignment(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let width = input.width();
        let layout = TensorLayout { shape: vec![self.queries, width], transposed: true };
        let shape = [width, self.queries];
        let query = program.parameter("query", shape, layout, Initialization::Glorot, self.weight_decay)?;
        let scores = linear(program, input, &query, None)?;
        let scores = scale(program, scores, 1.0 / (width as f32).sqrt())?;
        assign_members(program, scores, self.assignment)
    }
}

impl Layer for QueryPool {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let assignment = self.assignment(program, input)?;
        let weights = self.edge_features.then(|| program.edge_features()).transpose()?;
        coarsen(program, assignment, input, weights)
    }
}
