//! Cliques as entities of a live world: they follow its edges, and go with the graph.

use bevy_ecs::{prelude::*, relationship::RelationshipTarget, schedule::ScheduleLabel};
use connectome_components::{Clique, CliqueOf, CliqueSearch, CliquesOf, Edge, Graph, GraphNode, Topology};
use connectome_systems::{
    Workers,
    algorithms::cliques::{CliqueKind, Limits, find_cliques, find_maximum_clique},
    rebuild_topology,
};

#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tick;

/// Four nodes of which the first three are joined, one edge in both directions, and one edge leads nowhere.
fn world() -> (World, Entity, [Entity; 4]) {
    let mut world = World::new();
    world.insert_resource(Workers::new(2).unwrap_or_default());
    let graph = Graph::spawn(&mut world);
    let [a, b, c, d] = core::array::from_fn(|_| world.spawn(GraphNode).id());
    let nowhere = world.spawn_empty().id();
    for [source, target] in [[a, b], [b, a], [c, b], [c, a], [d, nowhere]] {
        world.spawn(Edge { source, target });
    }
    (world, graph, [a, b, c, d])
}

/// The nodes of each clique of the graph, sorted.
fn cliques(world: &World, graph: Entity) -> Vec<Vec<Entity>> {
    let of_graph = world.get::<CliquesOf>(graph).map_or(Vec::new(), |cliques| cliques.iter().collect());
    let nodes = |clique: &Entity| {
        assert_eq!(world.get::<CliqueOf>(*clique), Some(&CliqueOf(graph)));
        world.get::<Clique>(*clique).map(|clique| clique.nodes.clone()).unwrap_or_default()
    };
    let mut found: Vec<Vec<Entity>> = of_graph.iter().map(nodes).collect();
    found.sort_by_key(|nodes| nodes.iter().map(|node| node.index_u32()).collect::<Vec<_>>());
    found
}

#[test]
fn cliques_follow_the_edges_and_go_with_the_graph() {
    let (mut world, graph, [a, b, c, d]) = world();
    let mut schedule = Schedule::new(Tick);
    schedule
        .add_systems((rebuild_topology(graph), find_cliques(graph, CliqueKind::maximal(), Limits::default())).chain());
    schedule.run(&mut world);
    assert_eq!(cliques(&world, graph), [vec![a, b, c], vec![d]]);
    let census = world.get::<CliqueSearch>(graph).copied();
    let version = world.get::<Topology>(graph).map_or(0, |topology| topology.version);
    assert_eq!(census, Some(CliqueSearch { version, count: 2, is_complete: true }));

    // Nothing changes, so the entities stay the same.
    let before = world.get::<CliquesOf>(graph).cloned();
    schedule.run(&mut world);
    assert_eq!(world.get::<CliquesOf>(graph).cloned(), before);

    world.spawn(Edge { source: d, target: a });
    world.despawn(c);
    schedule.run(&mut world);
    assert_eq!(cliques(&world, graph), [vec![a, b], vec![a, d]]);
    assert_eq!(world.query::<&Clique>().iter(&world).count(), 2, "the old ones are gone");

    world.despawn(graph);
    assert_eq!(world.query::<&Clique>().iter(&world).count(), 0);
    // The system of a graph that is gone has nothing to do.
    schedule.run(&mut world);
}

#[test]
fn the_census_says_what_was_cut_and_a_largest_clique_is_one() {
    let (mut world, graph, [a, b, c, _]) = world();
    let mut schedule = Schedule::new(Tick);
    let limits = Limits { max_count: Some(1), ..Limits::default() };
    schedule.add_systems((rebuild_topology(graph), find_cliques(graph, CliqueKind::maximal(), limits)).chain());
    schedule.run(&mut world);
    let found = world.get::<CliqueSearch>(graph).map(|census| (census.count, census.is_complete));
    assert_eq!((found, cliques(&world, graph).len()), (Some((1, false)), 1));

    let mut schedule = Schedule::new(Tick);
    schedule.add_systems((rebuild_topology(graph), find_maximum_clique(graph, None)).chain());
    world.spawn(GraphNode);
    schedule.run(&mut world);
    assert_eq!(cliques(&world, graph), [vec![a, b, c]]);
    assert!(world.get::<CliqueSearch>(graph).is_some_and(|census| census.is_complete));
}
