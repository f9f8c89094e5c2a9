//! The same graph gives the same bits, whatever its world has been through.
//!
//! Each history leads to the same nodes, edges and subgraphs by another way; then outputs after inference, and outputs and
//! weights after some steps of training, are compared bit for bit with those of a world that was spawned straight away.

use bevy_ecs::{entity_disabling::Disabled, prelude::*};
use connectome_components::{
    ClassLabel, Edge, EdgeWeight, Field, Graph, GraphKey, GraphNode, InSubgraph, Model, Optimizer, Parameter, Split,
    Subgraph,
};
use connectome_systems::{
    Infer, ModelBuilder, Train, Workers,
    kernels::Activation,
    layers::{
        BatchNorm, BuildError, Dropout, GatConv, GcnConv, GraphConv, GraphNetBlock, GraphNorm, LayerNorm, Linear,
        Readout,
    },
    random::Philox,
    run,
};
use std::collections::BTreeMap;

const NODES: u32 = 700;
const SUBGRAPHS: u32 = 40;
const WIDTH: usize = 6;

/// The number of a node or subgraph, or those of the ends of an edge, which outlive its entity.
#[derive(Component, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Number([u32; 2]);

#[derive(Component)]
struct Marked;

/// A graph in a world, and what it takes to spawn parts of it again.
struct Town {
    world: World,
    graph: Entity,
    nodes: BTreeMap<u32, Entity>,
    subgraphs: Vec<Entity>,
    edges: BTreeMap<[u32; 2], Entity>,
    edge_input: Field,
    input: Field,
}

/// Source and target of the edges: some nodes with many, loops among them, none twice.
fn links() -> Vec<[u32; 2]> {
    let mut numbers = vec![0.0; 9000];
    Philox::new(5, 6, 7).fill_uniform(&mut numbers);
    let node = |number: f32| ((number * number * NODES as f32) as u32).min(NODES - 1);
    let pairs = numbers.chunks_exact(2).map(|pair| [node(pair[0]), (pair[1] * NODES as f32) as u32]);
    let mut links: Vec<[u32; 2]> = pairs.map(|pair| pair.map(|end| end.min(NODES - 1))).collect();
    links.sort_unstable();
    links.dedup();
    links
}

/// A number for each part of the graph and each feature.
fn feature(Number([first, second]): Number, index: usize) -> f32 {
    ((first * 31 + second * 57 + index as u32 * 7) as f32).sin()
}

impl Town {
    fn empty() -> Self {
        let mut world = World::new();
        world.insert_resource(Workers::new(2).unwrap());
        let graph = Graph::spawn(&mut world);
        let [nodes, edges] = [world.register_component::<GraphNode>(), world.register_component::<Edge>()];
        let input = Field::register(&mut world, "input", nodes, WIDTH).unwrap();
        let edge_input = Field::register(&mut world, "edge input", edges, 2).unwrap();
        let (nodes, subgraphs, edges) = Default::default();
        Self { world, graph, nodes, subgraphs, edges, edge_input, input }
    }

    fn spawn_subgraphs(&mut self) {
        let bundle = |number| (Subgraph, Number([number; 2]), ClassLabel(number % 3), Split::Train);
        self.subgraphs = (0..SUBGRAPHS).map(|number| self.world.spawn(bundle(number)).id()).collect();
    }

    fn spawn_node(&mut self, number: u32, key: Option<GraphKey>) {
        let split = if number.is_multiple_of(4) { Split::Validation } else { Split::Train };
        let subgraph = self.subgraphs[(number * 7 % SUBGRAPHS) as usize];
        let bundle = (GraphNode, Number([number; 2]), ClassLabel(number % 3), split, InSubgraph(subgraph));
        let mut node = self.world.spawn(bundle);
        key.map(|key| node.insert(key));
        self.nodes.insert(number, node.id());
    }

    fn spawn_edge(&mut self, link: [u32; 2]) {
        let [source, target] = link.map(|end| self.nodes[&end]);
        let weight = 1.0 + 0.5 * feature(Number(link), 9);
        self.edges.insert(link, self.world.spawn((Edge { source, target }, EdgeWeight(weight), Number(link))).id());
    }

