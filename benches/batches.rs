//! What it costs to bring examples from a corpus into a training world, beside which the training itself is to be seen.
//!
//! The ids are `batch/step/case`. A union is of 128 out of 1,000 graphs, of 20 to 39 nodes and twice as many edges each,
//! with 16 features; a sample is of 512 seeds among 100,000 nodes and a million edges, with fan-outs of 5 and 5. `same`
//! loads batches of one size in turn, `other` batches of 3,700 and 4,100 nodes, so that entities come and go.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{Links, hurry};
use connectome::prelude::*;
use connectome::systems::batch::{Batch, Extract};
use criterion::{Criterion, criterion_group, criterion_main};

/// A world, its graph, and the features of its nodes.
type Side = (World, Entity, Field);

fn with_features(mut world: World, graph: Entity) -> Side {
    let nodes = world.register_component::<GraphNode>();
    let features = Field::register(&mut world, "features", nodes, 16).expect("the field is small");
    (world, graph, features)
}

/// A training world with the columns of a small model beside the features.
fn training() -> Side {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = world.register_component::<GraphNode>();
    for layer in 0..8 {
        Field::<f32>::register(&mut world, &format!("layer {layer}"), nodes, 32).expect("the field is small");
    }
    with_features(world, graph)
}

/// Rings in which every node also hears from the fifth before it.
fn rings() -> (Side, Vec<Entity>) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let subgraphs: Vec<Entity> = world.spawn_batch([Subgraph; 1_000]).collect();
    for (number, subgraph) in subgraphs.iter().enumerate() {
        let size = 20 + number % 20;
        let nodes: Vec<Entity> = world.spawn_batch(vec![(GraphNode, InSubgraph(*subgraph)); size]).collect();
        let edge = |place: usize, step| Edge { source: nodes[place], target: nodes[(place + step) % size] };
        let edges: Vec<Edge> = (0..size).flat_map(|place| [edge(place, 1), edge(place, 5)]).collect();
        world.spawn_batch(edges);
    }
    (with_features(world, graph), subgraphs)
}

fn extract(corpus: &mut Side, training: &Side) -> Extract {
    let mut extract = Extract::new(&corpus.0, corpus.1).expect("the corpus is a graph");
    extract.copy(&corpus.0, corpus.2, training.2).expect("both fields are as wide");
    extract.update(&mut corpus.0);
    extract
}

fn unions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    hurry(&mut group);
    let ((mut corpus, subgraphs), mut training) = (rings(), training());
    let step = extract(&mut corpus, &training);
    let mut batch = Batch::default();
    let mut first = 0;
    group.bench_function("extract/union", |bencher| {
        bencher.iter(|| {
            first = (first + 77) % 800;
            step.subgraphs(&corpus.0, &subgraphs[first..first + 128], &mut batch).expect("the corpus is at rest");
        });
    });
    for (name, last) in [("load/same", 628), ("load/other", 640)] {
        let mut batches = [Batch::default(), Batch::default()];
        for (batch, range) in batches.iter_mut().zip([0..128, 500..last]) {
            step.subgraphs(&corpus.0, &subgraphs[range], batch).expect("the corpus is at rest");
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                batches.reverse();
                batches[0].load(&mut training.0, training.1).expect("the batch is of this world");
            });
        });
    }
    group.finish();
}

fn samples(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    hurry(&mut group);
    let (world, graph) = Links::power_law(100_000, 1_000_000, 0.0).world(1);
    let (mut corpus, training) = (with_features(world, graph), training());
    let step = extract(&mut corpus, &training);
    let seeds: Vec<Entity> = corpus.0.query_filtered::<Entity, With<GraphNode>>().iter(&corpus.0).take(512).collect();
    let mut batch = Batch::default();
    let mut number = 0;
    group.bench_function("extract/sample", |bencher| {
        bencher.iter(|| {
            number += 1;
            let sampled = step.sample_neighbors(&corpus.0, &seeds, &[5, 5], 0, number, &mut batch);
            sampled.expect("the corpus is at rest");
        });
    });
    group.finish();
}

/// A training step of two layers on a sample of 512 seeds, of whose last layer only these are computed.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    hurry(&mut group);
    let (world, graph) = Links::power_law(100_000, 1_000_000, 0.0).world(1);
    let (mut corpus, mut training) = (with_features(world, graph), training());
    let splits = |world: &mut World| {
        let nodes = world.register_component::<GraphNode>();
        Field::<Split>::of_component(world, nodes).expect("splits are components")
    };
    let [from, to] = [splits(&mut corpus.0), splits(&mut training.0)];
    let model = ModelBuilder::new(training.1).input(training.2).layer(SageConv::new(64)).layer(Activation::Relu);
    let model = model.layer(SageConv::new(16)).optimizer(Optimizer::adam(0.01));
    let model = model.build(&mut training.0).expect("the layers fit");
    let mut step = extract(&mut corpus, &training);
    step.copy(&corpus.0, from, to).expect("both are splits");
    from.matrix_mut(&mut corpus.0).rows_mut().for_each(|row| row.fill(Split::Train));
    let seeds: Vec<Entity> = corpus.0.query_filtered::<Entity, With<GraphNode>>().iter(&corpus.0).take(512).collect();
    let mut batch = Batch::default();
    step.sample_neighbors(&corpus.0, &seeds, &[5, 5], 0, 0, &mut batch).expect("the corpus is at rest");
    batch.load(&mut training.0, training.1).expect("the batch is of this world");
    group.bench_function("step/sample", |bencher| {
        bencher.iter(|| training.0.train(model).expect("seeds are for training"));
    });
    group.finish();
}

criterion_group!(benches, unions, samples, steps);
criterion_main!(benches);
