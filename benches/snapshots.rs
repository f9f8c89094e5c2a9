//! What a frame of rollback costs: a snapshot of a graph and of a model that learns on it is taken, and restored.
//!
//! The ids are `snapshots/case/size/workers`, with one worker always: columns are copied by the calling thread. `take`
//! goes around a ring of nine frames; `restore` follows a training step, which is not measured, and `respawn` one in
//! whose frame an edge was despawned and another one turned.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{Links, adam, graph_convolutions, hurry, prepare, thousands};
use connectome::{
    prelude::*,
    systems::snapshot::{Snapshot, SnapshotRing},
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::cell::RefCell;

/// A world whose agents learn by a network of 32 units for each, and its graph.
fn learning_world(nodes: usize) -> (World, Entity, Train) {
    let (mut world, graph) = Links::ring(nodes, 8).world(32);
    world.insert_resource(Workers::new(1).expect("there is a thread"));
    let builder = graph_convolutions(graph, [32; 3]).optimizer(adam());
    let train = Train(builder.build(&mut world).expect("the model fits the graph"));
    prepare(&mut world, train.0, train);
    (world, graph, train)
}

fn snapshots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshots");
    hurry(&mut group);
    group.sample_size(30);
    for nodes in [1_000, 10_000] {
        let (mut world, graph, train) = learning_world(nodes);
        let size = thousands(nodes);
        group.throughput(Throughput::Elements(8 * nodes as u64));
        let mut ring = SnapshotRing::new(Snapshot::new(graph).model(train.0), 9);
        let mut frame = 0;
        group.bench_function(BenchmarkId::new(format!("take/{size}"), 1), |bencher| {
            bencher.iter(|| {
                ring.take(&world, frame).expect("the graph is there");
                frame += 1;
            });
        });
        let mut snapshot = Snapshot::new(graph).model(train.0);
        snapshot.take(&world).expect("the graph is there");
        group.bench_function(BenchmarkId::new(format!("restore/{size}"), 1), |bencher| {
            let world = RefCell::new(&mut world);
            bencher.iter_batched(
                || world.borrow_mut().run_model(train).expect("the model learns"),
                |()| snapshot.restore(&mut world.borrow_mut()).expect("the graph is there"),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new(format!("respawn/{size}"), 1), |bencher| {
            let world = RefCell::new(&mut world);
            let change = || {
                let mut world = world.borrow_mut();
                let edges: Vec<Entity> = world.query_filtered::<Entity, With<Edge>>().iter(&world).take(2).collect();
                world.despawn(edges[0]);
                if let Some(mut edge) = world.get_mut::<Edge>(edges[1]) {
                    *edge = Edge { source: edge.target, target: edge.source };
                }
                world.run_model(train).expect("the model learns");
            };
            bencher.iter_batched(
                change,
                |()| snapshot.restore(&mut world.borrow_mut()).expect("the graph is there"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, snapshots);
criterion_main!(benches);
