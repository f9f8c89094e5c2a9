//! Shows what a schedule does.

use bevy_ecs::{
    component::ComponentId,
    schedule::{InternedScheduleLabel, Schedule, ScheduleLabel, Schedules, SystemKey, SystemSet},
    system::System,
    world::World,
};
use std::collections::HashMap;

use crate::GraphSystems;

/// A system of a schedule and the components it touches, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemDescription {
    /// The system.
    pub name: String,
    /// The phase it belongs to; none if it was added without one.
    pub phase: Option<GraphSystems>,
    /// What it only reads.
    pub reads: Vec<String>,
    /// What it writes.
    pub writes: Vec<String>,
}

/// The systems of a schedule in the order in which they run; none if there is no such schedule.
pub fn describe(world: &World, label: impl ScheduleLabel) -> Vec<SystemDescription> {
    let label: InternedScheduleLabel = label.intern();
    let schedule = world.get_resource::<Schedules>().and_then(|schedules| schedules.get(label));
    let systems = schedule.map(Schedule::systems_with_access).and_then(Result::ok);
    let phases = schedule.map(phases).unwrap_or_default();
    systems
        .into_iter()
        .flatten()
        .map(|(key, system)| {
            let access = system.access().to_filtered_access_set();
            let access = access.combined_access();
            let names = |ids: &mut dyn Iterator<Item = ComponentId>| ids.map(|id| component_name(world, id)).collect();
            let everything = || vec!["the whole world".to_owned()];
            let written = access.writes().as_finite_set();
            let read = access.reads().as_finite_set();
            SystemDescription {
                name: short_name(&system.name().to_string()),
                phase: phases.get(&key).copied(),
                reads: read.map_or_else(Vec::new, |read| {
                    names(&mut read.iter().filter(|id| !written.is_some_and(|written| written.contains(*id))))
                }),
                writes: written.map_or_else(everything, |written| names(&mut written.iter())),
            }
        })
        .collect()
}

/// The phase of each system that has one.
fn phases(schedule: &Schedule) -> HashMap<SystemKey, GraphSystems> {
    let graph = schedule.graph();
    let systems_in = |phase: GraphSystems| graph.systems_in_set(phase.intern()).into_iter().flatten().copied();
    GraphSystems::ALL.into_iter().flat_map(|phase| systems_in(phase).map(move |system| (system, phase))).collect()
}

fn component_name(world: &World, id: ComponentId) -> String {
    world.components().get_name(id).map_or_else(|| format!("{id:?}"), |name| short_name(&name))
}

/// A Rust path without the modules; other names as they are.
fn short_name(name: &str) -> String {
    let path = name.split(['<', '{']).next().unwrap_or(name);
    match path.contains("::") {
        true => path.trim_end_matches("::").rsplit("::").next().unwrap_or(name).to_owned(),
        false => name.to_owned(),
    }
}
