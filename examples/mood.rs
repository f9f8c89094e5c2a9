//! Moods spread among friends: a network that lives in the world learns how, while it runs.
//!
//! The model reads a component, learns to predict another and writes a third: no system, no handle, no glue.
#![forbid(unsafe_code)]

use bevy_ecs::prelude::*;
use connectome::prelude::*;

#[derive(Component, Default, Features)]
struct Mood(f32);
#[derive(Component, Default, Features)]
struct Tomorrow(f32);
#[derive(Component, Default, Features)]
struct Forecast(f32);

fn main() -> Result {
    let mut world = World::new();
    let graph = Graph::of::<Mood, Edge>(&mut world);
    let model = ModelBuilder::new(graph)
        .reads::<Mood>()
        .layer(SageConv::new(1))
        .writes::<Forecast>()
        .learns::<Tomorrow>(Loss::MeanSquaredError, Optimizer::adam(0.01));
    let model = world.spawn_model(model)?;
    // One hundred in a circle; the mood of each moves half way to that of the one before.
    let mood = |n: usize| (n as f32).sin();
    let tomorrow = |n: usize| Tomorrow(0.5 * mood(n) + 0.5 * mood((n + 99) % 100));
    let people: Vec<Entity> = (0..100).map(|n| world.spawn((Mood(mood(n)), tomorrow(n), Split::Train)).id()).collect();
    world.spawn_batch((0..100).map(|n| Edge { source: people[(n + 99) % 100], target: people[n] }).collect::<Vec<_>>());
    for _ in 0..500 {
        world.train(model)?;
    }
    for (tomorrow, forecast) in world.query::<(&Tomorrow, &Forecast)>().iter(&world).take(5) {
        println!("it will be {:>5.2}, and the forecast is {:>5.2}", tomorrow.0, forecast.0);
    }
    Ok(())
}
