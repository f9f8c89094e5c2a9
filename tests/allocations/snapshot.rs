//! A snapshot that is taken into warm buffers allocates nothing, and neither does one that is restored where no entity
//! was spawned, despawned or moved. A failure prints the counts.

use super::batch::when_warm;
use bevy_ecs::prelude::*;
use connectome_components::{ClassLabel, Edge, Graph, GraphNode, InSubgraph, Optimizer, Split, Subgraph};
use connectome_systems::{
    ModelBuilder, WorldModelExt,
    layers::{BatchNorm, GcnConv},
    snapshot::{Snapshot, SnapshotRing},
};

#[derive(Component, Clone, Copy)]
struct Position(#[expect(dead_code, reason = "it is only copied")] [f32; 3]);

#[derive(Component)]
struct Marked;

pub fn a_warm_snapshot_allocates_nothing() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let model = ModelBuilder::new(graph).input_width(4).layer(GcnConv::new(3)).layer(BatchNorm::new());
    let model = world.spawn_model(model.optimizer(Optimizer::adam(0.1))).unwrap();
    let subgraph = world.spawn(Subgraph).id();
    let bundle = (GraphNode, Split::Train, ClassLabel(1), InSubgraph(subgraph), Position([1.0; 3]));
    let nodes: Vec<Entity> = (0..500).map(|_| world.spawn(bundle).id()).collect();
    for (number, source) in nodes.iter().enumerate() {
        world.spawn(Edge { source: *source, target: nodes[(number * 7 + 1) % 500] });
    }
    nodes.iter().step_by(9).for_each(|node| _ = world.entity_mut(*node).insert(Marked));
    world.train(model).unwrap();
    let mut ring = SnapshotRing::new(Snapshot::new(graph).model(model).with::<Position>(), 4);
    let mut frame = 0;
    let mut take = |world: &World| {
        for _ in 0..4 {
            frame += 1;
            ring.take(world, frame).unwrap();
        }
    };
    let taken = when_warm(|| take(&world));
    world.train(model).unwrap();
    let taken_after_a_step = when_warm(|| take(&world));
    let restored = when_warm(|| assert!(ring.restore(&mut world, ring_frame(&ring)).unwrap().is_empty()));
    assert_eq!([taken, taken_after_a_step, restored], [0; 3], "allocations of snapshots taken and restored");
}

/// A frame that the ring holds.
fn ring_frame(ring: &SnapshotRing) -> u64 {
    (0..).find(|frame| ring.get(*frame).is_some()).unwrap_or(0)
}
