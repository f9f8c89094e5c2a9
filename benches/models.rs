//! Whole networks on graphs of the shape and with the widths on which peer libraries are measured: dense features, the loss
//! over all rows, Adam, no dropout.
//!
//! The ids are `group/network/graph/workers`: `forward` runs the whole of `Infer`, `train` the whole of `Train`: forward, loss,
//! backward, Adam. Inputs rest, but for `aggregation`, the sum over neighbors alone, 128 wide, and `message_passing`, where
//! a number of the input changes in each run.
//!
//! `cargo bench --bench models -- train/gat/cora` measures a part of them; `benches/peers/` runs the peers beside them.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{Links, adam, fill_normal, hurry, measure, prepare, stir};
use connectome::{
    components::Normalization,
    prelude::*,
    systems::{
        operators::aggregate,
        program::{Program, Value},
    },
};
use criterion::{Criterion, criterion_group, criterion_main};

/// A graph of nodes, and the widths of a network over it: features, hidden, classes.
struct Case {
    name: &'static str,
    nodes: usize,
    edges: usize,
    /// How unequal the degrees are; see [`Links::power_law`].
    exponent: f64,
    widths: [usize; 3],
}

const CASES: [Case; 3] = [
    Case { name: "cora", nodes: 2_708, edges: 10_556, exponent: 0.0, widths: [1_433, 16, 7] },
    Case { name: "pubmed", nodes: 19_717, edges: 88_648, exponent: 0.0, widths: [500, 64, 3] },
    Case { name: "arxiv", nodes: 169_343, edges: 2_332_486, exponent: 0.7, widths: [128, 256, 40] },
];

impl Case {
    fn world(&self) -> (World, Entity) {
        Links::power_law(self.nodes, self.edges, self.exponent).world(self.widths[2])
    }
}

/// A network of two layers, by name.
fn network(name: &str, graph: Entity, [input, hidden, classes]: [usize; 3]) -> ModelBuilder {
    let builder = ModelBuilder::new(graph).input_width(input);
    let perceptron = |width| GinConv::new(Mlp::new([hidden, width]));
    match name {
        "gcn" => builder.layer(GcnConv::new(hidden)).layer(Activation::Relu).layer(GcnConv::new(classes)),
        "sage" => builder.layer(SageConv::new(hidden)).layer(Activation::Relu).layer(SageConv::new(classes)),
        "gin" => builder.layer(perceptron(hidden)).layer(Activation::Relu).layer(perceptron(classes)),
        _ => builder
            .layer(GatConv { heads: 8, ..GatConv::new(8) })
            .layer(Activation::Elu(1.0))
            .layer(GatConv::new(classes)),
    }
}

/// 256 graphs of 20 to 40 nodes, each node of which hears from four others on average, and what a network says of each.
fn graphs() -> (World, ModelBuilder, Option<Field>) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    for number in 0..256 {
        let nodes = 20 + number * 21 / 256;
        let links = Links::power_law(nodes, 4 * nodes, 0.0);
        let subgraph = world.spawn((Subgraph, ClassLabel(number as u32 % 2), Split::Train)).id();
        let nodes: Vec<Entity> = world.spawn_batch(vec![(GraphNode, InSubgraph(subgraph)); nodes]).collect();
        let end = |number: u32| nodes[number as usize];
        let edges: Vec<Edge> =
            links.edges.iter().map(|[source, target]| Edge { source: end(*source), target: end(*target) }).collect();
        world.spawn_batch(edges);
    }
    let convolution = || GinConv::new(Mlp::new([64, 64]));
    let builder = ModelBuilder::new(graph).input_width(32);
    let builder = builder.layer(convolution()).layer(Activation::Relu).layer(convolution()).layer(Activation::Relu);
    (world, builder.layer(Readout::Mean).layer(Linear::new(2)), None)
}

/// The processor of MeshGraphNets, ten steps 128 wide, on 1,000 particles with 12,000 contacts.
fn particles() -> (World, ModelBuilder, Option<Field>) {
    let (mut world, graph) = Links::power_law(1_000, 12_000, 0.0).world(1);
    let edges = world.register_component::<Edge>();
    let features = Field::register(&mut world, "edge features", edges, 128).expect("the field is small");
    let builder = ModelBuilder::new(graph).input_width(128).edge_input(features).loss(Loss::MeanSquaredError);
    let builder = (0..10).fold(builder, |builder, _| builder.layer(GraphNetBlock::new([128, 128])));
    (world, builder, Some(features))
}

/// Measures inference and training of a network, with normal numbers in its input and in the features of its edges.
fn both(criterion: &mut Criterion, name: &str, edges: usize, model: impl Fn() -> (World, ModelBuilder, Option<Field>)) {
    let mut group = criterion.benchmark_group("forward");
    hurry(&mut group);
    measure(&mut group, name, edges, || {
        let (mut world, builder, features) = model();
        let label = Infer(builder.build(&mut world).expect("the model fits the graph"));
        prepare(&mut world, label.0, label);
        features.iter().for_each(|field| fill_normal(&mut world, *field));
        (world, label)
    });
    group.finish();
    let mut group = criterion.benchmark_group("train");
    hurry(&mut group);
    measure(&mut group, name, edges, || {
        let (mut world, builder, features) = model();
        let builder = builder.optimizer(adam());
        let label = Train(builder.build(&mut world).expect("the model fits the graph"));
        prepare(&mut world, label.0, label);
        features.iter().for_each(|field| fill_normal(&mut world, *field));
        (world, label)
    });
    group.finish();
}

fn nodes(criterion: &mut Criterion) {
    for case in CASES {
        for name in ["gcn", "sage", "gin", "gat"] {
            both(criterion, &format!("{name}/{}", case.name), case.edges, || {
                let (world, graph) = case.world();
                (world, network(name, graph, case.widths), None)
            });
        }
    }
}

fn sets(criterion: &mut Criterion) {
    both(criterion, "gin/batch", 30_720, graphs);
}

fn simulation(criterion: &mut Criterion) {
    both(criterion, "mgn/sim", 12_000, particles);
}

/// The sum over neighbors, as a layer.
struct Sum;

impl Layer for Sum {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        aggregate(program, input, Normalization::Sum)
    }
}

/// The sum over neighbors by itself, and the plain layer of messages.
fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aggregation");
    hurry(&mut group);
    let [.., case] = CASES;
    measure(&mut group, "sum_128/arxiv", case.edges, || {
        let (mut world, graph) = case.world();
        let model = ModelBuilder::new(graph).input_width(128).layer(Sum).build(&mut world);
        let label = Infer(model.expect("the model fits the graph"));
        prepare(&mut world, label.0, label);
        stir(&mut world, label.0, label);
        (world, label)
    });
    group.finish();
    let mut group = criterion.benchmark_group("forward");
    hurry(&mut group);
    measure(&mut group, "message_passing_64/100k", 800_000, || {
        let (mut world, graph) = Links::power_law(100_000, 800_000, 0.0).world(1);
        let model = ModelBuilder::new(graph).input_width(64).layer(MeanConv::new(64)).build(&mut world);
        let label = Infer(model.expect("the model fits the graph"));
        prepare(&mut world, label.0, label);
        stir(&mut world, label.0, label);
        (world, label)
    });
    group.finish();
}

criterion_group!(benches, nodes, sets, simulation, parts);
criterion_main!(benches);
