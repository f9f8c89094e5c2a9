//! Moods spread among friends: a network that lives in the world learns how, and then says who will be how happy.
//!
//! The model reads a component, learns another and writes a third; no system, no copy.
#![forbid(unsafe_code)]

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::prelude::*;

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Mood(f32);

/// What the mood became in the end.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Later(f32);

/// What the network predicts.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Forecast(f32);

fn main() -> Result {
    let mut world = World::new();
    let graph = Graph::of::<Mood, Edge>(&mut world);
    let model = ModelBuilder::new(graph).reads::<Mood>().layer(SageConv::new(8)).layer(Activation::Tanh);
    let model = model.layer(Linear::new(1)).writes::<Forecast>();
    let model = world.spawn_model(model.learns::<Later>(Loss::MeanSquaredError, Optimizer::adam(0.01)))?;

    // Each has one friend, whose mood is caught by half.
    let moods = |number: usize| (number as f32).sin();
    let later = |number: usize| Later(0.5 * moods(number) + 0.5 * moods((number + 99) % 100));
    let people: Vec<Entity> = (0..100).map(|n| world.spawn((Mood(moods(n)), later(n), Split::Train)).id()).collect();
    (0..100).for_each(|n| drop(world.spawn(Edge { source: people[(n + 99) % 100], target: people[n] })));

    for _ in 0..500 {
        world.train(model)?;
    }
    world.infer(model)?;
    for (mood, later, forecast) in world.query::<(&Mood, &Later, &Forecast)>().iter(&world).take(5) {
        println!("{:>5.2} became {:>5.2}, forecast {:>5.2}", mood.0, later.0, forecast.0);
    }
    Ok(())
}
