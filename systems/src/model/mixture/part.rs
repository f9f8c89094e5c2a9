//! The parts of a training step of a gate or an expert.

use bevy_ecs::{
    entity::Entity,
    schedule::{InternedSystemSet, ScheduleCleanupPolicy, ScheduleLabel, Schedules, SystemSet},
    world::World,
};
use core::any::Any;

use crate::{
    error::BuildError,
    model::{Infer, Plans, Train, fault::take_fault, run, schedules::check_entities, shared::remove_systems},
    optimizers::{self, Moments},
    phases::{GraphSystems, Sets},
};

/// A part of [`Train`], so that other models can compute between two of them.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// From `Sync` to `Forward`.
    Forward(Entity),
    /// `Backward` and `Reduce`, of a gradient that was written into that of the output.
    Backward(Entity),
    /// `Optimize` and `Commit`.
    Optimize(Entity),
}

impl Part {
    fn all(model: Entity) -> [Self; 3] {
        [Self::Forward(model), Self::Backward(model), Self::Optimize(model)]
    }

    /// Adds the parts of a model to its world, if it is trained.
    pub(super) fn add_all(world: &mut World, model: Entity) -> Result<(), BuildError> {
        let plans = world.get::<Plans>(model).ok_or(BuildError::NoModel(model))?.clone();
        let Some(emitter) = plans.emitter(&Train(model)) else { return Ok(()) };
        for part in Self::all(model) {
            emitter.add_schedule(world, part, &plans.graphs, &plans.fault)?;
            let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(part) else { continue };
            remove_systems(world, &mut schedule, &part.others(model), ScheduleCleanupPolicy::RemoveSystemsOnly);
            world.get_resource_or_init::<Schedules>().insert(schedule);
        }
        Ok(())
    }

    /// Removes the parts of a model.
    pub(super) fn remove_all(world: &mut World, model: Entity) {
        let mut schedules = world.get_resource_or_init::<Schedules>();
        for part in Self::all(model) {
            schedules.remove(part);
        }
    }

    /// The sets of a training step that are not in this part.
    fn others(self, model: Entity) -> Vec<InternedSystemSet> {
        use GraphSystems::{Act, Backward, Commit, Forward, Loss, Observe, Optimize, Reduce, Sync};
        let (phases, [saves, restores]): (&[GraphSystems], _) = match self {
            Self::Forward(_) => (&[Sync, Observe, Forward], [true, false]),
            Self::Backward(_) => (&[Backward, Reduce], [false, false]),
            Self::Optimize(_) => (&[Optimize, Commit], [false, true]),
        };
        let [save, .., restore] = optimizers::sets(model);
        let is_forward = matches!(self, Self::Forward(_));
        let others = [Sync, Observe, Forward, Loss, Backward, Reduce, Optimize, Commit, Act];
        let others = others.into_iter().filter(|phase| !phases.contains(phase)).map(|phase| phase.intern());
        others
            .chain((!saves).then_some(save))
            .chain((!restores).then_some(restore))
            .chain((!is_forward).then(|| Sets::Single.copies_in()))
            .chain([Sets::Single.copies_out()])
            .collect()
    }

    /// Runs this part of a model's step.
    pub(super) fn run(self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        check_entities(world, model)?;
        if let Self::Optimize(_) = self {
            Moments::update(world, model)?;
        }
        run(world, self)?;
        take_fault(world, model).map_or(Ok(()), Err)
    }
}

/// Ends the step of a model without a change of its parameters and buffers.
pub(super) fn abandon(world: &mut World, model: Entity) {
    let Some(fault) = world.get::<Plans>(model).map(|plans| plans.fault.clone()) else { return };
    // Any error will do: with one the optimizer is skipped, and buffers are restored.
    fault.set(BuildError::NoModel(model));
    let _ = Part::Optimize(model).run(world, model);
    fault.take();
}

/// Whether a model is trained.
pub(super) fn is_trained(world: &World, model: Entity) -> bool {
    world.get::<Plans>(model).is_some_and(|plans| plans.emitter(&Train(model) as &dyn Any).is_some())
}

/// Runs a model forward, in training or in inference.
pub(super) fn run_forward(world: &mut World, model: Entity, trains: bool) -> Result<(), BuildError> {
    if trains { Part::Forward(model).run(world, model) } else { run(world, Infer(model)) }
}
