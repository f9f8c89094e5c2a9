//! The flock of `bevy/examples/flock.rs` in a window, with the edges along which agents see each other, drawn by the size of their
//! messages. Edit `bevy/assets/flock.brain.ron` while it flies.
//!
//! It is no member of the workspace: the umbrella crate `bevy` needs a newer toolchain than the engine. Run it in its folder:
//! `cargo run`.

#[expect(dead_code, reason = "the example has a report of its own")]
#[path = "../../examples/flock.rs"]
mod flock;

use bevy::{asset::AssetPlugin, prelude::*};
use bevy_connectome::{
    gizmos::{EdgeGizmos, EdgeGizmosApp},
    prelude::*,
};
use flock::{
    Flock,
    boids::{Position, SIDE, Velocity},
};

/// Pixels of one unit of the world.
const SCALE: f32 = 16.0;

fn main() {
    let assets = AssetPlugin { file_path: "../assets".to_owned(), ..default() };
    App::new()
        .add_plugins((DefaultPlugins.set(assets), flock::plugin))
        .draw_edges(EdgeGizmos::<Flock>::default())
        .add_systems(Startup, |mut commands: Commands| _ = commands.spawn(Camera2d))
        .add_systems(Update, (place, draw_agents, toggle).chain())
        .run();
}

/// Gives agents a place in the window.
fn place(
    mut commands: Commands,
    agents: Query<(Entity, &Position, Has<Transform>)>,
    mut places: Query<&mut Transform>,
) {
    for (agent, position, has_place) in &agents {
        let at = (SCALE * (position.0 - Vec2::splat(SIDE / 2.0))).extend(0.0);
        match places.get_mut(agent) {
            Ok(mut place) => place.translation = at,
            Err(_) if !has_place => _ = commands.entity(agent).insert(Transform::from_translation(at)),
            Err(_) => {}
        }
    }
}

fn draw_agents(agents: Query<(&Transform, &Velocity)>, mut gizmos: Gizmos) {
    for (place, velocity) in &agents {
        let from = place.translation.truncate();
        gizmos.arrow_2d(from, from + 0.8 * SCALE * velocity.0, Color::WHITE);
    }
}

/// Space stops and starts learning; P pauses the brain.
fn toggle(keys: Res<ButtonInput<KeyCode>>, brain: Single<(&mut BrainMode, &mut BrainClock), With<BrainOf<Flock>>>) {
    let (mut mode, mut clock) = brain.into_inner();
    if keys.just_pressed(KeyCode::Space) {
        *mode = if *mode == BrainMode::Train { BrainMode::Infer } else { BrainMode::Train };
    }
    if keys.just_pressed(KeyCode::KeyP) {
        clock.is_paused = !clock.is_paused;
    }
}
