//! Methods of a world for models.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, ScheduleLabel},
    system::ScheduleSystem,
    world::World,
};

use super::{
    Evaluate, Infer, LessonBuilder, MixtureBuilder, ModelBuilder, Train, add_systems, remove_model, replace_model, run,
    run_lesson,
};
use crate::error::BuildError;

/// Methods of [`World`] that spawn, run, replace and remove models.
pub trait WorldModelExt {
    /// Spawns a model; see [`ModelBuilder::build`].
    ///
    /// # Errors
    /// If the entity is no graph, a layer does not fit its input, or two systems conflict.
    fn spawn_model(&mut self, model: ModelBuilder) -> Result<Entity, BuildError>;

    /// Spawns a mixture of experts, which is run and trained as a model; see [`MixtureBuilder::build`].
    ///
    /// # Errors
    /// If there is no expert, or one of the models does not fit.
    fn spawn_mixture(&mut self, mixture: MixtureBuilder) -> Result<Entity, BuildError>;

    /// Spawns a model that is trained beside the frame; see [`LessonBuilder::build`].
    ///
    /// # Errors
    /// Those of [`WorldModelExt::spawn_model`], and if a setting is invalid or the model cannot be trained in a world of
    /// its own.
    fn spawn_lesson(&mut self, lesson: LessonBuilder) -> Result<Entity, BuildError>;

    /// Takes the lessons of a model a frame further; see [`run_lesson`].
    ///
    /// # Errors
    /// If a lesson was discarded, or none can begin; the next ones go on.
    fn run_lesson(&mut self, model: Entity) -> Result<(), BuildError>;

    /// Removes a model: its schedules, its parameters and its entity.
    ///
    /// # Errors
    /// If the entity is no model.
    fn remove_model(&mut self, model: Entity) -> Result<(), BuildError>;

    /// Replaces a model by another one. Parameters of the same name and shape keep their values, and their moments if
    /// the optimizer is of the same kind; see [`replace_model`].
    ///
    /// # Errors
    /// Those of [`WorldModelExt::spawn_model`], and if `before` is no model; it stays unchanged then.
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
    /// Those of [`WorldModelExt::run_model`]; and if the model has no optimizer.
    fn train(&mut self, model: Entity) -> Result<(), BuildError> {
        self.run_model(Train(model))
    }

    /// Runs the schedule [`Evaluate`] of a model: forward, and the metrics of every split.
    ///
    /// # Errors
    /// Those of [`WorldModelExt::run_model`]; and if the model has no optimizer.
    fn evaluate(&mut self, model: Entity) -> Result<(), BuildError> {
        self.run_model(Evaluate(model))
    }

    /// Runs a schedule of a model with the world's [`Workers`](crate::Workers); see [`run`].
    ///
    /// # Errors
    /// If there is no such schedule; or if the model, its graph or one of its parameters was despawned.
    fn run_model(&mut self, label: impl ScheduleLabel) -> Result<(), BuildError>;

    /// Adds systems of yours to a schedule of a model, such as
    /// `world.add_model_systems(Infer(model), steer.in_set(GraphSystems::Act))`; see [`add_systems`].
    ///
    /// # Errors
    /// If there is no such schedule, two systems conflict, or their order is circular.
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

    fn spawn_mixture(&mut self, mixture: MixtureBuilder) -> Result<Entity, BuildError> {
        mixture.build(self)
    }

    fn spawn_lesson(&mut self, lesson: LessonBuilder) -> Result<Entity, BuildError> {
        lesson.build(self)
    }

    fn run_lesson(&mut self, model: Entity) -> Result<(), BuildError> {
        run_lesson(self, model)
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
