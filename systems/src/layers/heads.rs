//! Helpers of multi-head attention layers.

use connectome_components::TensorLayout;

use super::Initialization;
use crate::{
    error::BuildError,
    operators::{Attention, Relation, add_bias, attend, mean_heads},
    program::{Program, Value, Weight},
};

/// The heads of a layer.
pub(super) struct Heads {
    pub(super) count: usize,
    /// Output width of each head.
    pub(super) width: usize,
    /// Whether the heads are concatenated; otherwise the output is their mean.
    pub(super) concat: bool,
    pub(super) weight_decay: Option<f32>,
}

impl Heads {
    /// The total width of all heads.
    ///
    /// # Errors
    /// If there are no heads, or the width overflows.
    pub(super) fn total_width(&self, program: &Program) -> Result<usize, BuildError> {
        if self.count == 0 {
            return Err(program.error("has no heads; give `heads` of at least 1"));
        }
        let width = self.count.checked_mul(self.width);
        width.ok_or_else(|| program.error("has heads whose total width overflows; give fewer or narrower ones"))
    }

    /// The width of the output.
    ///
    /// # Errors
    /// As [`Heads::total_width`].
    pub(super) fn output_width(&self, program: &Program) -> Result<usize, BuildError> {
        if self.concat { self.total_width(program) } else { Ok(self.width) }
    }

    /// A vector for each head, `[H, C]`.
    ///
    /// # Errors
    /// If they exceed the address space.
    pub(super) fn vectors(&self, program: &mut Program, name: &str) -> Result<Weight, BuildError> {
        let layout = TensorLayout { shape: vec![1, self.count, self.width], transposed: false };
        program.parameter(name, [self.count, self.width], layout, Initialization::Glorot, self.weight_decay)
    }

    /// Records the attention, the concatenation or mean of the heads, and the bias.
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

/// The default of a layer's `negative_slope`, as in the papers.
pub(super) fn fifth() -> f32 {
    0.2
}
