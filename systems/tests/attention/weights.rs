//! The weights of attention, as a model keeps them.

use bevy_ecs::prelude::*;
use connectome_components::{Edge, Field, Graph, GraphNode, Loss, Model, Optimizer, Parameter, Split};
use connectome_systems::{
    ModelBuilder, WorldModelExt,
    layers::{GatConv, Gatv2Conv, Layer, TransformerConv},
};

/// Five nodes with edges among them, a self-loop, two parallel edges and one that leads nowhere.
const EDGES: [[usize; 2]; 8] = [[0, 1], [2, 1], [2, 1], [1, 3], [3, 3], [4, 3], [0, 4], [0, 5]];

const WIDTH: usize = 3;

struct Attended {
    world: World,
    nodes: Vec<Entity>,
    edges: Vec<Entity>,
    model: Entity,
}

impl Attended {
    /// A model that attends by two heads and has made a step of training, and then inferred.
    fn new(layer: impl Layer + 'static) -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let builder = ModelBuilder::new(graph).input_width(2).layer(layer).keep_attention().seed(3);
        let builder = builder.loss(Loss::MeanSquaredError).optimizer(Optimizer::sgd(0.1));
        let model = world.spawn_model(builder).unwrap();
        let mut nodes: Vec<Entity> = (0..5).map(|_| world.spawn((GraphNode, Split::Train)).id()).collect();
        let gone = world.spawn_empty().id();
        let ends = |end: usize| nodes.get(end).copied().unwrap_or(gone);
        let edges = EDGES.map(|[source, target]| Edge { source: ends(source), target: ends(target) });
        let edges = edges.map(|edge| world.spawn(edge).id()).to_vec();
        world.despawn(gone);
        world.infer(model).unwrap();
        let input = world.get::<Model>(model).unwrap().input.values();
        for (number, node) in nodes.iter().enumerate() {
            input.set(&mut world, *node, &[number as f32 - 2.0, 0.5 * (number * number) as f32]).unwrap();
        }
        world.train(model).unwrap();
        world.infer(model).unwrap();
        nodes.truncate(5);
        Self { world, nodes, edges, model }
    }

    fn model(&self) -> &Model {
        self.world.get(self.model).unwrap()
    }

    fn row(&self, field: Field, entity: Entity) -> Vec<f32> {
        field.get(&self.world, entity).unwrap().to_vec()
    }

    /// The weights of each edge, by head.
    fn weights(&self) -> Vec<Vec<f32>> {
        let [weights] = self.model().kept[..] else { panic!("{:?}", self.model().kept) };
        self.edges.iter().map(|edge| self.row(weights, *edge)).collect()
    }

    fn parameter(&self, name: &str) -> Vec<f32> {
        let parameters = self.model().parameters.iter().filter_map(|entity| self.world.get::<Parameter>(*entity));
        let value = parameters.into_iter().find(|parameter| parameter.name.ends_with(name)).unwrap().value;
        value.matrix(&self.world).rows().flatten().copied().collect()
    }
}

/// The sum of the weights of the edges to each node of which one counts.
fn sums(weights: &[Vec<f32>], head: usize) -> Vec<(usize, f32)> {
    let to = |node: usize| EDGES.iter().zip(weights).filter(move |([_, target], _)| *target == node);
    let sum = |node| to(node).map(|(_, weights)| weights[head]).sum();
    (0..5).filter(|node| to(*node).next().is_some()).map(|node| (node, sum(node))).collect()
}

#[test]
fn outputs_are_the_sums_by_the_weights() {
    let attended = Attended::new(GatConv { heads: 2, add_self_loops: false, ..GatConv::new(WIDTH) });
    let (weights, map, bias) = (attended.weights(), attended.parameter("lin.weight"), attended.parameter("bias"));
    let model = attended.model();
    let value = |node: usize, column: usize| -> f32 {
        let input = attended.row(model.input.values(), attended.nodes[node]);
        input.iter().enumerate().map(|(row, x)| x * map[row * 2 * WIDTH + column]).sum()
    };
    for (target, node) in attended.nodes.iter().enumerate() {
        for (column, output) in attended.row(model.output, *node).into_iter().enumerate() {
            let of = |([source, to], weights): (&[usize; 2], &Vec<f32>)| {
                if *to == target { weights[column / WIDTH] * value(*source, column) } else { 0.0 }
            };
            let expected: f32 = bias[column] + EDGES.iter().zip(&weights).map(of).sum::<f32>();
            assert!(
                (output - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{target} {column}: {output} {expected}"
            );
        }
    }
}

#[test]
fn the_weights_of_what_a_node_attends_to_sum_to_one() {
    let gat = Attended::new(GatConv { heads: 2, add_self_loops: false, ..GatConv::new(WIDTH) });
    let gatv2 = Attended::new(Gatv2Conv { heads: 2, add_self_loops: false, ..Gatv2Conv::new(WIDTH) });
    let transformer = Attended::new(TransformerConv { heads: 2, ..TransformerConv::new(WIDTH) });
    for weights in [gat.weights(), gatv2.weights(), transformer.weights()] {
        for head in 0..2 {
            for (node, sum) in sums(&weights, head) {
                assert!((sum - 1.0).abs() < 1e-5, "{node}: {sum}");
            }
        }
        // The last edge leads nowhere.
        assert_eq!(weights[7], [0.0; 2]);
    }
}

#[test]
fn an_added_self_loop_takes_its_part() {
    let attended = Attended::new(GatConv { heads: 2, ..GatConv::new(WIDTH) });
    let weights = attended.weights();
    // That of the graph counts no more.
    assert_eq!(weights[4], [0.0; 2]);
    for (node, sum) in sums(&weights, 0) {
        assert!(sum > 0.0 && sum < 1.0, "{node}: {sum}");
    }
}

#[test]
fn a_model_that_keeps_its_attention_computes_the_same_bits() {
    let outputs = |keeps: bool| {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let builder = ModelBuilder::new(graph).input_width(1).layer(GatConv { dropout: 0.5, ..GatConv::new(2) });
        let builder = if keeps { builder.keep_attention() } else { builder };
        let builder = builder.loss(Loss::MeanSquaredError).optimizer(Optimizer::sgd(0.1));
        let model = world.spawn_model(builder).unwrap();
        let nodes: Vec<Entity> = (0..5).map(|_| world.spawn((GraphNode, Split::Train)).id()).collect();
        EDGES[..7].iter().for_each(|ends| {
            world.spawn(Edge { source: nodes[ends[0]], target: nodes[ends[1]] });
        });
        world.infer(model).unwrap();
        let (input, output) = world.get::<Model>(model).map(|model| (model.input.values(), model.output)).unwrap();
        for (number, node) in nodes.iter().enumerate() {
            input.set(&mut world, *node, &[number as f32]).unwrap();
        }
        (0..3).for_each(|_| world.train(model).unwrap());
        world.infer(model).unwrap();
        nodes.iter().flat_map(|node| output.get(&world, *node).unwrap().to_vec()).map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(outputs(true), outputs(false));
}
