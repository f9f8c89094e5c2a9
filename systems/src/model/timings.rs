//! Timings of the systems of a schedule.

use bevy_ecs::{
    schedule::{
        FlattenedDependencies, NodeId, ScheduleBuildError, ScheduleBuildPass, ScheduleGraph, ScheduleLabel, Schedules,
        SystemKey, SystemSet, SystemSetKey,
        graph::{DagGroups, DiGraph},
    },
    system::IntoSystem,
    world::World,
};
use core::{
    fmt, iter,
    ops::{Deref, Index},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{Plans, SystemDescription, describe_schedule, schedules::finish};
use crate::error::BuildError;

/// Measures when each system of a schedule begins and ends.
///
/// Additional systems between those of the schedule read the time, about 50 ns each; a schedule without timings pays
/// nothing for them. They stay in the schedule.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Graph, GraphNode};
/// use connectome_systems::{Infer, ModelBuilder, ScheduleTimings, WorldModelExt, layers::Linear};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let model = world.spawn_model(ModelBuilder::new(graph).layer(Linear::new(2)))?;
/// world.spawn(GraphNode);
/// let clock = ScheduleTimings::add(&mut world, Infer(model))?;
/// world.infer(model)?;
/// let readings = &clock.take()[0];
/// for (system, times) in clock.systems().iter().zip(readings.windows(2)) {
///     println!("{} took {:?}", system.name, times[1] - times[0]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ScheduleTimings {
    systems: Vec<SystemDescription>,
    readings: Readings,
}

impl ScheduleTimings {
    /// Adds timings to a schedule of a model, whose systems must run one after another. Earlier timings of the schedule
    /// stop.
    ///
    /// # Errors
    /// If there is no such schedule.
    pub fn add(world: &mut World, label: impl ScheduleLabel) -> Result<Self, BuildError> {
        let label = label.intern();
        let readings = Plans::readings(world, label).unwrap_or_default();
        let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(label) else {
            return Err(BuildError::NoSchedule(format!("{label:?}")));
        };
        readings.start();
        schedule.add_build_pass(Interleave { readings: readings.clone(), clocks: Vec::new() });
        // A schedule is built again only if something in it has changed.
        schedule.configure_sets(Clocked);
        finish(world, schedule)?;
        let systems = describe_schedule(world, label).into_iter().filter(|system| system.name != CLOCK).collect();
        Ok(Self { systems, readings })
    }

    /// The systems in the order in which they run, with each operation of a model in place of the system that runs
    /// them.
    pub fn systems(&self) -> &[SystemDescription] {
        &self.systems
    }

    /// Takes the readings of each run since the last call: when each system began, and when the last one ended. Runs
    /// with systems that were added to the schedule later are skipped.
    pub fn take(&self) -> Vec<Vec<Instant>> {
        let mut runs = self.readings.with(core::mem::take);
        runs.retain(|run| run.len() == self.systems.len() + 1);
        runs
    }
}

const CLOCK: &str = "clock";

/// The readings of a schedule so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Readings(Arc<(AtomicBool, Mutex<Vec<Vec<Instant>>>)>);

impl Readings {
    /// Starts, and discards earlier readings.
    fn start(&self) {
        self.with(Vec::clear);
        self.0.0.store(true, Ordering::Relaxed);
    }

    /// Reads the time, if started; the first reading of a schedule begins a new run.
    pub(super) fn read(&self, is_first: bool) {
        if !self.0.0.load(Ordering::Relaxed) {
            return;
        }
        self.with(|runs| match runs.last_mut() {
            Some(run) if !is_first => run.push(Instant::now()),
            _ => runs.push(vec![Instant::now()]),
        });
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<Vec<Instant>>) -> R) -> R {
        // A system that panics does so between two readings.
        work(&mut self.0.1.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A set of schedules with timings.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Clocked;

/// The systems of a set: a type of the crate `indexmap` that bevy_ecs uses but does not re-export.
type SystemKeys = <<DagGroups<SystemSetKey, SystemKey> as Deref>::Target as Index<&'static SystemSetKey>>::Output;

/// Fixes the order of the systems, and adds a reading before each and after the last.
struct Interleave {
    readings: Readings,
    /// The clocks of the last build, which the next one reuses.
    clocks: Vec<SystemKey>,
}

impl fmt::Debug for Interleave {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interleave")
    }
}

impl ScheduleBuildPass for Interleave {
    type EdgeOptions = ();

    fn add_dependency(&mut self, _: NodeId, _: NodeId, _: Option<&()>) {}

    fn collapse_set(
        &mut self,
        _: SystemSetKey,
        _: &SystemKeys,
        _: &DiGraph<NodeId>,
    ) -> impl Iterator<Item = (NodeId, NodeId)> {
        iter::empty()
    }

    fn build(
        &mut self,
        _: &mut World,
        graph: &mut ScheduleGraph,
        mut dependencies: FlattenedDependencies<'_>,
    ) -> Result<(), ScheduleBuildError> {
        let order = dependencies.toposort().map_err(ScheduleBuildError::FlatDependencySort)?.to_vec();
        while self.clocks.len() <= order.len() {
            let (readings, is_first) = (self.readings.clone(), self.clocks.is_empty());
            let clock = move || readings.read(is_first);
            let clock = Box::new(IntoSystem::into_system(clock).with_name(CLOCK));
            self.clocks.push(graph.systems.insert(clock, Vec::new()));
        }
        for (system, clocks) in order.iter().zip(self.clocks.windows(2)) {
            dependencies.add_edge(clocks[0], *system);
            dependencies.add_edge(*system, clocks[1]);
        }
        Ok(())
    }
}
