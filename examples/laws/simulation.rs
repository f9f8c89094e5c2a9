//! Particles that move by one of two laws, as the generator of NRI simulates them (Kipf et al., "Neural relational inference
//! for interacting systems", ICML 2018).

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{
    components::{Edge, InSubgraph, Split, Subgraph},
    systems::random::Philox,
};

pub(crate) const PARTICLES: usize = 5;

/// What a particle knows: where it is, how it moves, how its velocity has changed just now, and its charge.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Motion {
    pub(crate) position: [f32; 2],
    pub(crate) velocity: [f32; 2],
    pub(crate) change: [f32; 2],
    pub(crate) charge: f32,
}

/// How its velocity changes next.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct NextChange(pub(crate) [f32; 2]);

/// How particles act on each other that are bound.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    /// A spring: the force is proportional to the distance.
    Spring,
    /// Like charges repel each other and unlike ones attract, less so at a distance.
    Charge,
}

/// Steps of the simulation between two frames.
const STEPS: usize = 100;
const STEP: f64 = 0.001;

impl Law {
    /// The force on a particle from another one, `offset` away from it.
    fn force(self, offset: [f64; 2], charges: f64) -> [f64; 2] {
        let square = offset[0].powi(2) + offset[1].powi(2);
        let factor = match self {
            Self::Spring => -1.5,
            // Softened, so that close particles do not fly apart.
            Self::Charge => charges / (square + 0.2).powf(1.5),
        };
        offset.map(|offset| factor * offset)
    }
}

/// A system of particles.
struct Particles {
    law: Law,
    positions: [[f64; 2]; PARTICLES],
    velocities: [[f64; 2]; PARTICLES],
    charges: [f64; PARTICLES],
    bound: Vec<[usize; 2]>,
}

impl Particles {
    /// Each pair is bound with probability 1/2, whatever the law.
    fn new(law: Law, seed: u64) -> Self {
        let mut draws = [0.0; 64];
        Philox::new(seed, 0, 0).fill_uniform(&mut draws);
        let mut draws = draws.into_iter().map(f64::from);
        let mut draw = || draws.next().unwrap_or(0.5);
        let positions = [(); PARTICLES].map(|()| [(); 2].map(|()| 3.0 * draw() - 1.5));
        let velocities = [(); PARTICLES].map(|()| {
            let angle = core::f64::consts::TAU * draw();
            [0.5 * angle.cos(), 0.5 * angle.sin()]
        });
        let charges = [(); PARTICLES].map(|()| if draw() < 0.5 { -1.0 } else { 1.0 });
        let pairs = (0..PARTICLES).flat_map(|one| (0..one).map(move |other| [one, other]));
        let bound = pairs.filter(|_| draw() < 0.5).collect();
        Self { law, positions, velocities, charges, bound }
    }

    fn forces(&self) -> [[f64; 2]; PARTICLES] {
        let mut forces = [[0.0; 2]; PARTICLES];
        for &[one, other] in &self.bound {
            let offset = [0, 1].map(|axis| self.positions[one][axis] - self.positions[other][axis]);
            let force = self.law.force(offset, self.charges[one] * self.charges[other]);
            for axis in [0, 1] {
                forces[one][axis] += force[axis];
                forces[other][axis] -= force[axis];
            }
        }
        forces
    }

    /// Moves on by a frame, by the leapfrog method.
    fn advance(&mut self) {
        for _ in 0..STEPS {
            let forces = self.forces();
            for (particle, force) in forces.iter().enumerate() {
                for (axis, force) in force.iter().enumerate() {
                    self.velocities[particle][axis] += STEP * force;
                    self.positions[particle][axis] += STEP * self.velocities[particle][axis];
                }
            }
        }
    }
}

/// Spawns systems of particles, of the one law and the other in turn; returns the entities of the systems.
pub(crate) fn spawn(world: &mut World, count: usize, split: Split, seed: u64) -> Vec<Entity> {
    (0..count as u64).map(|index| spawn_one(world, split, seed << 32 | index)).collect()
}

fn spawn_one(world: &mut World, split: Split, seed: u64) -> Entity {
    /// What makes a change of velocity about as large as 1.
    const SCALE: f64 = 5.0;
    let law = if seed.is_multiple_of(2) { Law::Spring } else { Law::Charge };
    let mut particles = Particles::new(law, seed);
    let difference = |after: &[[f64; 2]; PARTICLES], before: &[[f64; 2]; PARTICLES], particle: usize| {
        [0, 1].map(|axis| (SCALE * (after[particle][axis] - before[particle][axis])) as f32)
    };
    let first = particles.velocities;
    particles.advance();
    let (positions, now) = (particles.positions, particles.velocities);
    particles.advance();
    let subgraph = world.spawn((Subgraph, law, split)).id();
    let nodes: Vec<Entity> = (0..PARTICLES)
        .map(|particle| {
            let motion = Motion {
                position: positions[particle].map(|value| value as f32),
                velocity: now[particle].map(|value| value as f32),
                change: difference(&now, &first, particle),
                charge: particles.charges[particle] as f32,
            };
            let next = NextChange(difference(&particles.velocities, &now, particle));
            world.spawn((motion, next, split, InSubgraph(subgraph))).id()
        })
        .collect();
    for [one, other] in &particles.bound {
        let [one, other] = [nodes[*one], nodes[*other]];
        world.spawn_batch([Edge { source: one, target: other }, Edge { source: other, target: one }]);
    }
    subgraph
}
