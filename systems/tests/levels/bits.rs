//! The same bits whether levels are narrow or wide, in whatever tables and order the nodes are, and for any workers.

use super::common;
use bevy_ecs::{prelude::*, system::SystemParamBuilder};
use connectome_components::{ColumnMut, Edge, Field, Graph, GraphKey, GraphNode, Model, Parameter, Topology};
use connectome_systems::{
    GraphSystems, Infer, ModelBuilder, Train, Workers, add_systems,
    kernels::Activation,
    layers::{DagAggregation, DagGru, DagNetwork, Layer, Mlp, TreeLevels},
    random::Philox,
    run,
};
use std::collections::BTreeMap;

const WIDTH: usize = 9;

#[derive(Component)]
struct Marked;

/// A graph by the numbers of its nodes, and for each edge the place of the child.
#[derive(Clone)]
struct Plan {
    nodes: usize,
    edges: Vec<([usize; 2], f32)>,
}

impl Plan {
    /// Binary trees with numbers from the leaves on, all leaves of the first before those of the second.
    fn trees(count: usize, depth: usize) -> Self {
        let (mut edges, mut start, mut width) = (Vec::new(), 0, 1 << depth);
        while width > 1 {
            let next = start + count * width;
            for child in 0..count * width {
                edges.push(([start + child, next + child / 2], (child % 2) as f32));
            }
            (start, width) = (next, width / 2);
        }
        Self { nodes: start + count, edges }
    }

    /// Random edges from lower to higher layers of the nodes, of which one layer follows another.
    fn layers(layers: usize, width: usize, edges: usize) -> Self {
        let mut numbers = vec![0.0; 4 * edges];
        Philox::new(3, 1, 0).fill_uniform(&mut numbers);
        let edges = numbers.chunks_exact(4).enumerate().map(|(edge, numbers)| {
            let below = |number: f32, end: usize| ((number * end as f32) as usize).min(end - 1);
            let to = 1 + below(numbers[0], layers - 1);
            let from = below(numbers[1], to);
            let node = |layer: usize, number: f32| layer * width + below(number, width);
            ([node(from, numbers[2]), node(to, numbers[3])], (edge % 3) as f32)
        });
        Self { nodes: layers * width, edges: edges.collect() }
    }
}

/// What a world has been through.
#[derive(Clone, Copy, Default)]
struct History {
    /// Nodes and edges are spawned in the opposite order, with the keys that they would have had.
    backward: bool,
    /// Some nodes are in another table.
    marked: bool,
    /// Some edges were despawned and spawned again, after a run.
    respawned: bool,
}

/// Output, gradient with respect to the input, and those with respect to the parameters, as bits; rows by number.
type Found = (Vec<Vec<u32>>, Vec<Vec<u32>>, BTreeMap<String, Vec<u32>>);

fn row_of(seed: u64, number: usize, width: usize) -> Vec<f32> {
    let mut row = vec![0.0; width];
    Philox::new(seed, 2, number as u64).fill_uniform(&mut row);
    row.iter_mut().for_each(|value| *value -= 0.5);
    row
}

