//! A training step of a mixture of four experts on 512 graphs, and of one expert of their size.
//!
//! The ids are `experts/step/case/workers`:
//! - `one` is a model of the experts' size on all graphs,
//! - `soft_beside` and `top_1_beside` compute the experts side by side, `soft_rows` and `top_1_rows` one after another,
//!   each by all workers; graphs stay with their experts,
//! - `one_changed` and `top_1_changed` derive the topology anew in each step, as after an edge has changed, and
//!   `top_1_changed` copies all graphs to their experts.
//!
//! `cargo bench --bench experts -- top_1` measures a part of them.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{adam, fill_normal, hurry};
use connectome::{prelude::*, systems::random::Philox};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const GRAPHS: usize = 512;
const NODES: usize = 30;
const EXPERTS: usize = 4;
const WIDTH: usize = 64;

/// Graphs as those of molecules: rings with chords.
fn graphs() -> (World, Entity, Field) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let mut draws = [0.0; 2 * NODES];
    for index in 0..GRAPHS {
        Philox::new(1, 0, index as u64).fill_uniform(&mut draws);
        let subgraph = world.spawn((Subgraph, Split::Train, ClassLabel((index % 2) as u32))).id();
        let nodes: Vec<Entity> = (0..NODES).map(|_| world.spawn((GraphNode, InSubgraph(subgraph))).id()).collect();
        for node in 0..NODES {
            let other = if draws[node] < 0.2 { (draws[NODES + node] * NODES as f32) as usize } else { node + 1 };
            let [source, target] = [nodes[node], nodes[other % NODES]];
            world.spawn_batch([Edge { source, target }, Edge { source: target, target: source }]);
        }
    }
    let nodes = world.register_component::<GraphNode>();
    let features = Field::register(&mut world, "features", nodes, 8).expect("nodes are in a table");
    connectome_components::attach_fields(&mut world, nodes);
    fill_normal(&mut world, features);
    (world, graph, features)
}

/// A GIN of five layers, as for MUTAG.
fn network(graph: Entity, features: Field) -> ModelBuilder {
    let layers = (0..5).fold(ModelBuilder::new(graph).input(features), |model, _| {
        model.layer(GinConv::new(Mlp::new([WIDTH, WIDTH]))).layer(Activation::Relu)
    });
    layers.layer(Readout::Sum).layer(Linear::new(2)).optimizer(adam())
}

fn mixture(top_k: usize, side_by_side: bool) -> (World, Entity) {
    let (mut world, graph, features) = graphs();
    let gate = ModelBuilder::new(graph).input(features).layer(Readout::Mean).optimizer(adam());
    let model = ModelBuilder::new(graph).loss(Loss::CrossEntropy).optimizer(adam());
    let mut builder = MixtureBuilder::new(gate, model).top_k(top_k).side_by_side(side_by_side);
    builder = builder.loss_weights(GateLosses { balance: 0.1, ..GateLosses::default() });
    for _ in 0..EXPERTS {
        builder = builder.expert(network(graph, features));
    }
    let mixture = world.spawn_mixture(builder).expect("the models fit");
    (world, mixture)
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("experts/step");
    hurry(&mut group);
    for workers in [1, 2] {
        let pool = Workers::new(workers).expect("two threads can be started");
        let (mut world, graph, features) = graphs();
        let one = network(graph, features).loss(Loss::CrossEntropy).build(&mut world).expect("the model fits");
        world.insert_resource(pool.clone());
        group.bench_function(BenchmarkId::new("one", workers), |bencher| {
            bencher.iter(|| world.train(one).unwrap());
        });
        group.bench_function(BenchmarkId::new("one_changed", workers), |bencher| {
            bencher.iter(|| {
                world.get_mut::<Topology>(graph).unwrap().derived_at = None;
                world.train(one).unwrap();
            });
        });
        let (mut world, moving) = mixture(1, true);
        world.insert_resource(pool.clone());
        let graph = world.get::<Model>(moving).unwrap().graph;
        group.bench_function(BenchmarkId::new("top_1_changed", workers), |bencher| {
            bencher.iter(|| {
                world.get_mut::<Topology>(graph).unwrap().derived_at = None;
                world.train(moving).unwrap();
            });
        });
        for (name, top_k, side_by_side) in [
            ("soft_beside", EXPERTS, true),
            ("soft_rows", EXPERTS, false),
            ("top_1_beside", 1, true),
            ("top_1_rows", 1, false),
        ] {
            let (mut world, mixture) = mixture(top_k, side_by_side);
            world.insert_resource(pool.clone());
            group.bench_function(BenchmarkId::new(name, workers), |bencher| {
                bencher.iter(|| world.train(mixture).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
