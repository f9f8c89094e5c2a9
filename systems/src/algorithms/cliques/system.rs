//! Cliques in the world.

use bevy_ecs::{entity::Entity, relationship::RelationshipTarget, world::World};
use connectome_components::{Clique, CliqueOf, CliqueSearch, CliquesOf, Topology};
use core::time::Duration;

use super::{CliqueKind, Cliques, Limits, list_cliques, maximum_clique};
use crate::{algorithms::SimpleGraph, parallel::Workers};

/// A system that spawns a [`Clique`] for each of a kind in a graph, as far as `limits` allow, in the order of the search,
/// with [`CliqueOf`] the graph; the graph gets a [`CliqueSearch`].
///
/// It reads the graph's [`Topology`], so it comes after `rebuild_topology`, and is computed by the [`Workers`] of the world.
/// Where the topology has not changed since nothing is done; else what was found before is despawned. So a graph is to have
/// one such system.
pub fn find_cliques(graph: Entity, kind: CliqueKind, limits: Limits) -> impl FnMut(&mut World) {
    move |world| renew(world, graph, |simple, workers| list_cliques(simple, kind, workers, limits))
}

/// The same for a largest clique of the graph; see [`maximum_clique`].
pub fn find_maximum_clique(graph: Entity, time: Option<Duration>) -> impl FnMut(&mut World) {
    move |world| {
        renew(world, graph, |simple, workers| {
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
fn renew(world: &mut World, graph: Entity, search: impl FnOnce(&SimpleGraph, &Workers) -> Cliques) {
    let Some(topology) = world.get::<Topology>(graph) else { return };
    let version = topology.version;
    if world.get::<CliqueSearch>(graph).is_some_and(|census| census.version == version) {
        return;
    }
    let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
    let found = search(&SimpleGraph::of(topology), &workers);
    let entities = topology.nodes.entities();
    let entity = |row: &u32| entities[*row as usize];
    let cliques: Vec<Clique> = found.iter().map(|rows| Clique { nodes: rows.iter().map(entity).collect() }).collect();
    let before: Vec<Entity> = world.get::<CliquesOf>(graph).map_or(Vec::new(), |cliques| cliques.iter().collect());
    // The list of them is searched from its end.
    before.into_iter().rev().for_each(|clique| _ = world.despawn(clique));
    let census = CliqueSearch { version, count: cliques.len(), is_complete: found.completeness().is_complete() };
    world.entity_mut(graph).insert(census);
    world.spawn_batch(cliques.into_iter().map(|clique| (clique, CliqueOf(graph))));
    world.flush();
}
