//! The world of the flock: agents that see their nearest neighbors, and the headings that the boids of Reynolds (1987) would
//! take.

use bevy_app::{App, Startup};
use bevy_connectome::prelude::*;
use bevy_ecs::prelude::*;
use glam::Vec2;

const AGENTS: usize = 120;
/// How many neighbors an agent sees.
const SEEN: usize = 6;
/// The world is a square of this side: who flies out on the right comes in on the left.
pub(crate) const SIDE: f32 = 40.0;
const SPEED: f32 = 0.5;

#[derive(Component)]
pub(crate) struct Position(pub(crate) Vec2);

/// In units of the speed.
#[derive(Component, Default, Features)]
pub(crate) struct Velocity(pub(crate) Vec2);

/// What an agent sees of its neighbors.
#[derive(Component, Default, Features)]
pub(crate) struct Surroundings {
    /// From the agent to the middle of them.
    #[features(scale = 0.2)]
    middle: Vec2,
    /// Away from those that are too close.
    #[features(scale = 0.5)]
    escape: Vec2,
}

/// The heading that the teacher would take.
#[derive(Component, Default, Features)]
pub(crate) struct Wish(pub(crate) Vec2);

/// The edges along which an agent hears from those it sees.
#[derive(Component)]
pub(crate) struct Sight([Entity; SEEN]);

impl Velocity {
    /// Turns toward a heading.
    pub(crate) fn turn(&mut self, heading: Vec2) {
        self.0 = (self.0 + 0.3 * heading.clamp_length_max(1.0)).normalize_or(Vec2::X);
    }
}

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn);
    let observe = (watch, look_around).chain().in_set(BrainSystems::Observe);
    app.add_systems(BrainSchedule, (observe, fly.in_set(BrainSystems::Act)));
}

/// Agents anywhere, by a sequence of low discrepancy.
fn spawn(mut commands: Commands) {
    for number in 1..=AGENTS {
        let [x, y, turn] = [0.819_172_5, 0.671_043_6, 0.549_700_5].map(|step| (number as f32 * step).fract());
        let (position, velocity) = (Position(SIDE * Vec2::new(x, y)), Velocity(Vec2::from_angle(7.0 * turn)));
        let agent = commands.spawn((position, velocity, Wish::default(), Split::Train)).id();
        let edges = [(); SEEN].map(|()| commands.spawn(Edge { source: agent, target: agent }).id());
        commands.entity(agent).insert(Sight(edges));
    }
}

/// The shortest way from one place to another.
fn way(from: Vec2, to: Vec2) -> Vec2 {
    let way = to - from;
    way - SIDE * (way / SIDE).round()
}

/// Turns the edges of each agent to its nearest neighbors.
fn watch(agents: Query<(Entity, &Position, &Sight)>, mut edges: Query<&mut Edge>) {
    for (agent, position, sight) in &agents {
        let others = agents.iter().filter(|(other, ..)| *other != agent);
        let mut others: Vec<(f32, Entity)> =
            others.map(|(other, at, _)| (way(position.0, at.0).length_squared(), other)).collect();
        others.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (edge, (_, other)) in sight.0.iter().zip(others) {
            let Ok(edge) = edges.get_mut(*edge) else { continue };
            edge.map_unchanged(|edge| &mut edge.source).set_if_neq(other);
        }
    }
}

fn look_around(
    mut agents: Query<(&Position, &Sight, &mut Surroundings, &mut Wish)>,
    others: Query<(&Position, &Velocity)>,
    edges: Query<&Edge>,
) {
    for (position, sight, mut surroundings, mut wish) in &mut agents {
        let (mut drift, mut middle, mut escape) = (Vec2::ZERO, Vec2::ZERO, Vec2::ZERO);
        for (other, velocity) in others.iter_many(edges.iter_many(sight.0).flatten().map(|edge| edge.source)).flatten()
        {
            let way = way(position.0, other.0);
            drift += velocity.0 / SEEN as f32;
            middle += way / SEEN as f32;
            escape -= way / way.length_squared().max(0.1);
        }
        wish.0 = (drift + 0.2 * middle + 0.3 * escape).clamp_length_max(1.0);
        *surroundings = Surroundings { middle, escape };
    }
}

pub(crate) fn fly(mut agents: Query<(&mut Position, &Velocity)>) {
    for (mut position, velocity) in &mut agents {
        position.0 = (position.0 + SPEED * velocity.0).rem_euclid(Vec2::splat(SIDE));
    }
}
