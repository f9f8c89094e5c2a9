//! What a network costs a world that runs in frames: one tick of inference over 1,000 nodes and 8,000 edges.
//!
//! The ids are `tick/case/size/workers`. `still` is a world whose edges rest, while its input changes; in `moving` one edge is
//! rewired in each tick, and the topology derived anew; `learning` is a training step of the still world; `empty` is a schedule of as many systems that do nothing.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{Empty, Links, adam, graph_convolutions, hurry, measure, prepare, stir};
use connectome::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};

/// A world whose agents are moved by a network of 32 units for each.
fn living_world() -> (World, Infer) {
    let (mut world, graph) = Links::ring(1_000, 8).world(1);
    let model = graph_convolutions(graph, [32; 3]).build(&mut world).expect("the model fits the graph");
    prepare(&mut world, model, Infer(model));
    stir(&mut world, model, Infer(model));
    (world, Infer(model))
}

/// The still world, where the network learns online.
fn learning_world() -> (World, Train) {
    let (mut world, graph) = Links::ring(1_000, 8).world(32);
    let builder = graph_convolutions(graph, [32; 3]).optimizer(adam());
    let train = Train(builder.build(&mut world).expect("the model fits the graph"));
    prepare(&mut world, train.0, train);
    stir(&mut world, train.0, train);
    (world, train)
}

fn empty_world() -> (World, Empty) {
    let (mut world, infer) = living_world();
    let empty = Empty::beside(&mut world, infer);
    (world, empty)
}

/// A world in which one edge changes its direction before the phases begin.
fn moving_world() -> (World, Infer) {
    let (mut world, infer) = living_world();
    let turn = |mut edges: Query<&mut Edge>| {
        if let Some(mut edge) = edges.iter_mut().next() {
            *edge = Edge { source: edge.target, target: edge.source };
        }
    };
    world.add_model_systems(infer, turn.before(GraphSystems::Sync)).expect("no other system writes edges");
    (world, infer)
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    hurry(&mut group);
    group.sample_size(50);
    measure(&mut group, "still/1k", 8_000, living_world);
    measure(&mut group, "learning/1k", 8_000, learning_world);
    measure(&mut group, "moving/1k", 8_000, moving_world);
    measure(&mut group, "empty/1k", 8_000, empty_world);
    group.finish();
}

criterion_group!(benches, tick);
criterion_main!(benches);
