//! An epoch in a resident world allocates nothing once it is warm, beyond what bevy_ecs does to run as many systems
//! that do nothing. A failure prints the counts.

use super::ALLOCATIONS;
use bevy_ecs::{
    schedule::{Schedule, SingleThreadedExecutor},
    world::World,
};
use connectome::{
    Trainer,
    components::TrainingState,
    scene::SceneFile,
    systems::{Evaluate, Train, Workers, describe_schedule},
};
use std::sync::atomic::Ordering;

const EPOCHS: usize = 20;

/// Allocations in the mean of some warm epochs: of several rounds the fewest, for on a busy machine a worker may come to its
/// first work, and to the buffers that it keeps, long after the others.
fn allocations_in(mut epoch: impl FnMut()) -> f64 {
    let mut round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..EPOCHS).for_each(|_| epoch());
        (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / EPOCHS as f64
    };
    round();
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// What an epoch allocates, and how many systems it runs.
fn of_training(workers: usize) -> (f64, usize) {
    let (scene, data) = SceneFile::load("assets/cora.ron").unwrap();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::new(workers).unwrap()).unwrap();
    let model = trainer.entities().model;
    let workers = trainer.world().resource::<Workers>().clone();
    let allocations = workers.install(|| allocations_in(|| _ = trainer.epoch().unwrap()));
    let world = trainer.world();
    assert!(world.get::<TrainingState>(model).unwrap().step > EPOCHS as u64);
    (allocations, describe_schedule(world, Train(model)).len() + describe_schedule(world, Evaluate(model)).len())
}

/// What bevy_ecs allocates to run so many systems that do nothing.
fn of_empty_systems(count: usize) -> f64 {
    let mut world = World::new();
    let mut schedule = Schedule::default();
    schedule.set_executor(SingleThreadedExecutor::new());
    (0..count).for_each(|_| {
        schedule.add_systems(|| {});
    });
    allocations_in(|| schedule.run(&mut world))
}

pub fn a_warm_epoch_allocates_no_more_than_bevy_does() {
    for workers in [1, 2, 3] {
        let (training, systems) = of_training(workers);
        let empty = of_empty_systems(systems);
        println!("{workers} workers: {training} allocations an epoch; {empty} by bevy_ecs");
        assert!(training <= empty, "{workers} workers: {training} allocations, {empty} by bevy_ecs");
    }
}