    fn despawn_edge(&mut self, link: [u32; 2]) {
        let edge = self.edges.remove(&link).unwrap();
        self.world.despawn(edge);
    }

    fn spawned() -> Self {
        let mut town = Self::empty();
        town.spawn_subgraphs();
        (0..NODES).for_each(|node| town.spawn_node(node, None));
        links().into_iter().for_each(|link| town.spawn_edge(link));
        town
    }

    /// As spawned, but with keys given to nodes.
    fn keyed() -> Self {
        let mut town = Self::empty();
        town.spawn_subgraphs();
        (0..NODES).for_each(|node| town.spawn_node(node, Some(GraphKey::new(node.into()))));
        links().into_iter().for_each(|link| town.spawn_edge(link));
        town
    }

    fn fill(&mut self) {
        let mut numbers = self.world.query::<(Entity, &Number, Has<Edge>, Has<GraphNode>)>();
        let numbers: Vec<(Entity, Number, bool, bool)> =
            numbers.iter(&self.world).map(|(entity, number, edge, node)| (entity, *number, edge, node)).collect();
        for (entity, number, is_edge, is_node) in numbers {
            if let Some(field) = is_edge.then_some(self.edge_input).or(is_node.then_some(self.input)) {
                let row: Vec<f32> = (0..field.width()).map(|index| feature(number, index)).collect();
                field.set(&mut self.world, entity, &row).unwrap();
            }
        }
    }

    /// The bits of the output by number, then of all weights.
    fn bits(&mut self, model: Entity) -> (BTreeMap<Number, Vec<u32>>, Vec<u32>) {
        let Model { output, ref parameters, .. } = *self.world.get::<Model>(model).unwrap();
        let parameters = parameters.iter().filter_map(|parameter| self.world.get::<Parameter>(*parameter));
        let values: Vec<Field> = parameters.map(|parameter| parameter.value).collect();
        let bits = |value: &Field| {
            value.matrix(&self.world).rows().flatten().map(|value| value.to_bits()).collect::<Vec<u32>>()
        };
        let weights = values.iter().flat_map(bits).collect();
        let mut numbers = self.world.query::<(Entity, &Number)>();
        let row = |(entity, number): (Entity, &Number)| {
            let row = output.get(&self.world, entity).ok()?;
            Some((*number, row.iter().map(|value| value.to_bits()).collect()))
        };
        (numbers.iter(&self.world).filter_map(row).collect(), weights)
    }
}

/// What a model gives after inference, and after some steps of training.
type Found = [(BTreeMap<Number, Vec<u32>>, Vec<u32>); 2];

/// Builds a model, runs it, lets the world go through a history, and runs the model.
fn found(mut town: Town, model: fn(ModelBuilder) -> ModelBuilder, history: impl FnOnce(&mut Town)) -> Found {
    let builder = ModelBuilder::new(town.graph).input(town.input).edge_input(town.edge_input).seed(3);
    let model = model(builder).optimizer(Optimizer::adam(0.02)).build(&mut town.world).unwrap();
    run(&mut town.world, Infer(model)).unwrap();
    town.fill();
    history(&mut town);
    run(&mut town.world, Infer(model)).unwrap();
    town.fill();
    run(&mut town.world, Infer(model)).unwrap();
    let inferred = town.bits(model);
    for _ in 0..8 {
        run(&mut town.world, Train(model)).unwrap();
    }
    run(&mut town.world, Infer(model)).unwrap();
    [inferred, town.bits(model)]
}

/// Normalization, dropout and attention over nodes.
fn of_nodes(builder: ModelBuilder) -> ModelBuilder {
    let builder = builder.layer(Dropout(0.2)).layer(GcnConv::new(9)).layer(BatchNorm::new()).layer(LayerNorm::new());
    let attention = GatConv { heads: 2, dropout: 0.3, ..GatConv::new(5) };
    builder.layer(Activation::Elu(1.0)).layer(attention).layer(Dropout(0.1)).layer(Linear::new(3))
}

