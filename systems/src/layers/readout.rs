//! Readouts: from the nodes of each subgraph to the subgraph.

use serde::{Deserialize, Serialize};

use super::Layer;
use crate::{
    error::BuildError,
    operators::{Reduction, Relation, reduce},
    program::{Program, Value},
};

/// Aggregates the nodes of each subgraph, `[N, F]` to `[G, F]`, feature by feature (global pooling; Xu et al., "How
/// powerful are graph neural networks?", ICLR 2019, eq. 2.4, compares the three). Layers after it are on subgraphs.
///
/// Costs `N F` additions or comparisons. Border: nodes in no subgraph are ignored, and the output of a subgraph without
/// nodes is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Readout {
    /// `Y[g] = sum of X[i] over the nodes i of g`.
    Sum,
    /// `Y[g] = mean of X[i] over the nodes i of g`.
    Mean,
    /// `Y[g] = max of X[i] over the nodes i of g`; nodes that tie divide the gradient equally.
    Max,
}

impl Layer for Readout {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let reduction = match self {
            Self::Sum => Reduction::Sum,
            Self::Mean => Reduction::Mean,
            Self::Max => Reduction::Max,
        };
        reduce(program, input, Relation::Members, reduction)
    }
}
