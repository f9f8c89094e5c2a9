//! Comparisons of graphs of the world, kept up to date.

use std::collections::HashMap;

use bevy_ecs::{component::Component, entity::Entity, error::BevyError, system::Local, world::World};
use connectome_components::{ClassLabel, EdgeKind, EditDistance, GraphPair, Rows, Topology};

use super::{EditCosts, EditError, LabeledGraph, SearchBudget, edit_distance};
use crate::parallel::Workers;

/// What was compared last, so that only what has changed is compared again.
#[derive(Default)]
pub struct Compared {
    graphs: HashMap<Entity, Seen>,
    /// For each [`GraphPair`] the graphs as they were: entities, and how often they had changed.
    comparisons: HashMap<Entity, [(Entity, u64); 2]>,
}

/// A graph as it was seen last.
struct Seen {
    /// Of its topology.
    version: u64,
    labels: Vec<u32>,
    edge_labels: Vec<u32>,
    graph: LabeledGraph,
    /// How often it has changed.
    changes: u64,
}

/// A system that brings the [`EditDistance`] of each [`GraphPair`] up to date; see [`update_edit_distances`]. It stands
/// after those that derive the topologies.
pub fn compare_graphs(
    costs: EditCosts,
    budget: SearchBudget,
) -> impl FnMut(&mut World, Local<Compared>) -> Result<(), BevyError> {
    move |world, mut compared| Ok(update_edit_distances(world, &costs, budget, &mut compared)?)
}

/// Compares the graphs of each [`GraphPair`] where that is new, or the [`Topology`] or a [`ClassLabel`] or [`EdgeKind`] of one of them has
/// changed, and writes the [`EditDistance`] beside it; several side by side, by the [`Workers`] of the world.
///
/// The labels are the [`ClassLabel`]s of nodes and the [`EdgeKind`]s of edges; 0 where there is none. Directions, self-loops and all but the first of
/// parallel edges are left out. Where a graph is gone, so is the distance.
///
/// # Errors
/// If two graphs cannot be compared (see [`edit_distance`]); their old distance is taken away.
pub fn update_edit_distances(
    world: &mut World,
    costs: &EditCosts,
    budget: SearchBudget,
    compared: &mut Compared,
) -> Result<(), EditError> {
    let mut comparisons = world.query::<(Entity, &GraphPair, Option<&EditDistance>)>();
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
    let one = Workers::single();
    let of_each = if stale.len() == 1 { &workers } else { &one };
    let compare = |place: usize| {
        let [first, second] = stale[place].1.map(|graph| &compared.graphs[&graph].graph);
        edit_distance(first, second, costs, budget, of_each)
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
    let labels = numbers::<ClassLabel>(world, &topology.nodes, |label| label.0);
    let edge_labels = numbers::<EdgeKind>(world, &topology.edges, |kind| kind.0);
    let old = graphs.get(&entity);
    let is_old =
        |seen: &Seen| seen.version == topology.version && seen.labels == labels && seen.edge_labels == edge_labels;
    if old.is_some_and(is_old) {
        return;
    }
    let changes = old.map_or(0, |seen| seen.changes + 1);
    // Dangling edges end at no node, and are passed over.
    let edges = topology.endpoints.iter().copied().zip(edge_labels.iter().copied());
    let graph = LabeledGraph::new(labels.clone(), edges);
    graphs.insert(entity, Seen { version: topology.version, labels, edge_labels, graph, changes });
}

/// The number that a component gives each row, or 0.
fn numbers<T: Component>(world: &World, rows: &Rows, number: fn(&T) -> u32) -> Vec<u32> {
    let mut numbers = vec![0; rows.len()];
    for (rows, found) in rows.components::<T>(world) {
        numbers[rows].iter_mut().zip(found).for_each(|(to, found)| *to = number(found));
    }
    numbers
}
