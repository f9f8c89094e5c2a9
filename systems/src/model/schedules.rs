//! The schedules of models.

use bevy_ecs::{
    entity::Entity,
    schedule::{
        IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings, ScheduleCleanupPolicy, ScheduleLabel,
        Schedules, SingleThreadedExecutor, SystemSet,
    },
    system::ScheduleSystem,
    world::World,
};
use connectome_components::{Graph, Model, Parameter};
use core::{any::Any, panic::AssertUnwindSafe, sync::atomic::Ordering};
use std::panic::{catch_unwind, resume_unwind};

use super::{Plans, fault::take_fault, lesson::takes_lessons, plans::Emitter, shared};
use crate::{
    error::{BuildError, LessonError},
    optimizers::Moments,
    parallel::Workers,
};

/// Runs a model forward: observe, compute, act.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Infer(pub Entity);

/// One training step of a model: forward with dropout, loss, backward, optimizer.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Train(pub Entity);

/// Runs a model forward and measures loss and metrics on every split.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evaluate(pub Entity);

/// Builds the schedule, which detects ambiguities, and adds it to the world.
pub(super) fn finish(world: &mut World, mut schedule: Schedule) -> Result<(), BuildError> {
    if let Err(error) = schedule.initialize(world) {
        return Err(BuildError::Schedule(error.to_string(schedule.graph(), world)));
    }
    world.resource_mut::<Schedules>().insert(schedule);
    Ok(())
}

/// The settings of a model's schedule: ambiguities are errors.
pub(super) fn settings() -> ScheduleBuildSettings {
    ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        // Commands applied within a step could spawn, despawn or move nodes, whose rows the topology would not know.
        auto_insert_apply_deferred: false,
        ..ScheduleBuildSettings::default()
    }
}

/// Adds systems of yours to a schedule of a model, and checks it for ambiguities.
///
/// Order them by [`GraphSystems`](crate::GraphSystems): `world.add_model_systems(Infer(model),
/// steer.in_set(GraphSystems::Act))`. Their commands are applied at the end of the step, so that no node is spawned or
/// despawned within it; exclusive systems that spawn, despawn or insert belong before `Sync` or into `Act`.
///
/// # Errors
/// If there is no such schedule, or systems access the same data without an order: the schedule stays unchanged then.
/// If the order of the systems is circular: the schedule stays unchanged, unless the cycle includes other systems, for these
/// cannot be separated again. Then a schedule of a model is built anew with the model's systems alone, and the error says that
/// all others are to be added again; a schedule of your own keeps the cycle, and [`run`] refuses it.
pub fn add_systems<M>(
    world: &mut World,
    label: impl ScheduleLabel,
    systems: impl IntoScheduleConfigs<ScheduleSystem, M>,
) -> Result<(), BuildError> {
    check_resources(world)?;
    let label = label.intern();
    let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(label) else {
        return Err(BuildError::NoSchedule(format!("{label:?}")));
    };
    let added = Added(schedule.systems_len());
    let exclusive = exclusive_systems(&schedule);
    schedule.add_systems(systems.in_set(added));
    match schedule.initialize(world) {
        Ok(_) => {
            // Only exclusive systems can spawn, despawn or move entities within a step.
            let watches = exclusive_systems(&schedule) > exclusive;
            if let Some(plans) = model_of(&*label).filter(|_| watches).and_then(|model| world.get::<Plans>(model)) {
                plans.is_watched.store(true, Ordering::Relaxed);
            }
            world.resource_mut::<Schedules>().insert(schedule);
            Ok(())
        }
        Err(error) => {
            let mut refused = error.to_string(schedule.graph(), world);
            if remove_added(world, &mut schedule, added) {
                world.resource_mut::<Schedules>().insert(schedule);
            } else if let Some((emitter, plans)) = own_parts(world, &*label) {
                emitter.add_schedule(world, label, &plans.graphs, &plans.fault)?;
                refused += "\nthe schedule was built anew with the model's systems alone; add all others again";
            } else {
                // Of the user's own; each run says what is wrong with it.
                world.resource_mut::<Schedules>().insert(schedule);
            }
            Err(BuildError::Schedule(refused))
        }
    }
}

/// What a schedule of a model's own is built by.
fn own_parts(world: &World, label: &dyn Any) -> Option<(Emitter, Plans)> {
    let plans = world.get::<Plans>(model_of(label)?)?;
    Some((plans.emitter(label)?, plans.clone()))
}

fn exclusive_systems(schedule: &Schedule) -> usize {
    let systems = schedule.systems_with_access().into_iter().flatten();
    systems.filter(|(_, system)| system.access().is_exclusive()).count()
}

