//! Colours of a graph of the world.

use bevy_ecs::{change_detection::DetectChangesMut, entity::Entity, system::Local, world::World};
use connectome_components::{Colour, Topology};

use super::refine;
use crate::{Scratch, Workers, algorithms::LabelledGraph, update_topology};

/// What one run of [`refine_colours`] leaves to the next.
#[derive(Default)]
pub struct RefineScratch {
    topology: Scratch,
    /// The version of the topology that the nodes are coloured by.
    version: Option<u64>,
}

/// A system that gives each node of a graph its [`Colour`] when the topology has changed, by the stable refinement of the
/// graph without directions, self-loops and parallel edges, all nodes being alike at first.
///
/// It brings the [`Topology`] up to date as `rebuild_topology` does. Nodes that have no colour yet get the component, which
/// moves them to another place of the world; spawn nodes with `Colour::default()` to spare that.
pub fn refine_colours(graph: Entity) -> impl FnMut(&mut World, Local<RefineScratch>) {
    move |world, mut scratch| {
        let RefineScratch { topology: scratch, version } = &mut *scratch;
        update_topology(world, graph, scratch);
        let Some(topology) = world.get::<Topology>(graph).filter(|topology| Some(topology.version) != *version) else {
            return;
        };
        let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
        let refinement = refine(&[LabelledGraph::of(topology, Vec::new())], None, &workers);
        let colours = refinement.colours.into_iter().flatten().map(Colour);
        let coloured: Vec<(Entity, Colour)> = topology.nodes.entities().iter().copied().zip(colours).collect();
        let mut without = Vec::new();
        for (node, colour) in coloured {
            match world.get_mut::<Colour>(node) {
                Some(mut known) => {
                    known.set_if_neq(colour);
                }
                None => without.push((node, colour)),
            }
        }
        if !without.is_empty() {
            world.insert_batch(without);
            update_topology(world, graph, scratch);
        }
        *version = world.get::<Topology>(graph).map(|topology| topology.version);
    }
}
