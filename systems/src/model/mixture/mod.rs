//! Mixtures of experts: several models, and one that chooses among them.
//!
//! A mixture is a model that reads the weighted sum of what its experts predict. Two exclusive systems are added to its
//! schedules: one runs gate and experts before its forward pass, the other their backward passes and optimizers after its
//! own. The gate is a model in the same world. Each expert has a world of its own with the rows that it computes, as a
//! training world has a batch of a corpus, so that experts share nothing and run side by side.

mod builder;
mod competition;
mod dry_run;
mod gating;
mod life;
mod member;
mod mixing;
mod part;
mod step;

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::HookContext,
    schedule::{IntoScheduleConfigs, ScheduleLabel},
    system::IntoSystem,
    world::{DeferredWorld, World},
};
use connectome_components::{Field, FieldPool};

use super::{Evaluate, Infer, Plans, Train, plans::Emitter};
use crate::{
    error::{BuildError, MixtureError},
    phases::{GraphSystems, PassSystem, Sets},
};
use part::Part;
use step::Mixture;

pub use builder::MixtureBuilder;
pub use dry_run::MixturePart;
pub use life::{add_expert, expert_world, expert_world_mut, remove_expert, replace_expert};

/// The experts of a mixture, a component of its entity. When it is removed, as when the entity is despawned, its hook
/// removes the gate as well, and gives the fields of the mixture back.
#[derive(Component)]
#[component(clone_behavior = Ignore, on_remove = clean_up)]
struct Experts {
    gate: Entity,
    /// The fields taken from the pool.
    fields: Vec<Field>,
    /// None while a step computes.
    state: Option<Box<Mixture>>,
}

fn clean_up(mut world: DeferredWorld, HookContext { entity, .. }: HookContext) {
    let Some(experts) = world.get::<Experts>(entity) else { return };
    let (gate, fields) = (experts.gate, experts.fields.clone());
    world.commands().queue(move |world: &mut World| {
        Part::remove_all(world, gate);
        if let Ok(gate) = world.get_entity_mut(gate) {
            gate.despawn();
        }
        FieldPool::give_back(world, fields);
    });
}

/// Calls `work` with the experts of a mixture.
///
/// # Errors
/// Those of `work`; and if the entity is no mixture, or its experts were lost.
fn with_experts<R>(
    world: &mut World,
    mixture: Entity,
    work: impl FnOnce(&mut Mixture, &mut World) -> Result<R, BuildError>,
) -> Result<R, BuildError> {
    let mut experts = world.get_mut::<Experts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
    let mut state = experts.state.take().ok_or(MixtureError::Lost(mixture))?;
    let result = work(&mut state, world);
    if let Some(mut experts) = world.get_mut::<Experts>(mixture) {
        experts.state = Some(state);
    }
    result
}

/// Adds the systems of gate and experts to the schedules of the model of a mixture.
fn attach(world: &mut World, mixture: Entity) -> Result<(), BuildError> {
    let plans = world.get::<Plans>(mixture).ok_or(BuildError::NoModel(mixture))?.clone();
    let labels = [Infer(mixture).intern(), Train(mixture).intern(), Evaluate(mixture).intern()];
    for (index, (emitter, label)) in plans.emitters.iter().zip(labels).enumerate() {
        let Some(model) = emitter.clone() else { continue };
        let trains = index == 1;
        let fault = plans.fault.clone();
        let emitter = Emitter::new(move |world, schedule, sets| {
            use GraphSystems::{Backward, Forward};
            model.emit(world, schedule, sets)?;
            let system = |work: fn(&mut Mixture, &mut World, Entity, bool) -> Result<(), BuildError>| {
                let fault = fault.clone();
                move |world: &mut World| {
                    let outcome = with_experts(world, mixture, |experts, world| work(experts, world, mixture, trains));
                    outcome.unwrap_or_else(|error| fault.set(error));
                }
            };
            let forward = IntoSystem::into_system(system(Mixture::forward)).with_name("forward_experts");
            let forward = forward.in_set(sets.of(Forward)).before(PassSystem(mixture, Forward));
            let backward =
                IntoSystem::into_system(system(|experts, world, mixture, _| experts.backward(world, mixture)))
                    .with_name("train_experts");
            let backward = backward.in_set(sets.of(Backward)).after(PassSystem(mixture, Backward));
            for system in [Some(forward), trains.then_some(backward)].into_iter().flatten() {
                schedule.add_systems(match sets {
                    Sets::Single => system,
                    // They reach no column of another model.
                    Sets::Shared(_) => system.ambiguous_with_all(),
                });
            }
            Ok(())
        });
        emitter.add_schedule(world, label, &plans.graphs, &plans.fault)?;
        if let Some(mut plans) = world.get_mut::<Plans>(mixture) {
            plans.emitters[index] = Some(emitter);
        }
    }
    Ok(())
}
