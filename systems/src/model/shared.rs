//! Models in schedules of the user's, side by side.

use bevy_ecs::{
    entity::Entity,
    resource::Resource,
    schedule::{
        InternedScheduleLabel, InternedSystemSet, IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings,
        ScheduleCleanupPolicy, ScheduleLabel, Schedules, SystemSet,
    },
    system::{IntoSystem, Local},
    world::World,
};
use connectome_components::LearningFault;
use core::any::Any;

use super::{
    Plans, Train,
    fault::take_fault,
    schedules::{check_parts, check_resources, model_of, settings},
};
use crate::{
    error::{BuildError, StepFault},
    optimizers::{self, Moments},
    phases::{AllOf, COPIES, GraphSystems, ModelSystems, PARTS, Private, Sets},
    topology::{Scratch, attach_all_fields, update_topology},
};

/// The schedules of the user's that have models in them.
#[derive(Resource, Default)]
struct SharedSchedules(Vec<Shared>);

struct Shared {
    label: InternedScheduleLabel,
    members: Vec<Member>,
    /// Models that were taken out while the schedule ran, whose systems are idle in it.
    gone: Vec<Entity>,
}

#[derive(Clone)]
struct Member {
    model: Entity,
    learns: bool,
    graphs: Vec<Entity>,
    fault: StepFault,
}

impl SharedSchedules {
    fn of(world: &World, label: InternedScheduleLabel) -> Option<&Shared> {
        world.get_resource::<Self>()?.0.iter().find(|shared| shared.label == label)
    }
}

/// Adds the systems of a model's schedule, [`Infer`](super::Infer), [`Train`] or [`Evaluate`](super::Evaluate), to a schedule
/// of the user's, which is made if there is none.
///
/// Any number of models may share a schedule. Once the topologies of all their graphs follow the world
/// ([`GraphSystems::Sync`]) and the users' components have become inputs ([`GraphSystems::Observe`]), the systems of each
/// model run one after another, in [`ModelSystems`] of it; those of different models run beside each other on an executor
/// with several threads, as far as they touch different columns. [`GraphSystems::Act`] comes after all of them. A model that
/// reads what another one writes is to be ordered after it: `configure_sets(ModelSystems(one,
/// GraphSystems::Forward).before(ModelSystems(other, GraphSystems::Forward)))`.
///
/// Run it by [`run`](super::run), which returns what kept a model from its step, or in any other way: then
/// [`take_error`] says it.
///
/// ```
/// use bevy_ecs::{prelude::*, schedule::ScheduleLabel};
/// use connectome_components::{Graph, GraphNode};
/// use connectome_systems::{Infer, ModelBuilder, add_model_to_schedule, layers::Linear, run};
///
/// #[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
/// struct Think;
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// for seed in 0..2 {
///     let model = ModelBuilder::new(graph).seed(seed).layer(Linear::new(2)).build(&mut world)?;
///     add_model_to_schedule(&mut world, Think, Infer(model))?;
/// }
/// world.spawn(GraphNode);
/// run(&mut world, Think)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the model has no such schedule, as [`Train`] of one that does not learn; if it has systems in the schedule already; or
/// if the schedule cannot be built with it, as two systems would race where that is an error: then it stays as it was. In a
/// schedule that is made here races are errors, and commands are applied when all of it is done.
pub fn add_model_to_schedule(
    world: &mut World,
    label: impl ScheduleLabel,
    systems: impl ScheduleLabel,
) -> Result<(), BuildError> {
    check_resources(world)?;
    let (label, systems) = (label.intern(), systems.intern());
    let unknown = || BuildError::NoSchedule(format!("{systems:?}"));
    let model = model_of(&*systems).ok_or_else(unknown)?;
    let plans = world.get::<Plans>(model).ok_or(BuildError::NoModel(model))?;
    let emitter = plans.emitter(&*systems).ok_or_else(unknown)?;
    let learns = (&*systems as &dyn Any).is::<Train>();
    let member = Member { model, learns, graphs: plans.graphs.clone(), fault: plans.fault.clone() };
    let others: Vec<Entity> = match SharedSchedules::of(world, label) {
        Some(shared) => shared.members.iter().map(|member| member.model).collect(),
        None => Vec::new(),
    };
    use ScheduleCleanupPolicy::RemoveSystemsOnly;
    if others.contains(&model) {
        return Err(BuildError::Schedule(format!("model {model} has systems in it already; use another schedule")));
    }
    let known = world.get_resource_or_init::<Schedules>().remove(label);
    let mut schedule = known.unwrap_or_else(|| {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(settings());
        schedule
    });
    sweep(world, &mut schedule);
    if SharedSchedules::of(world, label).is_none() {
        schedule.configure_sets((GraphSystems::Sync, GraphSystems::Observe, GraphSystems::Act).chain());
        let sync = IntoSystem::into_system(synchronize(label)).with_name("rebuild_topologies");
        schedule.add_systems(sync.in_set(GraphSystems::Sync));
        let shared = Shared { label, members: Vec::new(), gone: Vec::new() };
        world.get_resource_or_init::<SharedSchedules>().0.push(shared);
    }
    arrange(&mut schedule, model, &others);
    Sets::Shared(model).stop_at(&mut schedule, &member.fault);
    let emitted = emitter.emit(world, &mut schedule, Sets::Shared(model));
    let built = emitted.and_then(|()| match schedule.initialize(world) {
        Ok(_) => Ok(()),
        Err(error) => Err(BuildError::Schedule(error.to_string(schedule.graph(), world))),
    });
    match built {
        Ok(()) => {
            let mut known = world.get_resource_or_init::<SharedSchedules>();
            known.0.iter_mut().filter(|shared| shared.label == label).for_each(|shared| {
                shared.members.push(member.clone());
            });
        }
        // The sets stay: bevy_ecs does not take one again that was removed.
        Err(_) => remove_systems(world, &mut schedule, &[AllOf(model).intern()], RemoveSystemsOnly),
    }
    world.get_resource_or_init::<Schedules>().insert(schedule);
    built
}

