//! Several models in one schedule.

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
    schedules::{check_entities, check_resources, model_of, settings},
};
use crate::{
    error::{BuildError, StepFault},
    optimizers::{self, Moments},
    phases::{AllOf, COPY_PHASES, GraphSystems, MODEL_PHASES, ModelSystems, PassSystem, Sets},
    topology::{Scratch, attach_all_fields, update_topology},
};

/// The schedules that models were added to.
#[derive(Resource, Default)]
struct SharedSchedules(Vec<Shared>);

struct Shared {
    label: InternedScheduleLabel,
    members: Vec<Member>,
    /// Models that were removed while the schedule ran, whose systems are still in it and do nothing.
    removed: Vec<Entity>,
}

#[derive(Clone)]
struct Member {
    model: Entity,
    is_training: bool,
    graphs: Vec<Entity>,
    fault: StepFault,
}

impl SharedSchedules {
    fn of(world: &World, label: InternedScheduleLabel) -> Option<&Shared> {
        world.get_resource::<Self>()?.0.iter().find(|shared| shared.label == label)
    }
}

/// Adds the systems of a model's schedule, [`Infer`](super::Infer), [`Train`] or [`Evaluate`](super::Evaluate), to
/// another schedule, which is created if it does not exist.
///
/// Any number of models may share a schedule. After the topologies of all their graphs are updated
/// ([`GraphSystems::Sync`]) and the inputs are written ([`GraphSystems::Observe`]), the systems of each model run one
/// after another, in its [`ModelSystems`]; those of different models run in parallel on a multithreaded executor, if
/// they access different columns. [`GraphSystems::Act`] follows all of them. Order a model that reads what another one
/// writes after it: `configure_sets(ModelSystems(one, GraphSystems::Forward).before(ModelSystems(other,
/// GraphSystems::Forward)))`.
///
/// Run the schedule by [`run`](super::run), which returns the first error of a model; if you run it otherwise, get
/// errors by [`take_error`].
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
/// If the model has no such schedule, as [`Train`] of one without an optimizer; if it has systems in the schedule
/// already; or if the schedule cannot be built with it, as when ambiguities are errors: the schedule stays unchanged
/// then. In a schedule that is created here, ambiguities are errors, and commands are applied at its end.
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
    let is_training = (&*systems as &dyn Any).is::<Train>();
    let member = Member { model, is_training, graphs: plans.graphs.clone(), fault: plans.fault.clone() };
    let others: Vec<Entity> = match SharedSchedules::of(world, label) {
        Some(shared) => shared.members.iter().map(|member| member.model).collect(),
        None => Vec::new(),
    };
    use ScheduleCleanupPolicy::RemoveSystemsOnly;
    if others.contains(&model) {
        return Err(BuildError::Schedule(format!("it has systems of model {model} already; use another schedule")));
    }
    let known = world.get_resource_or_init::<Schedules>().remove(label);
    let mut schedule = known.unwrap_or_else(|| {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(settings());
        schedule
    });
    remove_idle_systems(world, &mut schedule);
    if SharedSchedules::of(world, label).is_none() {
        schedule.configure_sets((GraphSystems::Sync, GraphSystems::Observe, GraphSystems::Act).chain());
        let sync = IntoSystem::into_system(synchronize(label)).with_name("rebuild_topologies");
        schedule.add_systems(sync.in_set(GraphSystems::Sync));
        let shared = Shared { label, members: Vec::new(), removed: Vec::new() };
        world.get_resource_or_init::<SharedSchedules>().0.push(shared);
    }
    order_sets(&mut schedule, model, &others);
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
        // The sets stay, because bevy_ecs does not accept a removed set again.
        Err(_) => remove_systems(world, &mut schedule, &[AllOf(model).intern()], RemoveSystemsOnly),
    }
    world.get_resource_or_init::<Schedules>().insert(schedule);
    built
}

/// The error of a model's last step in a schedule that was not run by [`run`](super::run); it is returned once.
pub fn take_error(world: &mut World, model: Entity) -> Option<BuildError> {
    take_fault(world, model)
}

/// Orders the sets of a model.
fn order_sets(schedule: &mut Schedule, model: Entity, others: &[Entity]) {
    use GraphSystems::{Act, Commit, Observe};
    for pair in MODEL_PHASES.windows(2) {
        schedule.configure_sets((ModelSystems(model, pair[0]), ModelSystems(model, pair[1])).chain());
    }
    for phase in MODEL_PHASES {
        schedule.configure_sets(ModelSystems(model, phase).in_set(phase).in_set(AllOf(model)));
    }
    for phase in COPY_PHASES {
        schedule.configure_sets(ModelSystems(model, phase).in_set(AllOf(model)));
    }
    Sets::Shared(model).order_copies(schedule);
    schedule.configure_sets(AllOf(model).after(Observe).before(Act));
    for other in others {
        // Recurrent models flip double buffers of different owners, which the scheduler does not distinguish.
        schedule.configure_sets(ModelSystems(model, Commit).ambiguous_with(AllOf(*other)));
        schedule.configure_sets(ModelSystems(*other, Commit).ambiguous_with(AllOf(model)));
    }
}

