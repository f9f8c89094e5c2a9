//! What a world does with models.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, ScheduleLabel},
    system::ScheduleSystem,
    world::World,
};

use super::{Evaluate, Infer, ModelBuilder, Train, add_systems, remove_model, replace_model, run};
use crate::error::BuildError;

/// Models as a part of a [`World`]: spawn, run, remove.
pub trait WorldModelExt {
    /// Spawns a model; see [`ModelBuilder::build`].
    ///
    /// # Errors
    /// If the graph is none, a layer cannot take its input, or two systems would race.
    fn spawn_model(&mut self, model: ModelBuilder) -> Result<Entity, BuildError>;

    /// Takes a model out of the world: its schedules, its parameters and its entity.
    ///
    /// # Errors
    /// If the entity is no model.
    fn remove_model(&mut self, model: Entity) -> Result<(), BuildError>;

    /// Puts a model in the place of another one, which is taken out. Parameters of the same name and shape keep their values,
    /// and their moments where the optimizer is of the same kind; see [`replace_model`].
    ///
    /// # Errors
    /// Those of [`WorldModelExt::spawn_model`], and if `before` is no model: then it stays as it was.
    fn replace_model(&mut self, before: Entity, model: ModelBuilder) -> Result<Entity, BuildError>;

    /// Runs the schedule [`Infer`] of a model: observe, compute, act.
    ///
    /// # Errors
    /// Those of [`WorldModelExt::run_model`].
    fn infer(&mut self, model: Entity) -> Result<(), BuildError> {
        self.run_model(Infer(model))
    }

    /// Runs the schedule [`Train`] of a model: one training step.
    ///
    /// # Errors
    /// Those of [`WorldModelExt::run_model`]; and if the model does not learn.
    fn train(&mut self, model: Entity) -> Result<(), BuildError> {
        self.run_model(Train(model))
    }

    /// Runs the schedule [`Evaluate`] of a model: forward, and the metrics of every split.
    ///
    /// # Errors
    /// Those of [`WorldModelExt::run_model`]; and if the model does not learn.
    fn evaluate(&mut self, model: Entity) -> Result<(), BuildError> {
        self.run_model(Evaluate(model))
    }

    /// Runs a schedule of a model with the world's [`Workers`](crate::Workers); see [`run`].
    ///
    /// # Errors
    /// If there is no such schedule; or if the model, its graph or one of its parameters has been despawned.
    fn run_model(&mut self, label: impl ScheduleLabel) -> Result<(), BuildError>;

    /// Adds systems of yours to a schedule of a model, such as
    /// `world.add_model_systems(Infer(model), steer.in_set(GraphSystems::Act))`; see [`add_systems`].
    ///
    /// # Errors
    /// If there is no such schedule; or two systems would race, or their order is a circle.
    fn add_model_systems<M>(
        &mut self,
        label: impl ScheduleLabel,
        systems: impl IntoScheduleConfigs<ScheduleSystem, M>,
    ) -> Result<(), BuildError>;
}

impl WorldModelExt for World {
    fn spawn_model(&mut self, model: ModelBuilder) -> Result<Entity, BuildError> {
        model.build(self)
    }

    fn remove_model(&mut self, model: Entity) -> Result<(), BuildError> {
        remove_model(self, model)
    }

    fn replace_model(&mut self, before: Entity, model: ModelBuilder) -> Result<Entity, BuildError> {
        replace_model(self, before, model)
    }

    fn run_model(&mut self, label: impl ScheduleLabel) -> Result<(), BuildError> {
        run(self, label)
    }

    fn add_model_systems<M>(
        &mut self,
        label: impl ScheduleLabel,
        systems: impl IntoScheduleConfigs<ScheduleSystem, M>,
    ) -> Result<(), BuildError> {
        add_systems(self, label, systems)
    }
}