/// What kept a model from its last step, or the step from being applied, in a schedule that was not run by
/// [`run`](super::run); it is returned once.
pub fn take_error(world: &mut World, model: Entity) -> Option<BuildError> {
    take_fault(world, model)
}

/// Says in which order the systems of a model run, and that what they share with those of others is no race.
fn arrange(schedule: &mut Schedule, model: Entity, others: &[Entity]) {
    use GraphSystems::{Act, Commit, Loss, Observe, Optimize};
    for pair in PARTS.windows(2) {
        schedule.configure_sets((ModelSystems(model, pair[0]), ModelSystems(model, pair[1])).chain());
    }
    for part in PARTS {
        schedule.configure_sets(ModelSystems(model, part).in_set(part).in_set(AllOf(model)));
    }
    for part in COPIES {
        schedule.configure_sets(ModelSystems(model, part).in_set(AllOf(model)));
    }
    Sets::Shared(model).order_copies(schedule);
    schedule.configure_sets(AllOf(model).after(Observe).before(Act));
    for part in [Loss, Optimize, Commit] {
        schedule.configure_sets(ModelSystems(model, part).in_set(Private(model)));
    }
    for other in others {
        // They write components of which each model has its own; to the scheduler these are the same.
        schedule.configure_sets(Private(model).ambiguous_with(Private(*other)));
        schedule.configure_sets(ModelSystems(model, Commit).ambiguous_with(AllOf(*other)));
        schedule.configure_sets(ModelSystems(*other, Commit).ambiguous_with(AllOf(model)));
    }
}

