//! Ticks of brains.

use bevy_ecs::{entity::Entity, query::With, schedule::Schedule, system::Query, world::World};
use connectome::{components::Optimizer, systems::WorldModelExt};
use std::time::Instant;

use crate::{
    brain::Brain,
    components::{BrainClock, BrainMode, BrainOf, BrainStatus},
    error::BrainError,
    plugin::BrainSchedule,
    registry::{Brains, Registered},
};

/// Runs [`BrainSchedule`], unless its systems race: then every brain says so.
pub(crate) fn run_schedule(world: &mut World) {
    let run = |world: &mut World, schedule: &mut Schedule| match schedule.initialize(world) {
        Ok(_) => {
            schedule.run(world);
            None
        }
        Err(error) => Some(error.to_string(schedule.graph(), world)),
    };
    let Ok(Some(refused)) = world.try_schedule_scope(BrainSchedule, run) else { return };
    Brains::for_each(world, |world, registered| {
        let error = BrainError::Schedule(refused.clone());
        registered.tell(world, error, |status| &mut status.tick_error);
    });
}

/// Whether a brain is to run in this tick.
pub(crate) fn is_due<B: Brain>(clocks: Query<&BrainClock, With<BrainOf<B>>>) -> bool {
    clocks.iter().any(BrainClock::is_due)
}

/// Runs each brain that is due, in the order in which they were added.
pub(crate) fn run_brains(world: &mut World) {
    Brains::for_each(world, run_brain);
}

fn run_brain(world: &mut World, registered: &mut Registered) {
    let Ok(mut brain) = world.get_entity_mut(registered.brain) else { return };
    let is_due = brain.get_mut::<BrainClock>().is_none_or(|mut clock| clock.advance());
    let mode = brain.get::<BrainMode>().copied().unwrap_or_default();
    if let Some(mut status) = brain.get_mut::<BrainStatus>().filter(|status| status.has_run) {
        status.has_run = false;
    }
    let Some(model) = registered.living_model(world).filter(|_| is_due) else { return };
    let start = Instant::now();
    let outcome = match registered.kind.take_input_fault(world) {
        Some(error) => Err(error),
        None => step(world, registered, model, mode),
    };
    match outcome {
        Ok(()) => {
            if let Some(mut status) = world.get_mut::<BrainStatus>(registered.brain) {
                (status.has_run, status.duration, status.tick_error) = (true, start.elapsed(), None);
            }
        }
        Err(error) => registered.tell(world, error, |status| &mut status.tick_error),
    }
}

fn step(world: &mut World, registered: &Registered, model: Entity, mode: BrainMode) -> Result<(), BrainError> {
    if mode != BrainMode::Infer && world.get::<Optimizer>(model).is_none() {
        return Err(BrainError::NoOptimizer { brain: registered.kind.name });
    }
    match mode {
        BrainMode::Infer => world.infer(model)?,
        BrainMode::Train => world.train(model)?,
        BrainMode::Evaluate => world.evaluate(model)?,
    }
    Ok(())
}
