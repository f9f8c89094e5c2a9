//! The state of a model in a snapshot.

use bevy_ecs::{
    change_detection::DetectChangesMut,
    component::{Component, Mutable},
    entity::Entity,
    world::World,
};
use connectome_components::{
    Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Model, Optimizer, TrainingState,
};
use serde::{Deserialize, Serialize};

use super::{SnapshotError, bytes::SavedModel};
use crate::{model::Plans, optimizers::Moments};

/// The parameters of a model, what its optimizer remembers, and which of its fields are columns of the snapshot.
///
/// Beside what [`ModelState`](crate::ModelState) holds of a model that learns, these are its settings, which a game may
/// change between frames; and taking it again does not allocate.
#[derive(Clone)]
pub(super) struct ModelSnapshot {
    model: Entity,
    row_fields: Vec<Field>,
    index_fields: Vec<Field<u32>>,
    /// Fields of one row.
    single: Vec<Field>,
    /// The values of these fields, one after another.
    values: Vec<f32>,
    learning: Learning,
    /// For each trainable parameter the step at which its moments were 0.
    since: Vec<u64>,
}

/// The components of a model that learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Learning {
    state: Option<TrainingState>,
    optimizer: Option<Optimizer>,
    /// The optimizer that wrote the moments.
    moments_of: Option<Optimizer>,
    schedule: Option<LearningRateSchedule>,
    /// `GradientAccumulation`, of which serde skips what a step changes.
    accumulation: Option<(u32, f64)>,
    /// `GradientClipping`, likewise.
    clipping: Option<(f32, f64)>,
}

impl ModelSnapshot {
    pub(super) fn new(model: Entity) -> Self {
        let (row_fields, index_fields, single, values, learning, since) = Default::default();
        Self { model, row_fields, index_fields, single, values, learning, since }
    }

    /// The fields on nodes, edges or subgraphs.
    pub(super) fn row_fields(&self) -> &[Field] {
        &self.row_fields
    }

    /// Those of indices.
    pub(super) fn index_fields(&self) -> &[Field<u32>] {
        &self.index_fields
    }

    /// Finds the fields of the model, which reads these graphs.
    pub(super) fn resolve(&mut self, world: &World, graphs: &[Entity]) -> Result<(), SnapshotError> {
        let plans = world.get::<Plans>(self.model).ok_or(SnapshotError::NoModel(self.model))?;
        if let Some(graph) = plans.graphs().iter().find(|graph| !graphs.contains(graph)) {
            return Err(SnapshotError::OtherGraph { model: self.model, graph: *graph });
        }
        let carried = plans.carried();
        self.row_fields.clone_from(&carried.rows);
        self.index_fields.clone_from(&carried.indices);
        self.single.clone_from(&carried.single);
        Ok(())
    }

    /// Checks that the model has the fields that were resolved.
    pub(super) fn check(&self, world: &World) -> Result<(), SnapshotError> {
        let plans = world.get::<Plans>(self.model).ok_or(SnapshotError::NoModel(self.model))?;
        let carried = plans.carried();
        let is_same = carried.rows == self.row_fields
            && carried.indices == self.index_fields
            && carried.single == self.single
            && world.get::<Model>(self.model).is_some();
        is_same.then_some(()).ok_or(SnapshotError::Changed)
    }

    pub(super) fn take(&mut self, world: &World) {
        let Self { model, single, values, learning, since, .. } = self;
        values.clear();
        for field in single {
            field.matrix(world).rows().for_each(|row| values.extend_from_slice(row));
        }
        let moments = world.get::<Moments>(*model).map(Moments::ages);
        since.clear();
        since.extend_from_slice(moments.map_or(&[], |(_, since)| since));
        let accumulation = world.get::<GradientAccumulation>(*model);
        let clipping = world.get::<GradientClipping>(*model);
        *learning = Learning {
            state: world.get(*model).copied(),
            optimizer: world.get(*model).copied(),
            moments_of: moments.map(|(optimizer, _)| optimizer),
            schedule: world.get(*model).copied(),
            accumulation: accumulation.map(|accumulation| (accumulation.micro_batches, accumulation.terms)),
            clipping: clipping.map(|clipping| (clipping.norm, clipping.measured)),
        };
    }

    pub(super) fn restore(&self, world: &mut World) {
        let mut rest = &self.values[..];
        for field in &self.single {
            let Some((values, following)) = rest.split_at_checked(field.width()) else { break };
            rest = following;
            let same = |row: &[f32]| row.iter().zip(values).all(|(one, other)| one.to_bits() == other.to_bits());
            if !field.matrix(world).rows().all(same) {
                field.matrix_mut(world).rows_mut().for_each(|row| row.copy_from_slice(values));
            }
        }
        world.get::<Plans>(self.model).into_iter().for_each(|plans| plans.carried().unsettle());
        let Learning { state, optimizer, moments_of, schedule, accumulation, clipping } = self.learning;
        set(world, self.model, state);
        set(world, self.model, optimizer);
        set(world, self.model, schedule);
        let accumulation = accumulation.map(|(micro_batches, terms)| GradientAccumulation { micro_batches, terms });
        set(world, self.model, accumulation);
        set(world, self.model, clipping.map(|(norm, measured)| GradientClipping { norm, measured }));
        if let (Some(optimizer), Some(mut moments)) = (moments_of, world.get_mut::<Moments>(self.model)) {
            moments.set_ages(optimizer, &self.since);
        }
    }

    /// What is saved to bytes.
    pub(super) fn save(&self) -> SavedModel {
        SavedModel {
            widths: self.single.iter().map(|field| field.width() as u64).collect(),
            values: self.values.clone(),
            learning: self.learning,
            since: self.since.clone(),
        }
    }

    /// Takes the state from bytes.
    pub(super) fn load(&mut self, saved: SavedModel) -> Result<(), SnapshotError> {
        let widths: Vec<u64> = self.single.iter().map(|field| field.width() as u64).collect();
        if saved.widths != widths {
            let fields = |widths: &[u64]| format!("a model with parameters and moments of the sizes {widths:?}");
            return Err(SnapshotError::Mismatch { expected: fields(&widths), found: fields(&saved.widths) });
        }
        if saved.values.len() as u64 != widths.iter().sum::<u64>() {
            return Err(SnapshotError::Damaged("a model has another number of parameters than it says".to_owned()));
        }
        (self.values, self.learning, self.since) = (saved.values, saved.learning, saved.since);
        Ok(())
    }
}

/// Sets a component of an entity, or removes it.
fn set<T: Component<Mutability = Mutable> + PartialEq>(world: &mut World, entity: Entity, value: Option<T>) {
    let Ok(mut entity) = world.get_entity_mut(entity) else { return };
    match (value, entity.get_mut::<T>()) {
        (Some(value), Some(mut known)) => _ = known.set_if_neq(value),
        (Some(value), None) => _ = entity.insert(value),
        (None, Some(_)) => _ = entity.remove::<T>(),
        (None, None) => {}
    }
}
