//! Multi-head attention, as the attention layers share it.

use connectome_components::TensorLayout;

use super::Initialization;
use crate::{
    error::BuildError,
    operators::{Attention, Relation, add_bias, attend, mean_heads},
    program::{Program, Value, Weight},
};

/// The heads of a layer, and how their outputs are combined.
pub(super) struct Heads {
    pub(super) count: usize,
    /// Output width of each.
    pub(super) width: usize,
    /// Whether the output is their concatenation; it is their mean otherwise.
    pub(super) concat: bool,
    pub(super) weight_decay: Option<f32>,
}

impl Heads {
    /// The output width of all heads together.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub(super) fn columns(&self, program: &Program) -> Result<usize, BuildError> {
        if self.count == 0 {
            return Err(program.error("has no heads; give `heads` of at least 1"));
        }
        let columns = self.count.checked_mul(self.width);
        columns.ok_or_else(|| program.error("has heads too wide to be counted; give fewer or narrower ones"))
    }

    /// The width of the output.
    ///
    /// # Errors
    /// As [`Heads::columns`].
    pub(super) fn output_columns(&self, program: &Program) -> Result<usize, BuildError> {
        if self.concat { self.columns(program) } else { Ok(self.width) }
    }

    /// A vector for each head, `[H, C]`.
    ///
    /// # Errors
    /// If they are too long to be addressed.
    pub(super) fn vectors(&self, program: &mut Program, name: &str) -> Result<Weight, BuildError> {
        let layout = TensorLayout { shape: vec![1, self.count, self.width], transposed: false };
        program.parameter(name, [self.count, self.width], layout, Initialization::Glorot, self.weight_decay)
    }

    /// Records the attention, and concatenates or averages the heads.
    ///
    /// # Errors
    /// Those of the operators.
    pub(super) fn attend(
        &self,
        program: &mut Program,
        values: Value,
        attention: Attention,
        bias: &Weight,
    ) -> Result<Value, BuildError> {
        if self.concat || self.count == 1 {
            return attend(program, values, attention, Relation::Neighbors, Some(bias));
        }
        let heads = attend(program, values, attention, Relation::Neighbors, None)?;
        let mean = mean_heads(program, heads, self.count)?;
        add_bias(program, mean, bias)
    }
}

/// The default of a layer's `heads`.
pub(super) fn one() -> usize {
    1
}

/// The default of a layer's `concat` and `add_self_loops`.
pub(super) fn yes() -> bool {
    true
}

/// The default of a layer's `negative_slope`, that of the papers.
pub(super) fn fifth() -> f32 {
    0.2
}
