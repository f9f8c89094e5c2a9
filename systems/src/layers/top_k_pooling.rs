//! Pooling that keeps the best nodes.

use serde::{Deserialize, Serialize};

use super::{BuildError, Initialization, Layer};
use crate::{
    kernels::Activation,
    operators::{activate, keep_top, multiply, project},
    program::{Program, Value},
};

/// Of each subgraph the `ceil(ratio n)` nodes with the highest scores `s = tanh(X w / |w|)` keep their features, times
/// the score; the others are 0 (Gao & Ji, "Graph U-Nets", ICML 2019, eq. 2; PyTorch Geometric's `TopKPooling`).
///
/// `X` is `[N, F]` on nodes, `w` `[F]`; the output is `[N, F]` on the same nodes: pooled and unpooled at once, for the
/// layers that follow send zeros from nodes that are not kept. [`spawn_top`](crate::spawn_top) makes entities of the
/// nodes that are, and of the edges among them. Costs `N F` multiplications and a sort for each subgraph. Border: nodes
/// in no subgraph are 0. The parameter is called `weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopKPooling {
    /// The part of the nodes that is kept, above 0 and at most 1.
    pub ratio: f32,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl TopKPooling {
    /// A layer that keeps this part of the nodes.
    pub fn new(ratio: f32) -> Self {
        Self { ratio, weight_decay: None }
    }

    /// The scores `[N, 1]`.
    ///
    /// # Errors
    /// Those of [`Layer::build`].
    pub fn scores(&self, program: &mut Program, input: Value) -> Result<Value, BuildError> {
        let width = input.width();
        let initialization = Initialization::Uniform(1.0 / (width.max(1) as f32).sqrt());
        let direction = program.vector("weight", width, initialization, self.weight_decay)?;
        let along = project(program, input, &direction)?;
        activate(program, along, Activation::Tanh)
    }
}

impl Layer for TopKPooling {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let scores = self.scores(program, input)?;
        let kept = keep_top(program, scores, self.ratio)?;
        let scaled = multiply(program, input, scores)?;
        multiply(program, scaled, kept)
    }
}