/// Sums over edges.
fn of_edges(builder: ModelBuilder) -> ModelBuilder {
    builder.layer(Linear::new(2)).layer(GraphNetBlock::new(vec![7])).layer(Linear::new(3))
}

/// Sums over the nodes of subgraphs, and over subgraphs.
fn of_subgraphs(builder: ModelBuilder) -> ModelBuilder {
    let builder = builder.layer(GcnConv::new(8)).layer(GraphNorm::new()).layer(Activation::Tanh).layer(Readout::Mean);
    builder.layer(BatchNorm::new()).layer(Dropout(0.1)).layer(Linear::new(3))
}

fn check(name: &str, spawned: fn() -> Town, other: fn() -> Town, history: fn(&mut Town)) {
    for (kind, model) in
        [("nodes", of_nodes as fn(ModelBuilder) -> ModelBuilder), ("edges", of_edges), ("subgraphs", of_subgraphs)]
    {
        let expected = found(spawned(), model, |_| {});
        let after = found(other(), model, history);
        for (when, (expected, after)) in ["inference", "training"].into_iter().zip(expected.iter().zip(&after)) {
            assert_eq!(expected.0.len(), after.0.len(), "{name}, {kind}: rows after {when}");
            let differ = expected.0.iter().filter(|(number, row)| after.0[number] != **row).count();
            assert_eq!(differ, 0, "{name}, {kind}: of {} rows differ after {when}", expected.0.len());
            assert!(expected.1 == after.1, "{name}, {kind}: weights differ after {when}");
        }
    }
}

#[test]
fn an_edge_that_is_spawned_again_changes_nothing() {
    check("an edge again", Town::spawned, Town::spawned, |town| {
        let link = links()[100];
        town.despawn_edge(link);
        town.spawn_edge(link);
    });
}

#[test]
fn edges_that_are_rolled_back_change_nothing() {
    check("edges rolled back", Town::spawned, Town::spawned, |town| {
        let links: Vec<[u32; 2]> = links().into_iter().step_by(90).collect();
        links.iter().for_each(|link| town.despawn_edge(*link));
        links.iter().for_each(|link| town.spawn_edge(*link));
    });
}

#[test]
fn tables_do_not_matter() {
    check("marked nodes, edges and subgraphs", Town::spawned, Town::spawned, |town| {
        let nodes = [10, 11, 350].map(|number| town.nodes[&number]);
        let edges = [5, 600].map(|number| town.edges[&links()[number]]);
        for entity in nodes.into_iter().chain(edges).chain([town.subgraphs[3]]) {
            town.world.entity_mut(entity).insert(Marked);
        }
    });
    check("marked and no longer", Town::spawned, Town::spawned, |town| {
        let (node, edge) = (town.nodes[&10], town.edges[&links()[7]]);
        for entity in [node, edge, town.subgraphs[3]] {
            town.world.entity_mut(entity).insert(Marked).remove::<Marked>();
        }
    });
    check("disabled for a while", Town::spawned, Town::spawned, |town| {
        let edge = town.edges[&links()[50]];
        town.world.entity_mut(edge).insert(Disabled);
        town.world.entity_mut(edge).remove::<Disabled>();
    });
}

#[test]
fn the_order_in_which_edges_are_spawned_does_not_matter() {
    let backward = || {
        let mut town = Town::empty();
        // Other entities come and go before, so that indices are used again in another order.
        let others: Vec<Entity> = (0..3000).map(|_| town.world.spawn_empty().id()).collect();
        others.into_iter().step_by(3).for_each(|entity| _ = town.world.despawn(entity));
        town.spawn_subgraphs();
        (0..NODES).for_each(|node| town.spawn_node(node, None));
        links().into_iter().rev().for_each(|link| town.spawn_edge(link));
        town
    };
    check("edges backward", Town::spawned, backward, |_| {});
}

