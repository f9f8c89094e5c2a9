//! Lessons: weights are those of a plain loop at every frame, wherever and however fast lessons are computed, also in a
//! world that is rolled back; and what goes wrong is reported while the world goes on.

mod bits;
mod errors;
mod inputs;
mod kinds;
mod rollback;

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome_components::{
    Edge, Graph, GraphKey, LessonProgress, Loss, Model, Optimizer, Parameter, Split, register_default,
};
use connectome_systems::{
    LessonBuilder, ModelBuilder, Workers, WorldModelExt,
    kernels::Activation,
    layers::{BatchNorm, Dropout, Linear, SageConv},
    random::Philox,
};

/// What an agent sees.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, serde::Serialize, serde::Deserialize)]
#[repr(C)]
struct Sight([f32; 3]);

/// What it should do.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, serde::Serialize, serde::Deserialize)]
#[repr(C)]
struct Wish([f32; 2]);

/// What it does, by the model.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, serde::Serialize, serde::Deserialize)]
#[repr(C)]
struct Deed([f32; 2]);

/// A world whose agents are moved by a model while it learns; agents and edges come and go.
struct Game {
    world: World,
    graph: Entity,
    model: Entity,
}

fn draw<const N: usize>(purpose: u32, frame: u64) -> [f32; N] {
    let mut numbers = [0.0; N];
    Philox::new(11, purpose, frame).fill_uniform(&mut numbers);
    numbers
}

/// The model, with what depends on random numbers, and on more than weights.
fn brain(graph: Entity) -> ModelBuilder {
    ModelBuilder::new(graph)
        .name("brain")
        .seed(5)
        .reads::<Sight>()
        .layer(Dropout(0.2))
        .layer(SageConv::new(6))
        .layer(BatchNorm::new())
        .layer(Activation::Tanh)
        .layer(Linear::new(2))
        .writes::<Deed>()
        .learns::<Wish>(Loss::MeanSquaredError, Optimizer::adam(0.02))
}

/// Lessons that overlap with frames in which none is under way.
fn lessons(graph: Entity) -> LessonBuilder {
    LessonBuilder::new(brain(graph)).every(7).arrives_after(4).steps(3)
}

impl Game {
    fn new(lessons: impl FnOnce(Entity) -> LessonBuilder) -> Self {
        let mut game = Self::empty(lessons);
        (0..24).for_each(|number| _ = game.spawn(number));
        for number in 0..60 {
            game.connect(number);
        }
        game
    }

    fn empty(lessons: impl FnOnce(Entity) -> LessonBuilder) -> Self {
        let mut world = World::new();
        register_default::<Sight>(&mut world);
        world.insert_resource(Workers::single());
        let graph = Graph::of::<Sight, Edge>(&mut world);
        let model = world.spawn_lesson(lessons(graph)).unwrap();
        Self { world, graph, model }
    }

    fn agents(&mut self) -> Vec<Entity> {
        let mut query = self.world.query_filtered::<(Entity, &GraphKey), With<Sight>>();
        let mut agents: Vec<(GraphKey, Entity)> = query.iter(&self.world).map(|(agent, key)| (*key, agent)).collect();
        agents.sort_unstable();
        agents.into_iter().map(|(_, agent)| agent).collect()
    }

    fn spawn(&mut self, number: u64) -> Entity {
        let sight = Sight(draw(1, number).map(|number: f32| 2.0 * number - 1.0));
        self.world.spawn((sight, Wish::default(), Deed::default(), Split::Train, GraphKey::new(number))).id()
    }

    fn connect(&mut self, number: u64) {
        let agents = self.agents();
        let [source, target] = draw(2, number).map(|place| agents[(place * agents.len() as f32) as usize]);
        self.world.spawn((Edge { source, target }, GraphKey::new(number)));
    }

    /// What happens in a frame before the model computes: it depends on its number and on the world alone.
    fn live(&mut self, frame: u64) {
        let [birth, death, who, edge] = draw(3, frame);
        if birth < 0.3 {
            self.spawn(1000 + frame);
            self.connect(2000 + frame);
        }
        if death < 0.2 {
            let agents = self.agents();
            let agent = agents[(who * agents.len() as f32) as usize];
            self.world.despawn(agent);
        }
        if edge < 0.5 {
            self.connect(3000 + frame);
        }
        for (mut sight, mut wish, deed) in
            self.world.query::<(&mut Sight, &mut Wish, &Deed)>().iter_mut(&mut self.world)
        {
            sight.0[0] = 0.9 * sight.0[0] + 0.1 * deed.0[0];
            sight.0[2] = (sight.0[2] + 0.1).fract();
            wish.0 = [sight.0[1] - sight.0[0], sight.0[2] * sight.0[1]];
        }
    }

    /// One frame.
    fn frame(&mut self, frame: u64) {
        self.live(frame);
        self.world.run_lesson(self.model).unwrap();
        self.world.infer(self.model).unwrap();
    }

    fn progress(&self) -> &LessonProgress {
        self.world.get(self.model).unwrap()
    }

    /// The bits of all weights, and of all that agents do.
    fn bits(&mut self) -> Vec<u32> {
        let deeds: Vec<u32> = self
            .agents()
            .into_iter()
            .flat_map(|agent| self.world.get::<Deed>(agent).unwrap().0.map(f32::to_bits))
            .collect();
        weights(&self.world, self.model).into_iter().map(f32::to_bits).chain(deeds).collect()
    }

    /// The bits of so many frames.
    fn play(&mut self, frames: u64) -> Vec<Vec<u32>> {
        (0..frames)
            .map(|frame| {
                self.frame(frame);
                self.bits()
            })
            .collect()
    }
}

/// The values of all parameters and buffers of a model.
fn weights(world: &World, model: Entity) -> Vec<f32> {
    let parameters = &world.get::<Model>(model).unwrap().parameters;
    let value = |entity: &Entity| world.get::<Parameter>(*entity).unwrap().value;
    parameters
        .iter()
        .flat_map(|entity| value(entity).matrix(world).rows().flatten().copied().collect::<Vec<f32>>())
        .collect()
}