/// Gives new entities their fields, derives the topology of each graph once, and sees whether the models can step.
fn synchronize(label: InternedScheduleLabel) -> impl FnMut(&mut World, Local<Vec<(Entity, Scratch)>>) {
    move |world, mut scratch| {
        let member = |world: &World, number: usize| -> Option<usize> {
            Some(SharedSchedules::of(world, label)?.members.get(number)?.graphs.len())
        };
        let graph = |world: &World, number: usize, place: usize| -> Option<Entity> {
            SharedSchedules::of(world, label)?.members.get(number)?.graphs.get(place).copied()
        };
        // All fields first: giving entities those of one graph may move rows of another.
        for number in 0.. {
            let Some(count) = member(world, number) else { break };
            for place in 0..count {
                let Some(graph) = graph(world, number, place) else { continue };
                if !scratch.iter().any(|(known, _)| *known == graph) {
                    scratch.push((graph, Scratch::default()));
                }
                attach_all_fields(world, graph);
            }
        }
        scratch.retain(|(graph, _)| world.get_entity(*graph).is_ok());
        for (graph, scratch) in scratch.iter_mut() {
            update_topology(world, *graph, scratch);
        }
        for number in 0.. {
            let members = SharedSchedules::of(world, label).map(|shared| &shared.members);
            let Some(Member { model, learns, fault, .. }) = members.and_then(|members| members.get(number)) else {
                break;
            };
            let (model, learns, fault) = (*model, *learns, fault.clone());
            fault.take();
            if let Some(mut fault) = world.get_mut::<LearningFault>(model).filter(|fault| fault.0.is_some()) {
                fault.0 = None;
            }
            let ready = check_parts(world, model);
            let ready = if learns { ready.and_then(|()| Moments::follow_components(world, model)) } else { ready };
            ready.unwrap_or_else(|error| fault.set(error));
        }
    }
}

/// What kept the first of the models in a schedule from its step, or the step from being applied, if anything did.
pub(super) fn take_faults(world: &mut World, label: InternedScheduleLabel) -> Option<BuildError> {
    let models: Vec<Entity> = SharedSchedules::of(world, label)?.members.iter().map(|member| member.model).collect();
    // All are taken, so that none is left for a later run.
    models.into_iter().fold(None, |first, model| {
        let fault = take_fault(world, model);
        first.or(fault)
    })
}

/// Takes the systems of a model out of all schedules of the user's.
pub(super) fn remove_from_all(world: &mut World, model: Entity) {
    let Some(mut shared) = world.get_resource_mut::<SharedSchedules>() else { return };
    let mut labels = Vec::new();
    for shared in &mut shared.0 {
        let count = shared.members.len();
        shared.members.retain(|member| member.model != model);
        if shared.members.len() < count {
            labels.push(shared.label);
        }
    }
    for label in labels {
        match world.get_resource_or_init::<Schedules>().remove(label) {
            Some(mut schedule) => {
                remove_model_systems(world, &mut schedule, model);
                world.get_resource_or_init::<Schedules>().insert(schedule);
            }
            // It is running.
            None => {
                let mut known = world.get_resource_or_init::<SharedSchedules>();
                known.0.iter_mut().filter(|shared| shared.label == label).for_each(|shared| shared.gone.push(model));
            }
        }
    }
}

/// Takes out the systems of models that went while the schedule ran.
fn sweep(world: &mut World, schedule: &mut Schedule) {
    let label = schedule.label();
    let Some(mut shared) = world.get_resource_mut::<SharedSchedules>() else { return };
    let gone = shared.0.iter_mut().filter(|shared| shared.label == label).flat_map(|shared| shared.gone.drain(..));
    for model in gone.collect::<Vec<_>>() {
        remove_model_systems(world, schedule, model);
    }
}

fn remove_model_systems(world: &mut World, schedule: &mut Schedule, model: Entity) {
    // The sets as well: building a schedule costs the square of their number.
    let parts = PARTS.into_iter().chain(COPIES).map(|part| ModelSystems(model, part).intern());
    let sets = parts.chain(optimizers::sets(model)).chain([Private(model).intern(), AllOf(model).intern()]);
    let sets: Vec<InternedSystemSet> = sets.collect();
    remove_systems(world, schedule, &sets, ScheduleCleanupPolicy::RemoveSetAndSystemsAllowBreakages);
}

fn remove_systems(
    world: &mut World,
    schedule: &mut Schedule,
    sets: &[InternedSystemSet],
    policy: ScheduleCleanupPolicy,
) {
    // A system can only be found in a schedule that is built: races are let pass for as long as that takes.
    let settings = schedule.get_build_settings();
    schedule.set_build_settings(ScheduleBuildSettings { ambiguity_detection: LogLevel::Ignore, ..settings.clone() });
    for set in sets {
        // One that the model has nothing in may not be there. Of a schedule that cannot be built at all none can be taken
        // out; they do nothing without their model.
        let _ = schedule.remove_systems_in_set(*set, world, policy);
    }
    schedule.set_build_settings(settings);
    // What is wrong with the rest, its next run says.
    let _ = schedule.initialize(world);
}