/// The systems of one call of [`add_systems`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Added(usize);

/// Removes the systems that made a schedule invalid; returns whether it is valid then.
fn remove_added(world: &mut World, schedule: &mut Schedule, added: Added) -> bool {
    // Systems can only be removed from a schedule that is built, so ambiguities are ignored meanwhile.
    let settings = schedule.get_build_settings();
    schedule.set_build_settings(ScheduleBuildSettings { ambiguity_detection: LogLevel::Ignore, ..settings.clone() });
    let removed = schedule.remove_systems_in_set(added, world, ScheduleCleanupPolicy::RemoveSystemsOnly);
    schedule.set_build_settings(settings);
    removed.is_ok() && schedule.initialize(world).is_ok()
}

/// Runs a schedule of a model with the world's [`Workers`].
///
/// With more than one worker the systems run on one of the pool's threads, so they cannot access `NonSend` data. If a
/// system panics and the panic is caught, the schedule can be run again.
///
/// # Errors
/// If there is no such schedule, as [`Train`] of a model without an optimizer; if the model, its graph or one of its
/// parameters was despawned; or if the model was not built for its present components, such as an optimizer with more
/// moments. [`BuildError::Learning`] if a step of [`Train`] was not applied, because there was no training row, a label
/// out of range, or a loss, a gradient or a weight that is not finite: parameters and buffers are unchanged then, and
/// training may continue. For [`Evaluate`], [`BuildError::Learning`] if a label is out of range.
pub fn run(world: &mut World, label: impl ScheduleLabel) -> Result<(), BuildError> {
    let label = label.intern();
    let model = model_of(&*label);
    check_resources(world)?;
    if let Some(model) = model {
        check_entities(world, model)?;
        if (&*label as &dyn Any).is::<Train>() {
            Moments::update(world, model)?;
        }
    }
    let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(label) else {
        return Err(match model.filter(|model| takes_lessons(world, *model)) {
            Some(model) => LessonError::TrainedByLessons(model).into(),
            None => BuildError::NoSchedule(format!("{label:?}")),
        });
    };
    if let Err(error) = schedule.initialize(world) {
        let refused = BuildError::Schedule(error.to_string(schedule.graph(), world));
        world.resource_mut::<Schedules>().insert(schedule);
        return Err(refused);
    }
    let workers = world.get_resource_or_init::<Workers>().clone();
    let outcome = workers.install(|| catch_unwind(AssertUnwindSafe(|| schedule.run(world))));
    if outcome.is_err() {
        // The executor still records which systems of the run are done.
        schedule.set_executor(SingleThreadedExecutor::new());
    }
    // A system may have removed the model.
    if model.is_none_or(|model| world.get::<Plans>(model).is_some()) {
        world.get_resource_or_init::<Schedules>().insert(schedule);
    }
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    let fault = match model {
        Some(model) => take_fault(world, model),
        None => shared::take_faults(world, label),
    };
    fault.map_or(Ok(()), Err)
}

/// The model that a schedule of this module belongs to.
pub(super) fn model_of(label: &dyn Any) -> Option<Entity> {
    let train = label.downcast_ref().map(|Train(model)| *model);
    let evaluate = || label.downcast_ref().map(|Evaluate(model)| *model);
    let infer = || label.downcast_ref().map(|Infer(model)| *model);
    train.or_else(evaluate).or_else(infer)
}

/// Checks that the world was not cleared: `World::clear_entities` removes resources, and bevy_ecs panics if one is
/// inserted again.
pub(super) fn check_resources(world: &World) -> Result<(), BuildError> {
    let schedules = world.component_id::<Schedules>().and_then(|id| world.resource_entities().get(id));
    match schedules {
        Some(entity) if world.get_entity(entity).is_err() => Err(BuildError::Cleared),
        _ => Ok(()),
    }
}

/// Checks that the entities that the systems of a model read still exist.
pub(super) fn check_entities(world: &World, entity: Entity) -> Result<(), BuildError> {
    let Some(model) = world.get::<Model>(entity) else { return Err(BuildError::NoModel(entity)) };
    if world.get::<Graph>(model.graph).is_none() {
        return Err(BuildError::NoGraph(model.graph));
    }
    if let Some(owner) =
        world.get::<Plans>(entity).and_then(|plans| plans.state_owner).filter(|owner| world.get_entity(*owner).is_err())
    {
        return Err(BuildError::NoState { model: entity, owner });
    }
    match model.parameters.iter().find(|parameter| world.get::<Parameter>(**parameter).is_none()) {
        Some(parameter) => Err(BuildError::NoParameter { model: entity, parameter: *parameter }),
        None => Ok(()),
    }
}
