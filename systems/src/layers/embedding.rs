//! Learned embeddings of categories.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::linear,
    program::{Program, Value},
};

/// `Y[i] = W[category of i]`, the row of a learned table (as in Mikolov et al., "Efficient estimation of word
/// representations in vector space", 2013).
///
/// The input is sparse, of width `C`, the number of categories: the category as index `[N, 1]` with the value 1 `[N,
/// 1]`. Several categories of a row are summed, weighted by their values. `W` is `[C, width]`, `Y` `[N, width]`. Costs
/// `N width`. Border: the output of a row whose value is 0 is 0.
///
/// The table is called `weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Output width.
    pub width: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl Embedding {
    /// A table with this output width.
    pub fn new(width: usize) -> Self {
        Self { width, weight_decay: None }
    }
}

impl Layer for Embedding {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let shape = [input.width(), self.width];
        let layout = TensorLayout { shape: shape.to_vec(), transposed: false };
        // Variance 1, as in PyTorch.
        let initialization = Initialization::Uniform(3f32.sqrt());
        let weight = program.parameter("weight", shape, layout, initialization, self.weight_decay)?;
        linear(program, input, &weight, None)
    }
}
