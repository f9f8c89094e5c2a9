//! The state of a model in a snapshot.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{
    Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Metrics, Model, Optimizer,
};
use serde::{Deserialize, Serialize};

use super::{SnapshotError, bytes::SavedModel, section};
use crate::{
    model::{LessonState, Plans},
    optimizers::{ModelState, Moments, set_component, write_row},
};

/// What a model has learned, its settings and metrics, and which of its fields are columns of the snapshot.
#[derive(Clone)]
pub(super) struct ModelSnapshot {
    model: Entity,
    row_fields: Vec<Field>,
    index_fields: Vec<Field<u32>>,
    /// Outputs of one row, which belong to no entity of the graph.
    outputs: Vec<Field>,
    /// The values of these fields, one after another.
    values: Vec<f32>,
    state: ModelState,
    settings: Settings,
    metrics: Metrics,
    /// Of a model that takes lessons.
    lessons: Option<LessonState>,
}

/// Components of a model that a game may change between frames, or that a step leaves behind, beside its [`ModelState`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    optimizer: Option<Optimizer>,
    /// The optimizer that wrote the moments.
    moments_of: Option<Optimizer>,
    schedule: Option<LearningRateSchedule>,
    /// [`GradientAccumulation::micro_batches`].
    micro_batches: Option<u32>,
    /// `GradientClipping`, of which serde skips what a step changes.
    clipping: Option<(f32, f64)>,
}

impl ModelSnapshot {
    pub(super) fn new(model: Entity) -> Self {
        let (row_fields, index_fields, outputs, values) = Default::default();
        let (state, settings, metrics, lessons) = Default::default();
        Self { model, row_fields, index_fields, outputs, values, state, settings, metrics, lessons }
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
        if let Some(graph) = plans.graphs().iter().find(|graph| !section::cover(graphs, **graph, world)) {
            return Err(SnapshotError::OtherGraph { model: self.model, graph: *graph });
        }
        let carried = plans.carried();
        self.row_fields.clone_from(&carried.rows);
        self.index_fields.clone_from(&carried.indices);
        self.outputs.clone_from(&carried.single);
        Ok(())
    }

    /// Checks that the model has the fields that were resolved, and parameters as those of the state.
    pub(super) fn check(&self, world: &World) -> Result<(), SnapshotError> {
        let plans = world.get::<Plans>(self.model).ok_or(SnapshotError::NoModel(self.model))?;
        let carried = plans.carried();
        let is_same = carried.rows == self.row_fields
            && carried.indices == self.index_fields
            && carried.single == self.outputs
            && world.get::<Model>(self.model).is_some();
        is_same.then_some(()).ok_or(SnapshotError::Changed)?;
        self.check_state(world)
    }

    fn check_state(&self, world: &World) -> Result<(), SnapshotError> {
        let mismatch = self.state.mismatch(world, self.model);
        mismatch.map_or(Ok(()), |reason| Err(SnapshotError::OtherModel { model: self.model, reason }))
    }

    pub(super) fn take(&mut self, world: &World) {
        let Self { model, row_fields: _, index_fields: _, outputs, values, state, settings, metrics, lessons } = self;
        let model = *model;
        *lessons = LessonState::of(world, model);
        values.clear();
        for field in outputs {
            field.matrix(world).rows().for_each(|row| values.extend_from_slice(row));
        }
        state.take(world, model);
        *settings = Settings {
            optimizer: world.get(model).copied(),
            moments_of: world.get::<Moments>(model).map(Moments::optimizer),
            schedule: world.get(model).copied(),
            micro_batches: world.get::<GradientAccumulation>(model).map(|accumulation| accumulation.micro_batches),
            clipping: world.get::<GradientClipping>(model).map(|clipping| (clipping.norm, clipping.measured)),
        };
        match world.get(model) {
            Some(known) => metrics.clone_from(known),
            None => metrics.heads.clear(),
        }
    }

    pub(super) fn restore(&self, world: &mut World) {
        let Self { model, row_fields: _, index_fields: _, outputs, values, state, settings, metrics, lessons } = self;
        let model = *model;
        let mut rest = &values[..];
        for field in outputs {
            let Some((values, following)) = rest.split_at_checked(field.width()) else { break };
            rest = following;
            write_row(world, *field, values);
        }
        world.get::<Plans>(model).into_iter().for_each(|plans| plans.carried().unsettle());
        let Settings { optimizer, moments_of, schedule, micro_batches, clipping } = *settings;
        set_component(world, model, optimizer);
        set_component(world, model, schedule);
        let terms = state.accumulated_terms;
        set_component(world, model, micro_batches.map(|micro_batches| GradientAccumulation { micro_batches, terms }));
        set_component(world, model, clipping.map(|(norm, measured)| GradientClipping { norm, measured }));
        if let (Some(optimizer), Some(mut moments)) = (moments_of, world.get_mut::<Moments>(model)) {
            moments.set_optimizer(optimizer);
        }
        state.write(world, model);
        if let Some(mut known) = world.get_mut::<Metrics>(model).filter(|known| **known != *metrics) {
            known.clone_from(metrics);
        }
        if let Some(lessons) = lessons {
            lessons.restore(world, model);
        }
    }

    /// The metrics of the last step.
    pub(super) fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// What is saved to bytes, with these metrics.
    pub(super) fn save(&self, metrics: Metrics) -> SavedModel {
        SavedModel {
            values: self.values.clone(),
            state: self.state.clone(),
            settings: self.settings,
            metrics,
            lessons: self.lessons.as_ref().map(LessonState::save),
        }
    }

    /// Takes from bytes what is to be restored in a world.
    pub(super) fn load(&mut self, world: &World, saved: SavedModel) -> Result<(), SnapshotError> {
        let expected: usize = self.outputs.iter().map(|field| field.width()).sum();
        if saved.values.len() != expected {
            let values = |count: usize| format!("a model with {count} values of outputs that belong to no entity");
            return Err(SnapshotError::Mismatch { expected: values(expected), found: values(saved.values.len()) });
        }
        let SavedModel { values, state, settings, metrics, lessons } = saved;
        let takes_lessons = LessonState::of(world, self.model).is_some();
        let loaded = lessons.map(|lessons| lessons.load(world, self.model));
        if loaded.is_some() != takes_lessons || matches!(loaded, Some(None)) {
            let reason = "its lessons have other layers, fields or settings, or one of both takes none; build it by the \
                          same `LessonBuilder`";
            return Err(SnapshotError::OtherModel { model: self.model, reason: reason.to_owned() });
        }
        self.lessons = loaded.flatten();
        (self.values, self.state, self.settings, self.metrics) = (values, state, settings, metrics);
        self.check_state(world)
    }
}
