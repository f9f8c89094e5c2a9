//! Levels are those of the definition, and a cycle is an error that names one.

use super::{acyclic, common, levels, predecessors};
use bevy_ecs::prelude::*;
use common::{
    Link, Scene,
    differences::{Case, cases},
    few_cases,
};
use connectome_components::{Cycle, Direction, Edge, Graph, GraphNode, Levels, Topology};
use connectome_systems::{
    Infer, ModelBuilder,
    kernels::Activation,
    layers::{BuildError, DagGru, DagNetwork, GcnConv},
    run, update_topology,
};
use proptest::prelude::*;

/// The levels of the graph of a world in a direction.
fn derived(scene: &mut Scene, direction: Direction) -> Levels {
    scene.world.get_mut::<Topology>(scene.graph).unwrap().require_levels(direction);
    update_topology(&mut scene.world, scene.graph, &mut Default::default());
    scene.world.get::<Topology>(scene.graph).unwrap().levels(direction).unwrap().clone()
}

fn rows_by_level(levels: &Levels) -> Vec<Vec<u32>> {
    (0..levels.count()).map(|level| levels.rows[levels.range(level)].to_vec()).collect()
}

/// Whether there is an edge from each node of a cycle to the next, and from the last to the first.
fn is_cycle(case: &Case, nodes: &[usize]) -> bool {
    let next = nodes.iter().cycle().skip(1);
    let has_edge = |from: &usize, to: &usize| case.links.iter().any(|link| link.source == *from && link.target == *to);
    !nodes.is_empty() && nodes.iter().zip(next).all(|(from, to)| has_edge(from, to))
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn levels_are_those_of_the_definition(case in cases().prop_map(acyclic)) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let found = derived(&mut case.scene(), direction);
            let expected = levels(&predecessors(&case, direction));
            let mut rows = vec![Vec::new(); expected.iter().max().map_or(0, |last| last + 1)];
            expected.iter().enumerate().for_each(|(node, level)| rows[*level].push(node as u32));
            prop_assert_eq!(rows_by_level(&found), rows);
            prop_assert!(found.cycle.is_none());
        }
    }

    #[test]
    fn a_cycle_is_found_if_there_is_one(case in cases()) {
        for direction in [Direction::Forward, Direction::Reverse] {
            let mut scene = case.scene();
            let found = derived(&mut scene, direction);
            let levels = levels(&predecessors(&case, direction));
            // Levels rise without end around a cycle.
            let is_cyclic = levels.iter().any(|level| *level >= case.node_count);
            prop_assert_eq!(found.cycle.is_some(), is_cyclic);
            if let Some(Cycle { nodes, length }) = &found.cycle {
                let number = |node: &Entity| scene.nodes.iter().position(|other| other == node).unwrap();
                prop_assert_eq!(nodes.len(), *length);
                prop_assert!(is_cycle(&case, &nodes.iter().map(number).collect::<Vec<_>>()));
                prop_assert!(found.rows.is_empty() && found.count() == 0);
            }
        }
    }
}

fn link(source: usize, target: usize) -> Link {
    Link { source, target, weight: None }
}

#[test]
fn a_cycle_is_an_error_until_it_is_mended() {
    let mut scene = Scene::new(4, &[link(0, 1), link(1, 2), link(2, 3)]);
    let model = ModelBuilder::new(scene.graph).input_width(2).layer(DagGru::new(3)).build(&mut scene.world).unwrap();
    let plain = ModelBuilder::new(scene.graph).input_width(2).layer(GcnConv::new(3)).build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let back = scene.world.spawn(Edge { source: scene.nodes[2], target: scene.nodes[1] }).id();
    let error = run(&mut scene.world, Infer(model)).unwrap_err();
    let BuildError::Cycle { graph, cycle } = &error else { panic!("{error}") };
    assert_eq!((*graph, cycle.length), (scene.graph, 2));
    let [one, other] = [scene.nodes[1], scene.nodes[2]];
    let message = error.to_string();
    let cycles = [format!("{one} -> {other} -> {one}"), format!("{other} -> {one} -> {other}")];
    assert!(cycles.iter().any(|cycle| message.contains(cycle)) && message.contains("remove"), "{message}");
    // It is of no concern to layers that do not pass through levels.
    run(&mut scene.world, Infer(plain)).unwrap();
    scene.world.despawn(back);
    run(&mut scene.world, Infer(model)).unwrap();
    let own = scene.world.spawn(Edge { source: one, target: one }).id();
    let error = run(&mut scene.world, Infer(model)).unwrap_err();
    assert!(error.to_string().contains(&format!("{one} -> {one}")), "{error}");
    *scene.world.get_mut::<Edge>(own).unwrap() = Edge { source: one, target: other };
    run(&mut scene.world, Infer(model)).unwrap();
}

#[test]
fn of_a_long_cycle_some_nodes_are_named() {
    let links: Vec<Link> = (0..100).map(|node| link(node, (node + 1) % 100)).collect();
    let mut scene = Scene::new(100, &links);
    let layer = DagNetwork::new(Activation::Tanh);
    let model = ModelBuilder::new(scene.graph).input_width(1).layer(layer).build(&mut scene.world).unwrap();
    let message = run(&mut scene.world, Infer(model)).unwrap_err().to_string();
    assert!(message.contains("... (100 nodes)") && message.len() < 400, "{message}");
}

#[test]
fn graphs_without_nodes_or_edges_are_networks_too() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let layer = DagGru { bidirectional: true, ..DagGru::new(3) };
    let builder = ModelBuilder::new(graph).input_width(2).layer(layer).layer(DagNetwork::new(Activation::Relu));
    let model = builder.build(&mut world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    let [source, target] = [(); 2].map(|()| world.spawn(GraphNode).id());
    run(&mut world, Infer(model)).unwrap();
    world.spawn(Edge { source, target });
    // Dangling edges do not count.
    world.spawn(Edge { source: target, target: graph });
    run(&mut world, Infer(model)).unwrap();
}
