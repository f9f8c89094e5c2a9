//! What the systems of all losses have in common.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Columns, Field, Split};
use std::sync::Arc;

use super::{
    targets::{LossError, same_rows, same_shape},
    weights::TermWeights,
};

/// One head of a model, as its loss sees it.
#[derive(Clone)]
pub(crate) struct Parts {
    /// Whose metrics are written.
    pub(crate) model: Entity,
    /// The number of the head.
    pub(crate) head: usize,
    /// Whether it is the first loss of a step: it forgets the faults of the last one.
    pub(crate) is_first: bool,
    pub(crate) output: Field,
    /// None to measure every split instead.
    pub(crate) gradient: Option<Field>,
    pub(crate) splits: Field<Split>,
    /// What the gradient is multiplied by.
    pub(crate) weight: f32,
    /// A number for each row.
    pub(crate) row_weights: Option<Field>,
    /// A number for each class or column; none if all count alike.
    pub(crate) class_weights: Arc<[f32]>,
}

impl Parts {
    /// The only head of a model, whose terms count alike.
    pub(crate) fn new(model: Entity, output: Field, gradient: Option<Field>, splits: Field<Split>) -> Self {
        let (row_weights, class_weights) = (None, Arc::from([]));
        Self { model, head: 0, is_first: true, output, gradient, splits, weight: 1.0, row_weights, class_weights }
    }

    pub(super) fn check(&self, world: &World) -> Result<(), LossError> {
        self.gradient.map_or(Ok(()), |gradient| same_shape(world, gradient, self.output))?;
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            return Err(LossError::Weight(self.weight));
        }
        if let Some(weights) = self.row_weights {
            same_rows(world, weights, self.output)?;
            if weights.width() != 1 {
                return Err(LossError::RowWeights { field: weights.name(world), width: weights.width() });
            }
        }
        let (found, expected) = (self.class_weights.len(), self.output.width());
        if found != 0 && found != expected {
            return Err(LossError::ClassWeights { found, expected });
        }
        match self.class_weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            Some(weight) => Err(LossError::Weight(*weight)),
            None => Ok(()),
        }
    }

    pub(super) fn weights<'a>(&'a self, columns: &'a mut Columns<'_, '_>) -> TermWeights<'a> {
        let rows = self.row_weights.map(|_| columns.split_mut(&[]).0.matrix(0));
        TermWeights { rows, classes: &self.class_weights }
    }

    /// The name of the system of this head.
    pub(super) fn name(&self, loss: &str) -> String {
        if self.head == 0 { loss.to_owned() } else { format!("{loss} {}", self.head) }
    }
}
