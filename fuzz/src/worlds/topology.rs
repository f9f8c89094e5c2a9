//! The topology of a world against the record, and against one that is derived from nothing.

use bevy_ecs::{entity::Entity, world::World};
use connectome::components::{Adjacency, Graph, Topology};
use connectome::systems::{Scratch, update_topology};

use super::life::Life;

/// Checks the topology of a world that has just taken a step.
pub fn check(life: &mut Life) {
    let Life { world, graph, record, .. } = life;
    let derived = world.get::<Topology>(*graph).expect("graphs have one").clone();
    // An edge without weight counts as one of weight 1.
    let is_row = |entity: &Entity| record.nodes.iter().any(|node| node.entity == *entity && !node.disabled);
    let living = record.edges.iter().filter(|edge| !edge.disabled);
    let mut expected: Vec<[Entity; 3]> = living
        .clone()
        .filter(|edge| is_row(&edge.source) && is_row(&edge.target))
        .map(|edge| [edge.source, edge.target, edge.entity])
        .collect();
    assert_eq!(derived.dangling, living.count() - expected.len(), "dangling edges");
    expected.sort_unstable();
    for (adjacency, is_incoming) in [(&derived.incoming, true), (&derived.outgoing, false)] {
        let mut found = listed(&derived, adjacency, is_incoming);
        found.sort_unstable();
        assert_eq!(found, expected, "edges, incoming: {is_incoming}");
    }
    let weights: Vec<f32> = derived.edges.weights(world).collect();
    for edge in record.edges.iter().filter(|edge| !edge.disabled) {
        let row = derived.edges.entities().iter().position(|entity| *entity == edge.entity).expect("it has a row");
        assert_eq!(weights[row], edge.weight.unwrap_or(1.0), "the weight of {:?}", edge.entity);
    }
    check_from_nothing(world, *graph, &derived);
}

/// Source, target and entity of each entry.
fn listed(topology: &Topology, adjacency: &Adjacency, is_incoming: bool) -> Vec<[Entity; 3]> {
    let nodes = topology.nodes.entities();
    let entry = |row: usize, entry: usize| {
        let (here, there) = (nodes[row], nodes[adjacency.neighbors[entry] as usize]);
        let [source, target] = if is_incoming { [there, here] } else { [here, there] };
        [source, target, topology.edges.entities()[adjacency.edges[entry] as usize]]
    };
    (0..nodes.len()).flat_map(|row| adjacency.entries(row).map(move |index| entry(row, index))).collect()
}

/// Derives the topology of the same entities once more, for a graph that has none yet.
fn check_from_nothing(world: &mut World, graph: Entity, derived: &Topology) {
    let other = *world.get::<Graph>(graph).expect("it is a graph");
    let mut empty = Topology::default();
    derived.normalizations.iter().for_each(|normalization| _ = empty.require(*normalization));
    empty.orders_edges = derived.orders_edges;
    let other = world.spawn((other, empty)).id();
    update_topology(world, other, &mut Scratch::default());
    let found = world.get::<Topology>(other).expect("graphs have one");
    assert_eq!(found.nodes.entities(), derived.nodes.entities(), "rows of nodes");
    assert_eq!(found.edges.entities(), derived.edges.entities(), "rows of edges");
    assert_eq!(found.subgraphs.entities(), derived.subgraphs.entities(), "rows of subgraphs");
    assert_eq!(found.endpoints, derived.endpoints, "endpoints");
    assert_eq!(found.incoming, derived.incoming, "incoming edges");
    assert_eq!(found.outgoing, derived.outgoing, "outgoing edges");
    assert_eq!(found.node_order, derived.node_order, "order of nodes");
    assert_eq!(found.edge_order, derived.edge_order, "order of edges");
    assert_eq!(found.subgraph_order, derived.subgraph_order, "order of subgraphs");
    assert_eq!(found.members, derived.members, "members");
    assert_eq!(found.membership, derived.membership, "memberships");
    world.despawn(other);
}
