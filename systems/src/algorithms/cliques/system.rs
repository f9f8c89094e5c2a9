//! Systems that search for cliques.

use bevy_ecs::{entity::Entity, relationship::RelationshipTarget, world::World};
use connectome_components::{Clique, CliqueOf, CliqueSearch, CliquesOf, Topology};
use core::time::Duration;

use super::{CliqueKind, Cliques, Limits, list_cliques, maximum_clique};
use crate::{algorithms::SimpleGraph, parallel::Workers};

/// A system that spawns the cliques of a kind in a graph within `limits`, as entities with [`Clique`] and [`CliqueOf`]
/// the graph, in the order of the search, and inserts a [`CliqueSearch`] into the graph.
///
/// It reads the graph's [`Topology`], so run it after `rebuild_topology`, and uses the [`Workers`] of the world. If the
/// topology has not changed, it does nothing; otherwise it despawns the previous cliques, so add only one such system
/// to a graph.
pub fn find_cliques(graph: Entity, kind: CliqueKind, limits: Limits) -> impl FnMut(&mut World) {
    move |world| update_cliques(world, graph, |simple, workers| list_cliques(simple, kind, workers, limits))
}

/// As [`find_cliques`], for one clique of maximum size; see [`maximum_clique`].
pub fn find_maximum_clique(graph: Entity, time: Option<Duration>) -> impl FnMut(&mut World) {
    move |world| {
        update_cliques(world, graph, |simple, workers| {
            let largest = maximum_clique(simple, workers, time);
            let mut cliques = Cliques::default();
            if let Some((first, others)) = largest.nodes.split_first() {
                cliques.push(*first, |nodes| nodes.extend_from_slice(others));
            }
            cliques.completeness = largest.completeness;
            cliques
        });
    }
}

/// Replaces the cliques of a graph if its topology has changed.
fn update_cliques(world: &mut World, graph: Entity, search: impl FnOnce(&SimpleGraph, &Workers) -> Cliques) {
    let Some(topology) = world.get::<Topology>(graph) else { return };
    let version = topology.version;
    if world.get::<CliqueSearch>(graph).is_some_and(|search| search.version == version) {
        return;
    }
    let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
    let found = search(&SimpleGraph::of(topology), &workers);
    let entities = topology.nodes.entities();
    let entity = |row: &u32| entities[*row as usize];
    let cliques: Vec<Clique> = found.iter().map(|rows| Clique { nodes: rows.iter().map(entity).collect() }).collect();
    let before: Vec<Entity> = world.get::<CliquesOf>(graph).map_or(Vec::new(), |cliques| cliques.iter().collect());
    // In reverse, because bevy searches the list of related entities from its end.
    before.into_iter().rev().for_each(|clique| _ = world.despawn(clique));
    let is_complete = found.completeness().is_complete();
    world.entity_mut(graph).insert(CliqueSearch { version, count: cliques.len(), is_complete });
    world.spawn_batch(cliques.into_iter().map(|clique| (clique, CliqueOf(graph))));
    world.flush();
}