#[test]
fn nodes_with_given_keys_are_the_same_after_they_are_spawned_again() {
    let backward = || {
        let mut town = Town::empty();
        town.spawn_subgraphs();
        (0..NODES).rev().for_each(|node| town.spawn_node(node, Some(GraphKey::new(node.into()))));
        links().into_iter().for_each(|link| town.spawn_edge(link));
        town
    };
    check("nodes backward", Town::keyed, backward, |_| {});
    check("given keys", Town::spawned, Town::keyed, |_| {});
    check("a node again", Town::keyed, Town::keyed, |town| {
        for number in [20, 333] {
            let links: Vec<[u32; 2]> = links().into_iter().filter(|link| link.contains(&number)).collect();
            links.iter().for_each(|link| town.despawn_edge(*link));
            town.world.despawn(town.nodes[&number]);
            town.spawn_node(number, Some(GraphKey::new(number.into())));
            links.iter().for_each(|link| town.spawn_edge(*link));
        }
    });
}

/// The sum over parallel edges of these weights, of which every order has other bits.
fn sum_over_parallel_edges(order: [usize; 3], with_keys: bool) -> u32 {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let [source, target] = [0, 1].map(|_| world.spawn(GraphNode).id());
    for number in order {
        let mut edge = world.spawn((Edge { source, target }, EdgeWeight([1.0e8, 1.0, -1.0e8][number])));
        if with_keys {
            edge.insert(GraphKey::new([1, 2, 0][number]));
        }
    }
    let model = ModelBuilder::new(graph).input_width(1).layer(GraphConv::new(1)).build(&mut world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    let Model { output, input, ref parameters, .. } = *world.get::<Model>(model).unwrap();
    let values: Vec<Field> = parameters.iter().map(|id| world.get::<Parameter>(*id).unwrap().value).collect();
    values.iter().for_each(|value| value.matrix_mut(&mut world).rows_mut().flatten().for_each(|value| *value = 1.0));
    input.values().set(&mut world, source, &[1.0]).unwrap();
    run(&mut world, Infer(model)).unwrap();
    output.get(&world, target).unwrap()[0].to_bits()
}

#[test]
fn parallel_edges_are_summed_in_one_order() {
    for with_keys in [false, true] {
        let expected = sum_over_parallel_edges([0, 1, 2], with_keys);
        for order in [[2, 1, 0], [1, 2, 0], [0, 2, 1]] {
            assert_eq!(sum_over_parallel_edges(order, with_keys), expected, "{order:?}, {with_keys}");
        }
    }
    assert_ne!(sum_over_parallel_edges([0, 1, 2], true), sum_over_parallel_edges([0, 1, 2], false));
}

#[test]
fn a_clone_has_a_key_of_its_own() {
    let mut world = World::new();
    let node = world.spawn(GraphNode).id();
    let clone = world.entity_mut(node).clone_and_spawn();
    let key = |entity: Entity| *world.get::<GraphKey>(entity).unwrap();
    assert!(key(node) < key(clone));
}

#[test]
fn nodes_with_one_key_are_an_error() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let model = ModelBuilder::new(graph).input_width(1).layer(Linear::new(1)).build(&mut world).unwrap();
    let [one, other] = [(); 2].map(|()| world.spawn((GraphNode, GraphKey::new(3))).id());
    let error = run(&mut world, Infer(model)).unwrap_err();
    assert!(
        matches!(error, BuildError::SameKeys { graph: found, one: a, other: b } if (found, a, b) == (graph, one, other))
    );
    world.entity_mut(other).insert(GraphKey::new(4));
    run(&mut world, Infer(model)).unwrap();
}

#[test]
fn nodes_with_a_component_of_the_users_own_are_born_with_keys() {
    let mut world = World::new();
    let graph = Graph::of::<Marked, Edge>(&mut world);
    let nodes: Vec<Entity> = (0..4).map(|_| world.spawn(Marked).id()).collect();
    let keys = |world: &World| nodes.iter().map(|node| *world.get::<GraphKey>(*node).unwrap()).collect::<Vec<_>>();
    let born = keys(&world);
    let model = ModelBuilder::new(graph).input_width(1).layer(Linear::new(1)).build(&mut world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    assert!(born.is_sorted_by(|one, other| one < other) && keys(&world) == born);
}
