//! A flock that learns to fly in a Bevy app, without a window; what it flies by is in `flock/boids.rs`.
//!
//! Run it with `cargo run --release -p bevy_connectome --features file_watcher --example flock`, and edit
//! `bevy/assets/flock.brain.ron` meanwhile: the network is built anew, and keeps what it has learned.
#[path = "flock/boids.rs"]
pub(crate) mod boids;

use bevy_app::{App, FixedUpdate, ScheduleRunnerPlugin, TaskPoolPlugin};
use bevy_asset::AssetPlugin;
use bevy_connectome::prelude::*;
use bevy_ecs::prelude::*;
use bevy_time::TimePlugin;
use boids::{Surroundings, Velocity, Wish};
use glam::Vec2;

#[derive(Component, Default, Features)]
pub(crate) struct Steering(pub(crate) Vec2);

pub(crate) struct Flock;

impl Brain for Flock {
    type Node = Velocity;
    type Edge = Edge;
    type Input = (Velocity, Surroundings);
    type Output = Steering;

    fn connect(model: ModelBuilder) -> ModelBuilder {
        model.predicts::<Wish>()
    }
}

fn steer(flock: Output<Flock>, mut agents: Query<(Entity, &mut Velocity)>) {
    for (agent, mut velocity) in &mut agents {
        flock.of(agent).into_iter().for_each(|steering| velocity.turn(steering.0));
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_plugins((ConnectomePlugins::in_schedule(FixedUpdate), boids::plugin));
    app.add_brain::<Flock>("flock.brain.ron", BrainMode::Train);
    app.add_systems(BrainSchedule, steer.in_set(BrainSystems::Act).before(boids::fly));
}

fn main() {
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), TimePlugin, AssetPlugin::default(), ScheduleRunnerPlugin::default()));
    app.add_plugins(plugin).add_systems(FixedUpdate, report).run();
}

/// Says now and then how it goes.
fn report(brain: Single<&BrainStatus, With<BrainOf<Flock>>>, agents: Query<(&Steering, &Wish)>, mut tick: Local<u32>) {
    *tick += 1;
    if (*tick).is_multiple_of(64) {
        let distance: f32 = agents.iter().map(|(steering, wish)| steering.0.distance(wish.0)).sum();
        let [build, run] = [&brain.build_error, &brain.tick_error].map(|error| error.as_deref().unwrap_or_default());
        println!("built {} times, off by {:.3} {build} {run}", brain.builds, distance / agents.iter().len() as f32);
    }
}
