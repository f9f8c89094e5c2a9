//! The models that a scene's model consists of: itself, and of a mixture also its gate and its experts.

use bevy_ecs::{entity::Entity, world::World};
use connectome::components::{MixtureOfExperts, Model, Parameter};
use connectome::scene::{LayerDescription, SceneFile};
use connectome::systems::{Infer, Plans, SystemDescription, Train, describe_schedule, expert_world, program::Plan};

/// One of the models.
pub struct Part<'a> {
    /// What it is called, such as `experts 0 to 3`; empty if it is the model.
    pub title: String,
    /// What the names of its parameters begin with in weight files.
    pub prefix: String,
    /// Its layers, as the scene describes them.
    pub layers: &'a [LayerDescription],
    /// The experts that are built alike; none unless it is one.
    pub experts: Vec<usize>,
    pub world: &'a World,
    pub model: Entity,
    pub plans: &'a Plans,
}

impl<'a> Part<'a> {
    /// The parts in the order in which they compute, with the first one of experts that are built alike.
    pub fn all(world: &'a World, model: Entity, scene: &'a SceneFile) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut add = |title, prefix, layers, experts, world: &'a World, model| {
            if let Some(plans) = world.get::<Plans>(model) {
                parts.push(Self { title, prefix, layers, experts, world, model, plans });
            }
        };
        if let (Some(mixture), Some(component)) = (&scene.mixture, world.get::<MixtureOfExperts>(model)) {
            add("gate".to_owned(), "gate.".to_owned(), &mixture.gate_layers, Vec::new(), world, component.gate);
            let mut first = 0;
            for expert in &mixture.experts {
                let experts: Vec<usize> = (first..first + expert.count).collect();
                let title = match experts[..] {
                    [] => continue,
                    [only] => format!("expert {only}"),
                    [first, .., last] => format!("experts {first} to {last}"),
                };
                if let Ok((world, model)) = expert_world(world, model, first) {
                    add(title, format!("experts.{first}."), &expert.layers, experts, world, model);
                }
                first += expert.count;
            }
        }
        add(String::new(), String::new(), &scene.model, Vec::new(), world, model);
        parts
    }

    /// What is written before something of it.
    pub fn heading(&self) -> String {
        if self.title.is_empty() { String::new() } else { format!("{}: ", self.title) }
    }

    /// The plans to train and to infer, as far as they are asked for, each with the systems of its schedule.
    pub fn shown(&self, [training, inference]: [bool; 2]) -> [Option<(&Plan, Vec<SystemDescription>)>; 2] {
        let (world, model) = (self.world, self.model);
        let training = self.plans.training().filter(|_| training);
        [
            training.map(|plan| (plan, describe_schedule(world, Train(model)))),
            inference.then(|| (self.plans.inference(), describe_schedule(world, Infer(model)))),
        ]
    }

    /// Its parameters and buffers, by name.
    pub fn parameters(&self) -> Vec<(String, Parameter)> {
        let owners = self.world.get::<Model>(self.model).map_or(&[][..], |model| &model.parameters);
        let parameters = owners.iter().filter_map(|owner| self.world.get::<Parameter>(*owner));
        let mut named: Vec<(String, Parameter)> =
            parameters.map(|parameter| (format!("{}{}", self.prefix, parameter.name), parameter.clone())).collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        named
    }
}
