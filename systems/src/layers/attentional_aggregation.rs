//! The readout of Li et al.: attention over the nodes of a subgraph.

use serde::{Deserialize, Serialize};

use super::{Layer, Linear};
use crate::{
    error::BuildError,
    operators::{Attention, Relation, Scores, attend},
    program::{Program, Value},
};

/// `y[g] = sum over i of alpha[i] (W x[i] + b)` over the nodes `i` of subgraph `g`, with
/// `alpha[i] = exp(s[i]) / sum over k of exp(s[k])` and `s[i] = a . x[i] + c` (Li et al., "Gated graph sequence neural
/// networks", ICLR 2016, eq. 7, with a softmax as in PyTorch Geometric's `AttentionalAggregation`).
///
/// `X` is `[N, F]` on nodes, dense or sparse, `W` `[F, width]`, `a` `[F]`; the output is `[G, width]` on subgraphs.
/// Costs `N F width` multiplications. Border: the output of a subgraph without nodes is 0; a node in no subgraph is
/// ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionalAggregation {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl AttentionalAggregation {
    /// A readout with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for AttentionalAggregation {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let &Self { width, weight_decay } = self;
        let sources = program.nested("gate_nn", &Linear { width: 1, weight_decay }, input)?;
        let values = program.nested("nn", &Linear { width, weight_decay }, input)?;
        let scores = Scores::Decomposed { sources, targets: None, slope: 1.0 };
        let attention =
            Attention { heads: 1, scores, edges: None, add_self_loops: false, self_loop_edges: None, dropout: 0.0 };
        attend(program, values, attention, Relation::Members, None)
    }
}
