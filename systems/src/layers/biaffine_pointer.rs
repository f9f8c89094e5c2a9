//! Pointers: scores of candidate edges, bilinear in both ends.

use bevy_ecs::entity::Entity;
use connectome_components::TensorLayout;

use super::Layer;
use crate::{
    error::BuildError,
    operators::{EdgeTerms, edge_dot, gather_endpoints, linear},
    program::{Initialization, Program, Value},
};

/// `y[e] = q_i U k_j + q_i . u + k_j . v` with `q = X Wq` and `k = X Wk`, for each candidate edge `e` from `i` to `j`:
/// the score of what `i` points to (Dozat & Manning, "Deep biaffine attention for neural dependency parsing", ICLR
/// 2017).
///
/// `X` is `[N, F]` on nodes, dense or sparse; `Wq`, `Wk` are `[F, width]`, `U` `[width, width]`, `u`, `v` `[width]`;
/// the output is `[E, 1]` on the edges of a graph. Costs `N (2 F + width) width + E width` multiplications. A softmax
/// over the candidates of a node does not depend on `q_i . u`, which matters where scores of several nodes are
/// compared. Border: the output of a dangling edge is 0.
///
/// [`PointerCrossEntropy`](crate::operators::PointerCrossEntropy) is the loss of several right answers. Parameters are called
/// `query`, `key`, `bilinear`, `row`, `column`.
#[derive(Clone, Debug, PartialEq)]
pub struct BiaffinePointer {
    /// The width of queries and keys.
    pub width: usize,
    /// The graph over the same nodes whose edges are the candidates; the model's own if none.
    pub candidates: Option<Entity>,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    pub weight_decay: Option<f32>,
}

impl BiaffinePointer {
    /// A pointer along the edges of the model's graph.
    pub fn new(width: usize) -> Self {
        Self { width, candidates: None, weight_decay: None }
    }

    /// The same along the edges of another graph over the same nodes.
    pub fn among(self, candidates: Entity) -> Self {
        Self { candidates: Some(candidates), ..self }
    }

    fn scores(&self, program: &mut Program, [queries, keys, constants]: [Value; 3]) -> Result<Value, BuildError> {
        let products = edge_dot(program, queries, keys)?;
        let terms = EdgeTerms { source: Some((constants, 1.0)), target: None, edge: Some((products, 1.0)) };
        gather_endpoints(program, terms)
    }
}

impl Layer for BiaffinePointer {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, candidates, weight_decay } = self;
        let query = program.weight("query", [input.width(), width], weight_decay)?;
        let key = program.weight("key", [input.width(), width], weight_decay)?;
        let square = TensorLayout { shape: vec![width, width], transposed: false };
        let bilinear = program.parameter("bilinear", [width, width], square, Initialization::Glorot, weight_decay)?;
        let vector = TensorLayout { shape: vec![width], transposed: false };
        let row = program.parameter("row", [width, 1], vector, Initialization::ZEROS, weight_decay)?;
        let column = program.vector("column", width, Initialization::ZEROS, weight_decay)?;
        let queries = linear(program, input, &query, None)?;
        let keys = linear(program, input, &key, None)?;
        let constants = linear(program, queries, &row, None)?;
        // (q U + v) . k
        let queries = linear(program, queries, &bilinear, Some(&column))?;
        let values = [queries, keys, constants];
        match candidates {
            Some(graph) => program.on_graph(graph, |program| self.scores(program, values)),
            None => self.scores(program, values),
        }
    }
}
