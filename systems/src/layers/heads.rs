//! What the layers have in common that attend to neighbours with several heads.

use connectome_components::{Parameter, Signal, TensorLayout};

use super::{BuildError, Initialization, LayerBuilder};
use crate::stages::{Attention, Epilogue, Relation, attend, mean_heads};

/// How many heads a layer has, and what becomes of them.
pub(super) struct Heads {
    pub(super) count: usize,
    /// Columns of each.
    pub(super) width: usize,
    /// Whether the output is their concatenation; it is their mean otherwise.
    pub(super) concat: bool,
    pub(super) weight_decay: Option<f32>,
}

impl Heads {
    /// The columns of all heads.
    ///
    /// # Errors
    /// If there are none, or too many.
    pub(super) fn columns(&self, layer: &LayerBuilder) -> Result<usize, BuildError> {
        if self.count == 0 {
            return Err(layer.refuse("has no heads; give `heads` of at least 1"));
        }
        let columns = self.count.checked_mul(self.width);
        columns.ok_or_else(|| layer.refuse("has more columns than can be counted; give fewer or narrower heads"))
    }

    /// The columns of the output.
    ///
    /// # Errors
    /// As [`Heads::columns`].
    pub(super) fn output_columns(&self, layer: &LayerBuilder) -> Result<usize, BuildError> {
        if self.concat { self.columns(layer) } else { Ok(self.width) }
    }

    /// A vector for each head, `[H, C]`.
    ///
    /// # Errors
    /// If they are too long to be addressed.
    pub(super) fn vectors(&self, layer: &mut LayerBuilder, name: &str) -> Result<Parameter, BuildError> {
        let stored = TensorLayout { shape: vec![1, self.count, self.width], transposed: false };
        layer.parameter(name, [self.count, self.width], stored, Initialization::Glorot, self.weight_decay)
    }

    /// What the nodes attend to, and the heads brought together.
    ///
    /// # Errors
    /// Those of the stages.
    pub(super) fn attend(
        &self,
        layer: &mut LayerBuilder,
        values: Signal,
        attention: Attention,
        bias: &Parameter,
    ) -> Result<Signal, BuildError> {
        if self.concat || self.count == 1 {
            layer.last_stage();
            return attend(layer, values, attention, Relation::Neighbours, Some(bias));
        }
        let heads = attend(layer, values, attention, Relation::Neighbours, None)?;
        layer.last_stage();
        mean_heads(layer, heads, self.count, Epilogue::bias(bias))
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
