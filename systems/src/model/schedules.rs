//! The schedules of models, and how they are run.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleLabel, Schedules},
    system::ScheduleSystem,
    world::World,
};
use connectome_components::{Graph, Model, Parameter};
use core::any::Any;

use crate::{Workers, layers::BuildError};

/// Runs a model forward: observe, compute, act.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Infer(pub Entity);

/// One training step of a model: forward with dropout, loss, backward, optimizer.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Train(pub Entity);

/// Runs a model forward and measures loss and accuracy on every split.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evaluate(pub Entity);

/// Builds the schedule, so that races come to light now, and adds it to the world.
pub(crate) fn finish(world: &mut World, mut schedule: Schedule) -> Result<(), BuildError> {
    if let Err(error) = schedule.initialize(world) {
        return Err(BuildError::Schedule(error.to_string(schedule.graph(), world)));
    }
    world.resource_mut::<Schedules>().insert(schedule);
    Ok(())
}

/// Adds systems of the user's to a schedule of a model, and checks it for races.
///
/// Order them by [`GraphSystems`](crate::GraphSystems): `add_systems(world, Infer(model),
/// steer.in_set(GraphSystems::Act))`. Their commands are applied when the whole step is done, so that no node comes or goes in
/// the midst of it; exclusive systems that spawn, despawn or insert belong before `Sync` or into `Act`.
///
/// # Errors
/// If there is no such schedule, or two systems would race: then the schedule is taken out, for it cannot run.
pub fn add_systems<M>(
    world: &mut World,
    label: impl ScheduleLabel,
    systems: impl IntoScheduleConfigs<ScheduleSystem, M>,
) -> Result<(), BuildError> {
    let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(label.intern()) else {
        return Err(BuildError::NoSchedule(format!("{label:?}")));
    };
    schedule.add_systems(systems);
    finish(world, schedule)
}

/// Runs a schedule of a model with the world's [`Workers`].
///
/// With more than one worker the systems run on one of the pool's threads, so they cannot take `NonSend` data.
///
/// # Errors
/// If there is no such schedule, as [`Train`] of a model that does not learn; or if the model, its graph or one of its
/// parameters has been despawned.
pub fn run(world: &mut World, label: impl ScheduleLabel) -> Result<(), BuildError> {
    let model = model_of(&label);
    let label = label.intern();
    let exists = world.get_resource::<Schedules>().is_some_and(|schedules| schedules.contains(label));
    if let (true, Some(model)) = (exists, model) {
        check_parts(world, model)?;
    }
    let workers = world.get_resource_or_init::<Workers>().clone();
    workers.install(|| world.try_run_schedule(label)).map_err(|_| BuildError::NoSchedule(format!("{label:?}")))
}

/// The model that a schedule of this module belongs to.
pub(super) fn model_of(label: &dyn Any) -> Option<Entity> {
    let train = label.downcast_ref().map(|Train(model)| *model);
    let evaluate = || label.downcast_ref().map(|Evaluate(model)| *model);
    let infer = || label.downcast_ref().map(|Infer(model)| *model);
    train.or_else(evaluate).or_else(infer)
}

/// Whether all that the systems of a model read is still there.
fn check_parts(world: &World, entity: Entity) -> Result<(), BuildError> {
    let model = world.get::<Model>(entity).ok_or(BuildError::NoModel(entity))?;
    if world.get::<Graph>(model.graph).is_none() {
        return Err(BuildError::NoGraph(model.graph));
    }
    match model.parameters.iter().find(|parameter| world.get::<Parameter>(**parameter).is_none()) {
        Some(parameter) => Err(BuildError::NoParameter { model: entity, parameter: *parameter }),
        None => Ok(()),
    }
}
