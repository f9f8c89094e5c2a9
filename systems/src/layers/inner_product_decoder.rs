//! The inner product decoder of graph auto-encoders.

use bevy_ecs::entity::Entity;

use super::Layer;
use crate::{
    error::BuildError,
    operators::edge_dot,
    program::{Program, Value},
};

/// `y[e] = <z[source of e], z[target of e]>`, the logit of an edge between two nodes (Kipf & Welling, "Variational
/// graph auto-encoders", 2016, eq. 2).
///
/// `z` is `[N, F]` on nodes, `y` `[E, 1]` on the edges of another graph over the same nodes: the candidate edges, while
/// the model's graph has the known ones. Border: the output of a dangling edge is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerProductDecoder {
    /// The graph whose edges are the candidates.
    pub pairs: Entity,
}

impl Layer for InnerProductDecoder {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        program.on_graph(self.pairs, |program| edge_dot(program, input, input))
    }
}
