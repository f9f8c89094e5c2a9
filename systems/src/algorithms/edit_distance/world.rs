//! Systems that compare graphs of the world.

use std::collections::HashMap;

use bevy_ecs::{component::Component, entity::Entity, error::BevyError, system::Local, world::World};
use connectome_components::{ClassLabel, EdgeKind, EditDistance, GraphPair, Rows, Topology};

use super::{EditCosts, EditError, LabeledGraph, SearchBudget, edit_distance};
use crate::parallel::Workers;

/// The graphs of the last comparison, so that only changed ones are compared again.
#[derive(Default)]
pub struct Compared {
    graphs: HashMap<Entity, Seen>,
    /// For each [`GraphPair`] the entities of its graphs, and how often each had changed.
    comparisons: HashMap<Entity, [(Entity, u64); 2]>,
}

/// A graph at its last comparison.
struct Seen {
    /// The version of its topology.
    version: u64,
    labels: Vec<u32>,
    edge_labels: Vec<u32>,
    graph: LabeledGraph,
    /// How often it has changed.
    changes: u64,
}

/// A system that updates the [`EditDistance`] of each [`GraphPair`]; see [`update_edit_distances`]. Run it after the
/// systems that derive the topologies.
pub fn compare_graphs(
    costs: EditCosts,
    budget: SearchBudget,
) -> impl FnMut(&mut World, Local<Compared>) -> Result<(), BevyError> {
    move |world, mut compared| Ok(update_edit_distances(world, &costs, budget, &mut compared)?)
}

/// Compares the graphs of each [`GraphPair`] that is new or whose graphs have changed, in parallel by the [`Workers`]
/// of the world, and inserts the [`EditDistance`] beside it. A graph has changed if its [`Topology`], a [`ClassLabel`]
/// or an [`EdgeKind`] has.
///
/// The labels are the [`ClassLabel`]s of nodes and the [`EdgeKind`]s of edges; what has none is of a kind of its own,
/// [`LabeledGraph::NO_LABEL`]. Directions, self-loops and all but the first of parallel edges are ignored. If a graph was
/// despawned, the distance is removed.
///
/// # Errors
/// If two graphs cannot be compared (see [`edit_distance`]); their previous distance is removed.
pub fn update_edit_distances(
    world: &mut World,
    costs: &EditCosts,
    budget: SearchBudget,
    compared: &mut Compared,
) -> Result<(), EditError> {
    let mut comparisons = world.query::<(Entity, &GraphPair, Option<&EditDistance>)>();
    let comparisons: Vec<(Entity, [Entity; 2], bool)> =
        comparisons.iter(world).map(|(entity, comparison, old)| (entity, comparison.graphs, old.is_some())).collect();
    let mut graphs: Vec<Entity> = comparisons.iter().flat_map(|(_, graphs, _)| *graphs).collect();
    graphs.sort_unstable();
    graphs.dedup();
    compared.graphs.retain(|graph, _| graphs.binary_search(graph).is_ok() && world.get::<Topology>(*graph).is_some());
    for graph in graphs {
        if let Some(topology) = world.get::<Topology>(graph) {
            update_graph(world, topology, graph, &mut compared.graphs);
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
    let compare = |index: usize| {
        let [first, second] = stale[index].1.map(|graph| &compared.graphs[&graph].graph);
        edit_distance(first, second, costs, budget, of_each)
    };
    let found = workers.map(stale.len(), compare);
    let mut first_error = None;
    for ((entity, _), found) in stale.into_iter().zip(found) {
        let mut entity = world.entity_mut(entity);
        match found {
            Ok(found) => {
                entity.insert(EditDistance { lower: found.lower, upper: found.upper });
            }
            Err(error) => {
                entity.remove::<EditDistance>();
                first_error = first_error.or(Some(error));
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Reads a graph of the world if it has changed.
fn update_graph(world: &World, topology: &Topology, entity: Entity, graphs: &mut HashMap<Entity, Seen>) {
    let [labels, edge_labels] = labels_of(world, topology);
    let old = graphs.get(&entity);
    let is_old =
        |seen: &Seen| seen.version == topology.version && seen.labels == labels && seen.edge_labels == edge_labels;
    if old.is_some_and(is_old) {
        return;
    }
    let changes = old.map_or(0, |seen| seen.changes + 1);
    let graph = labeled(topology, labels.clone(), &edge_labels);
    graphs.insert(entity, Seen { version: topology.version, labels, edge_labels, graph, changes });
}

/// A graph of the world with the [`ClassLabel`]s of its nodes and the [`EdgeKind`]s of its edges, its nodes in the order
/// of the rows of its [`Topology`]; none without a topology. What has no label has [`LabeledGraph::NO_LABEL`].
///
/// Directions, self-loops, dangling edges and all but the first of parallel edges are left out.
pub fn labeled_graph(world: &World, graph: Entity) -> Option<LabeledGraph> {
    let topology = world.get::<Topology>(graph)?;
    let [labels, edge_labels] = labels_of(world, topology);
    Some(labeled(topology, labels, &edge_labels))
}

/// The labels of nodes and those of edges.
fn labels_of(world: &World, topology: &Topology) -> [Vec<u32>; 2] {
    [
        read_labels::<ClassLabel>(world, &topology.nodes, |label| label.0),
        read_labels::<EdgeKind>(world, &topology.edges, |kind| kind.0),
    ]
}

fn labeled(topology: &Topology, labels: Vec<u32>, edge_labels: &[u32]) -> LabeledGraph {
    // `LabeledGraph::new` skips dangling edges, whose endpoints are no nodes.
    LabeledGraph::new(labels, topology.endpoints_within().iter().copied().zip(edge_labels.iter().copied()))
}

/// The label of each row by a component `T`; [`LabeledGraph::NO_LABEL`] for rows without it.
fn read_labels<T: Component>(world: &World, rows: &Rows, label: fn(&T) -> u32) -> Vec<u32> {
    let mut labels = vec![LabeledGraph::NO_LABEL; rows.len()];
    for (rows, components) in rows.components::<T>(world) {
        labels[rows].iter_mut().zip(components).for_each(|(to, component)| *to = label(component));
    }
    labels
}
