//! A system that refines the colors of a graph.

use bevy_ecs::{change_detection::DetectChangesMut, entity::Entity, system::Local, world::World};
use connectome_components::{NodeColor, Topology};

use super::refine;
use crate::{
    algorithms::LabeledGraph,
    parallel::Workers,
    topology::{Scratch, update_topology},
};

/// The state of [`refine_colors`] between runs.
#[derive(Default)]
pub struct RefineScratch {
    topology: Scratch,
    /// The version of the topology that the nodes are colored by.
    version: Option<u64>,
}

/// A system that updates the [`NodeColor`] of each node of a graph when the topology has changed: the stable refinement
/// of the graph without directions, self-loops and parallel edges, starting from one color for all nodes.
///
/// It updates the [`Topology`] as `rebuild_topology` does. Inserting the component into nodes without one moves them to
/// another table; spawn nodes with `NodeColor::default()` to avoid that.
pub fn refine_colors(graph: Entity) -> impl FnMut(&mut World, Local<RefineScratch>) {
    move |world, mut scratch| {
        let RefineScratch { topology: scratch, version } = &mut *scratch;
        update_topology(world, graph, scratch);
        let Some(topology) = world.get::<Topology>(graph).filter(|topology| Some(topology.version) != *version) else {
            return;
        };
        let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
        let refinement = refine(&[LabeledGraph::of(topology, Vec::new())], None, &workers);
        let colors = refinement.colors.into_iter().flatten().map(NodeColor);
        let colored: Vec<(Entity, NodeColor)> = topology.nodes.entities().iter().copied().zip(colors).collect();
        let mut without = Vec::new();
        for (node, color) in colored {
            match world.get_mut::<NodeColor>(node) {
                Some(mut known) => {
                    known.set_if_neq(color);
                }
                None => without.push((node, color)),
            }
        }
        if !without.is_empty() {
            world.insert_batch(without);
            update_topology(world, graph, scratch);
        }
        *version = world.get::<Topology>(graph).map(|topology| topology.version);
    }
}