/// A system that attaches fields to new entities, updates the topology of each graph once, and checks the models.
fn synchronize(label: InternedScheduleLabel) -> impl FnMut(&mut World, Local<Vec<(Entity, Scratch)>>) {
    move |world, mut scratch| {
        let graph_count = |world: &World, member: usize| -> Option<usize> {
            Some(SharedSchedules::of(world, label)?.members.get(member)?.graphs.len())
        };
        let graph = |world: &World, member: usize, index: usize| -> Option<Entity> {
            SharedSchedules::of(world, label)?.members.get(member)?.graphs.get(index).copied()
        };
        // All fields first: attaching those of one graph may move rows of another.
        for member in 0.. {
            let Some(count) = graph_count(world, member) else { break };
            for index in 0..count {
                let Some(graph) = graph(world, member, index) else { continue };
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
        for member in 0.. {
            let members = SharedSchedules::of(world, label).map(|shared| &shared.members);
            let Some(Member { model, is_training, fault, .. }) = members.and_then(|members| members.get(member)) else {
                break;
            };
            let (model, is_training, fault) = (*model, *is_training, fault.clone());
            fault.take();
            if let Some(mut fault) = world.get_mut::<LearningFault>(model).filter(|fault| fault.0.is_some()) {
                fault.0 = None;
            }
            let ready = check_entities(world, model);
            let ready = if is_training { ready.and_then(|()| Moments::update(world, model)) } else { ready };
            ready.unwrap_or_else(|error| fault.set(error));
        }
    }
}

/// Clears the faults of all models in a schedule, and returns the first one as an error.
pub(super) fn take_faults(world: &mut World, label: InternedScheduleLabel) -> Option<BuildError> {
    let models: Vec<Entity> = SharedSchedules::of(world, label)?.members.iter().map(|member| member.model).collect();
    // All are cleared, so that none remains for a later run.
    models.into_iter().fold(None, |first, model| {
        let fault = take_fault(world, model);
        first.or(fault)
    })
}

/// Removes the systems of a model from all shared schedules.
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
            // The schedule is running.
            None => {
                let mut known = world.get_resource_or_init::<SharedSchedules>();
                known.0.iter_mut().filter(|shared| shared.label == label).for_each(|shared| shared.removed.push(model));
            }
        }
    }
}

/// Removes the systems of models that were removed while the schedule ran.
fn remove_idle_systems(world: &mut World, schedule: &mut Schedule) {
    let label = schedule.label();
    let Some(mut shared) = world.get_resource_mut::<SharedSchedules>() else { return };
    let removed =
        shared.0.iter_mut().filter(|shared| shared.label == label).flat_map(|shared| shared.removed.drain(..));
    for model in removed.collect::<Vec<_>>() {
        remove_model_systems(world, schedule, model);
    }
}

fn remove_model_systems(world: &mut World, schedule: &mut Schedule, model: Entity) {
    // The sets as well, because the cost of building a schedule is quadratic in their number.
    let phases = MODEL_PHASES.into_iter().chain(COPY_PHASES).map(|phase| ModelSystems(model, phase).intern());
    let passes = [GraphSystems::Forward, GraphSystems::Backward].map(|pass| PassSystem(model, pass).intern());
    let sets = phases.chain(passes).chain(optimizers::sets(model)).chain([AllOf(model).intern()]);
    let sets: Vec<InternedSystemSet> = sets.collect();
    remove_systems(world, schedule, &sets, ScheduleCleanupPolicy::RemoveSetAndSystemsAllowBreakages);
}

/// Removes the systems of some sets from a schedule.
pub(super) fn remove_systems(
    world: &mut World,
    schedule: &mut Schedule,
    sets: &[InternedSystemSet],
    policy: ScheduleCleanupPolicy,
) {
    // Systems can only be removed from a schedule that is built, so ambiguities are ignored meanwhile.
    let settings = schedule.get_build_settings();
    schedule.set_build_settings(ScheduleBuildSettings { ambiguity_detection: LogLevel::Ignore, ..settings.clone() });
    for set in sets {
        // A set without systems may be missing. From a schedule that cannot be built nothing can be removed; the
        // systems do nothing without their model.
        let _ = schedule.remove_systems_in_set(*set, world, policy);
    }
    schedule.set_build_settings(settings);
    // The next run of the schedule reports errors of the rest.
    let _ = schedule.initialize(world);
}