/// Runs a layer; rows of inputs and cotangents are those of `number(node)`.
fn found(
    plan: &Plan,
    layer: impl Layer + 'static,
    history: History,
    workers: usize,
    number: impl Fn(usize) -> usize,
) -> Found {
    let mut world = World::new();
    world.insert_resource(Workers::new(workers).unwrap());
    let graph = Graph::spawn(&mut world);
    let order = |count: usize| -> Vec<usize> {
        if history.backward { (0..count).rev().collect() } else { (0..count).collect() }
    };
    let mut nodes = vec![Entity::PLACEHOLDER; plan.nodes];
    for node in order(plan.nodes) {
        nodes[node] = world.spawn((GraphNode, GraphKey::new(node as u64))).id();
    }
    let mut edges = vec![Entity::PLACEHOLDER; plan.edges.len()];
    let spawn = |world: &mut World, edge: usize| {
        let ([source, target], _) = plan.edges[edge];
        let key = GraphKey::new(edge as u64);
        world.spawn((Edge { source: nodes[source], target: nodes[target] }, key)).id()
    };
    for edge in order(plan.edges.len()) {
        edges[edge] = spawn(&mut world, edge);
    }
    let [on_nodes, on_edges] = [world.register_component::<GraphNode>(), world.register_component::<Edge>()];
    let input = Field::register(&mut world, "input", on_nodes, WIDTH).unwrap();
    let gradient = Field::register(&mut world, "gradient", on_nodes, WIDTH).unwrap();
    let places = Field::register(&mut world, "place", on_edges, 1).unwrap();
    let builder = ModelBuilder::new(graph).input(input).edge_input(places).input_gradient(input, gradient).seed(4);
    let model = builder.layer(layer).external_gradient().optimizer(common::STANDSTILL).build(&mut world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    if history.respawned {
        for edge in (0..edges.len()).step_by(7) {
            world.despawn(edges[edge]);
            edges[edge] = spawn(&mut world, edge);
        }
    }
    if history.marked {
        for node in nodes.iter().step_by(5) {
            world.entity_mut(*node).insert(Marked);
        }
    }
    run(&mut world, Infer(model)).unwrap();
    for (node, entity) in nodes.iter().enumerate() {
        input.set(&mut world, *entity, &row_of(1, number(node), WIDTH)).unwrap();
    }
    for (edge, entity) in edges.iter().enumerate() {
        places.set(&mut world, *entity, &[plan.edges[edge].1]).unwrap();
    }
    let &Model { output, output_gradient: Some(to), .. } = world.get::<Model>(model).unwrap() else { panic!() };
    // In the order of the rows.
    let rows = world.get::<Topology>(graph).unwrap().nodes.entities().iter();
    let node = |entity: &Entity| world.get::<GraphKey>(*entity).unwrap().given().unwrap() as usize;
    let cotangents: Vec<Vec<f32>> = rows.map(|entity| row_of(2, number(node(entity)), to.width())).collect();
    let seed = (to.write(),).build_state(&mut world).build_system(move |mut to: ColumnMut| {
        to.matrix().rows_mut().zip(&cotangents).for_each(|(to, row)| to.copy_from_slice(row));
    });
    add_systems(&mut world, Train(model), seed.in_set(GraphSystems::Loss)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    let bits = |world: &World, field: Field| -> Vec<Vec<u32>> {
        let row = |node: &Entity| field.get(world, *node).unwrap().iter().map(|value| value.to_bits()).collect();
        nodes.iter().map(row).collect()
    };
    let outputs = bits(&world, output);
    run(&mut world, Train(model)).unwrap();
    let parameters = world.get::<Model>(model).unwrap().parameters.clone();
    let parameters = parameters.iter().map(|entity| {
        let parameter = world.get::<Parameter>(*entity).unwrap();
        let gradient = parameter.gradient.unwrap().get(&world, *entity).unwrap();
        (parameter.name.clone(), gradient.iter().map(|value| value.to_bits()).collect())
    });
    let parameters = parameters.collect();
    (outputs, bits(&world, gradient), parameters)
}

/// Every kind of pass.
fn layers() -> Vec<Box<dyn Layer>> {
    let gru = |aggregation| DagGru { bidirectional: true, ..DagGru::new(WIDTH).with_aggregation(aggregation) };
    vec![
        Box::new(DagNetwork { bidirectional: true, ..DagNetwork::new(Activation::Tanh).with_edge_features() }),
        Box::new(gru(DagAggregation::Sum)),
        Box::new(gru(DagAggregation::Gated)),
        Box::new(gru(DagAggregation::Attention)),
        Box::new(TreeLevels::new(Mlp::new([11, WIDTH]), 2)),
    ]
}

fn assert_same(what: &str, found: &Found, expected: &Found) {
    assert!(found.0 == expected.0, "{what}: outputs differ");
    assert!(found.1 == expected.1, "{what}: gradients with respect to the input differ");
    assert!(found.2 == expected.2, "{what}: gradients with respect to parameters differ");
    let finite = |bits: &u32| f32::from_bits(*bits).is_finite();
    assert!(expected.0.iter().flatten().all(finite) && expected.1.iter().flatten().all(finite), "{what}");
}

#[test]
fn workers_do_not_matter() {
    let plan = Plan::layers(4, 600, 4_000);
    for index in 0..layers().len() {
        let of = |workers, history| found(&plan, layers().swap_remove(index), history, workers, |node| node);
        let expected = of(1, History::default());
        assert!(expected.1.iter().flatten().any(|bits| *bits != 0), "layer {index} has no gradient");
        for workers in [1, 2, 3, 8] {
            assert_same(&format!("layer {index}, {workers} workers"), &of(workers, History::default()), &expected);
        }
    }
}

#[test]
fn histories_do_not_matter() {
    let plan = Plan::layers(4, 600, 4_000);
    for index in 0..layers().len() {
        let of = |history| found(&plan, layers().swap_remove(index), history, 2, |node| node);
        let expected = of(History::default());
        let marked = History { marked: true, ..History::default() };
        let histories = [
            ("other tables", marked),
            ("spawned backward", History { backward: true, ..History::default() }),
            ("edges again", History { respawned: true, ..History::default() }),
            ("all of it", History { backward: true, respawned: true, ..marked }),
        ];
        for (name, history) in histories {
            assert_same(&format!("layer {index}, {name}"), &of(history), &expected);
        }
    }
}

/// A level of a single tree is narrow, the same level of many trees is wide.
#[test]
fn trees_of_a_batch_share_their_levels() {
    const COUNT: usize = 200;
    let (one, many) = (Plan::trees(1, 3), Plan::trees(COUNT, 3));
    // The number of a node within its tree, of which all have the same inputs.
    let number = |node: usize| {
        let (mut start, mut width, mut within) = (0, 8, 0);
        while node >= start + COUNT * width {
            (start, within, width) = (start + COUNT * width, within + width, width / 2);
        }
        (within + (node - start) % width, (node - start) / width)
    };
    for index in 0..layers().len() {
        let single = found(&one, layers().swap_remove(index), History::default(), 2, |node| node);
        let batch = found(&many, layers().swap_remove(index), History::default(), 2, |node| number(node).0);
        for node in 0..many.nodes {
            let (within, tree) = number(node);
            assert_eq!(batch.0[node], single.0[within], "layer {index}: output of node {within} of tree {tree}");
            assert_eq!(batch.1[node], single.1[within], "layer {index}: gradient of node {within} of tree {tree}");
        }
    }
}

#[test]
fn a_chain_of_a_million_nodes_is_no_deeper_than_another() {
    const LENGTH: usize = 1_000_000;
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes: Vec<Entity> = world.spawn_batch((0..LENGTH).map(|_| GraphNode)).collect();
    let edges: Vec<Edge> = nodes.array_windows().map(|&[source, target]| Edge { source, target }).collect();
    world.spawn_batch(edges);
    let on_nodes = world.register_component::<GraphNode>();
    let input = Field::register(&mut world, "input", on_nodes, 1).unwrap();
    let gradient = Field::register(&mut world, "gradient", on_nodes, 1).unwrap();
    let builder = ModelBuilder::new(graph).input(input).input_gradient(input, gradient);
    let builder = builder.layer(DagNetwork::new(Activation::Identity)).external_gradient();
    let model = builder.optimizer(common::STANDSTILL).build(&mut world).unwrap();
    let &Model { output, output_gradient: Some(to), .. } = world.get::<Model>(model).unwrap() else { panic!() };
    let seed = (to.write(),).build_state(&mut world).build_system(|mut to: ColumnMut| {
        to.matrix().rows_mut().last().unwrap()[0] = 3.5;
    });
    add_systems(&mut world, Train(model), seed.in_set(GraphSystems::Loss)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    input.set(&mut world, nodes[0], &[2.5]).unwrap();
    run(&mut world, Train(model)).unwrap();
    run(&mut world, Infer(model)).unwrap();
    assert_eq!(output.get(&world, nodes[LENGTH - 1]).unwrap(), [2.5]);
    assert_eq!(gradient.get(&world, nodes[0]).unwrap(), [3.5]);
}
