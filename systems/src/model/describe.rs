//! Descriptions of the systems of a schedule.

use bevy_ecs::{
    component::ComponentId,
    schedule::{Schedule, ScheduleLabel, Schedules, SystemKey, SystemSet},
    system::System,
    world::World,
};
use std::collections::HashMap;

use super::Plans;
use crate::{
    phases::GraphSystems,
    program::{Pass, Plan},
};

/// A system of a schedule and the components it accesses, by name; or an operation of a model and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemDescription {
    /// The system.
    pub name: String,
    /// Its phase of the step; none if it was added without one.
    pub phase: Option<GraphSystems>,
    /// The layer that recorded the operation, counted from 0.
    pub layer: Option<usize>,
    /// Components or values that it only reads.
    pub reads: Vec<String>,
    /// Components or values that it writes.
    pub writes: Vec<String>,
}

/// Describes the systems of a schedule, in the order in which they run; empty if there is no such schedule. The
/// operations of a model are listed in place of the systems that run them.
pub fn describe_schedule(world: &World, label: impl ScheduleLabel) -> Vec<SystemDescription> {
    let label = label.intern();
    let plan = Plans::of(world, label);
    let schedule = world.get_resource::<Schedules>().and_then(|schedules| schedules.get(label));
    let systems = schedule.map(Schedule::systems_with_access).and_then(Result::ok);
    let phases = schedule.map(phases).unwrap_or_default();
    let mut descriptions = Vec::new();
    for (key, system) in systems.into_iter().flatten() {
        let phase = phases.get(&key).copied();
        let name = short_name(&system.name().to_string());
        let pass = match (phase, &*name) {
            (Some(GraphSystems::Forward), "forward") => Some(Pass::Forward),
            (Some(GraphSystems::Backward), "backward") => Some(Pass::Backward),
            _ => None,
        };
        if let (Some(pass), Some(plan)) = (pass, plan) {
            descriptions.extend(operations(plan, pass, phase));
            continue;
        }
        let access = system.access().to_filtered_access_set();
        let access = access.combined_access();
        let names = |ids: &mut dyn Iterator<Item = ComponentId>| ids.map(|id| component_name(world, id)).collect();
        let everything = || vec!["the whole world".to_owned()];
        let written = access.writes().as_finite_set();
        let read = access.reads().as_finite_set();
        descriptions.push(SystemDescription {
            name,
            phase,
            layer: None,
            reads: read.map_or_else(Vec::new, |read| {
                names(&mut read.iter().filter(|id| !written.is_some_and(|written| written.contains(*id))))
            }),
            writes: written.map_or_else(everything, |written| names(&mut written.iter())),
        });
    }
    descriptions
}

fn operations(plan: &Plan, pass: Pass, phase: Option<GraphSystems>) -> impl Iterator<Item = SystemDescription> {
    plan.operations(pass).iter().map(move |operation| SystemDescription {
        name: operation.operator.name().to_owned(),
        phase,
        layer: Some(operation.layer),
        reads: operation.inputs.iter().map(|value| plan.name(*value)).collect(),
        writes: operation.outputs.iter().map(|value| plan.name(*value)).collect(),
    })
}

/// The phase of each system, if it has one.
fn phases(schedule: &Schedule) -> HashMap<SystemKey, GraphSystems> {
    let graph = schedule.graph();
    let systems_in = |phase: GraphSystems| graph.systems_in_set(phase.intern()).into_iter().flatten().copied();
    GraphSystems::ALL.into_iter().flat_map(|phase| systems_in(phase).map(move |system| (system, phase))).collect()
}

pub(super) fn component_name(world: &World, id: ComponentId) -> String {
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
