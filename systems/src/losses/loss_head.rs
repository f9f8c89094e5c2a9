//! The parameters of the systems of all losses.

use bevy_ecs::{entity::Entity, system::Query, world::World};
use connectome_components::{Columns, Field, KeyOrder, Split, Topology};
use std::sync::Arc;

use super::{
    targets::{LossError, same_rows, same_shape},
    weights::TermWeights,
};
use crate::program::Domain;

/// One head of a model, as its loss sees it.
#[derive(Clone)]
pub(crate) struct LossHead {
    /// The entity with the metrics.
    pub(crate) model: Entity,
    /// The index of the head.
    pub(crate) index: usize,
    /// Whether its loss is the first of a step, which clears the fault of the previous step.
    pub(crate) is_first: bool,
    pub(crate) output: Field,
    /// The graph and the kind of the rows, whose losses are summed in the order of their keys; without it, in that of the
    /// rows.
    pub(crate) rows: Option<(Entity, Domain)>,
    /// None to measure every split instead.
    pub(crate) gradient: Option<Field>,
    pub(crate) splits: Field<Split>,
    /// The weight of the head in the objective.
    pub(crate) weight: f32,
    /// The weight of each row.
    pub(crate) row_weights: Option<Field>,
    /// The weight of each class or output dimension; empty if all are 1.
    pub(crate) class_weights: Arc<[f32]>,
}

impl LossHead {
    /// The only head of a model, without weights.
    pub(crate) fn new(model: Entity, output: Field, gradient: Option<Field>, splits: Field<Split>) -> Self {
        Self {
            model,
            index: 0,
            is_first: true,
            output,
            rows: None,
            gradient,
            splits,
            weight: 1.0,
            row_weights: None,
            class_weights: Arc::from([]),
        }
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

    /// The order of keys of the rows; none if the rows are in this order.
    pub(super) fn order<'a>(&self, topologies: &'a Query<&Topology>) -> Option<&'a KeyOrder> {
        let (graph, domain) = self.rows?;
        domain.order(topologies.get(graph).ok()?)
    }

    /// The name of the system of this head.
    pub(super) fn name(&self, loss: &str) -> String {
        if self.index == 0 { loss.to_owned() } else { format!("{loss} {}", self.index) }
    }
}
