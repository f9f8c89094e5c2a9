//! Comparisons of graphs of the world, kept up to date.

use std::collections::HashMap;

use bevy_ecs::{entity::Entity, error::BevyError, system::Local, world::World};
use connectome_components::{Comparison, EditDistance, Label, Rows, Topology};

use super::{EditCosts, EditEffort, EditError, LabelledGraph, edit_distance};
use crate::Workers;

/// What was compared last, so that only what has changed is compared again.
#[derive(Default)]
pub struct Compared {
    graphs: HashMap<Entity, Seen>,
    /// For each [`Comparison`] the graphs as they were: entities, and how often they had changed.
    comparisons: HashMap<Entity, [(Entity, u64); 2]>,
}

/// A graph as it was seen last.
struct Seen {
    /// Of its topology.
    version: u64,
    labels: Vec<u32>,
    edge_labels: Vec<u32>,
    graph: LabelledGraph,
    /// How often it has changed.
    changes: u64,
}

/// A system that brings the [`EditDistance`] of each [`Comparison`] up to date; see [`update_edit_distances`]. It stands
/// after those that derive the topologies.
pub fn compare_graphs(
    costs: EditCosts,
    effort: EditEffort,
) -> impl FnMut(&mut World, Local<Compared>) -> Result<(), BevyError> {
    move |world, mut compared| Ok(update_edit_distances(world, &costs, effort, &mut compared)?)
}

/// Compares the graphs of each [`Comparison`] where that is new, or the [`Topology`] or a [`Label`] of one of them has
/// changed, and writes the [`EditDistance`] beside it; several side by side, by the [`Workers`] of the world.
///
/// The labels are those of nodes and of edges; 0 where there is none. Directions, self-loops and all but the first of
/// parallel edges are left out. Where a graph is gone, so is the distance.
///
/// # Errors
/// If two graphs cannot be compared (see [`edit_distance`]); their old distance is taken away.
pub fn update_edit_distances(
    world: &mut World,
    costs: &EditCosts,
    effort: EditEffort,
    compared: &mut Compared,
) -> Result<(), EditError> {
    let mut comparisons = world.query::<(Entity, &Comparison, Option<&EditDistance>)>();
    let comparisons: Vec<(Entity, [Entity; 2], bool)> =
        comparisons.iter(world).map(|(entity, comparison, old)| (entity, comparison.graphs, old.is_some())).collect();
    let mut wanted: Vec<Entity> = comparisons.iter().flat_map(|(_, graphs, _)| *graphs).collect();
    wanted.sort_unstable();
    wanted.dedup();
    compared.graphs.retain(|graph, _| wanted.binary_search(graph).is_ok() && world.get::<Topology>(*graph).is_some());
    for graph in wanted {
        if let Some(topology) = world.get::<Topology>(graph) {
            look_at(world, topology, graph, &mut compared.graphs);
        }
    }

    let mut stale = Vec::new();
    let mut states = HashMap::new();
    for (entity, graphs, has_distance) in comparisons {
        let state = graphs.map(|graph| compared.graphs.get(&graph).map(|seen| (graph, seen.changes)));
        let [Some(first), Some(second)] = state else {
            world.entity_mut(entity).remove::<EditDistance>();
            continue;
        };
        let state = [first, second];
        if !has_distance || compared.comparisons.get(&entity) != Some(&state) {
            stale.push((entity, graphs));
        }
        states.insert(entity, state);
    }
    compared.comparisons = states;

    let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
    let one = Workers::one();
    let of_each = if stale.len() == 1 { &workers } else { &one };
    let compare = |place: usize| {
        let [first, second] = stale[place].1.map(|graph| &compared.graphs[&graph].graph);
        edit_distance(first, second, costs, effort, of_each)
    };
    let found = workers.map(stale.len(), compare);
    let mut problem = None;
    for ((entity, _), found) in stale.into_iter().zip(found) {
        let mut entity = world.entity_mut(entity);
        match found {
            Ok(found) => {
                entity.insert(EditDistance { lower: found.lower, upper: found.upper });
            }
            Err(error) => {
                entity.remove::<EditDistance>();
                problem = problem.or(Some(error));
            }
        }
    }
    problem.map_or(Ok(()), Err)
}

/// Takes a graph of the world, if it is not what it was.
fn look_at(world: &World, topology: &Topology, entity: Entity, graphs: &mut HashMap<Entity, Seen>) {
    let labels = labels(world, &topology.nodes);
    let edge_labels = self::labels(world, &topology.edges);
    let old = graphs.get(&entity);
    let is_old =
        |seen: &Seen| seen.version == topology.version && seen.labels == labels && seen.edge_labels == edge_labels;
    if old.is_some_and(is_old) {
        return;
    }
    let changes = old.map_or(0, |seen| seen.changes + 1);
    // Dangling edges end at no node, and are passed over.
    let edges = topology.ends.iter().copied().zip(edge_labels.iter().copied());
    let graph = LabelledGraph::new(labels.clone(), edges);
    graphs.insert(entity, Seen { version: topology.version, labels, edge_labels, graph, changes });
}

/// The label of each row, or 0.
fn labels(world: &World, rows: &Rows) -> Vec<u32> {
    let mut labels = vec![0; rows.len()];
    for (rows, found) in rows.components::<Label>(world) {
        labels[rows].iter_mut().zip(found).for_each(|(label, found)| *label = found.0);
    }
    labels
}
