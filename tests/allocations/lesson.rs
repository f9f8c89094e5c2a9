//! Frames between lessons allocate nothing for them, and lessons leave nothing behind. A failure prints the bytes.

use super::{LIVE, batch::when_warm};
use bevy_ecs::prelude::*;
use connectome_components::{Edge, Field, Graph, GraphNode, Loss, Optimizer, Split};
use connectome_systems::{
    LessonBuilder, ModelBuilder, WorldModelExt,
    layers::SageConv,
    snapshot::{Snapshot, SnapshotRing},
};
use std::sync::atomic::Ordering;

/// Frames from lesson to lesson.
const EVERY: u32 = 5;

pub fn memory_stays_the_same_from_lesson_to_lesson() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = world.register_component::<GraphNode>();
    let [input, targets] = ["input", "targets"].map(|name| Field::register(&mut world, name, nodes, 3).unwrap());
    let model = ModelBuilder::new(graph).input(input).layer(SageConv::new(3)).loss(Loss::MeanSquaredError);
    let model =
        LessonBuilder::new(model.targets(targets).optimizer(Optimizer::adam(0.1))).every(EVERY).arrives_after(3);
    let model = world.spawn_lesson(model).unwrap();
    let agents: Vec<Entity> = (0..300).map(|_| world.spawn((GraphNode, Split::Train)).id()).collect();
    for (number, source) in agents.iter().enumerate() {
        world.spawn(Edge { source: *source, target: agents[(number * 7 + 1) % 300] });
    }
    let mut ring = SnapshotRing::new(Snapshot::new(graph).model(model), 4);
    let mut frame = 0;
    let mut live = |frames: u32| {
        for _ in 0..frames {
            world.run_lesson(model).unwrap();
            world.infer(model).unwrap();
            ring.take(&world, frame).unwrap();
            frame += 1;
            world.clear_trackers();
        }
        LIVE.load(Ordering::Relaxed)
    };
    let (every, round) = (EVERY, 20 * EVERY);
    live(3 * round + 4);
    // No lesson is under way at this frame, but each is in some snapshots of the ring.
    let before = live(round);
    let after = live(5 * round);
    let growth = after as f64 - before as f64;
    println!("100 lessons leave {growth} bytes");
    assert!(growth.abs() <= 4096.0, "100 lessons leave {growth} bytes");
    let of_a_lesson = when_warm(|| _ = live(every));
    println!("a lesson and {every} frames allocate {of_a_lesson} times");
}
