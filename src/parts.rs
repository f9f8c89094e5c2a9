//! The models that a model consists of: itself and, of a mixture of experts, its gate and its experts.

use bevy_ecs::{entity::Entity, world::World};

use crate::components::{Field, MixtureOfExperts, Model, Parameter};
use crate::systems::{expert_world, expert_world_mut};

/// A model that is a part of another one, or that itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelPart {
    Model,
    Gate(Entity),
    Expert(usize),
}

/// The parts of a model: itself first.
pub(crate) fn parts(world: &World, model: Entity) -> Vec<ModelPart> {
    let mixture = world.get::<MixtureOfExperts>(model);
    let gate = mixture.map(|mixture| ModelPart::Gate(mixture.gate));
    let experts = mixture.map_or(0, |mixture| mixture.experts.len());
    [ModelPart::Model].into_iter().chain(gate).chain((0..experts).map(ModelPart::Expert)).collect()
}

impl ModelPart {
    /// Its place among all parts.
    fn place(self) -> usize {
        match self {
            Self::Model => 0,
            Self::Gate(_) => 1,
            Self::Expert(index) => 2 + index,
        }
    }

    /// Its entity, and the world that it is in; none if it was removed.
    pub fn of(self, world: &World, model: Entity) -> Option<(&World, Entity)> {
        match self {
            Self::Model => Some((world, model)),
            Self::Gate(gate) => Some((world, gate)),
            Self::Expert(index) => expert_world(world, model, index).ok(),
        }
    }

    /// As [`ModelPart::of`].
    pub fn of_mut(self, world: &mut World, model: Entity) -> Option<(&mut World, Entity)> {
        match self {
            Self::Model => Some((world, model)),
            Self::Gate(gate) => Some((world, gate)),
            Self::Expert(index) => expert_world_mut(world, model, index).ok(),
        }
    }
}

/// What the names of a part's parameters begin with among those of all parts, by its place.
pub(crate) fn prefix(place: usize) -> String {
    match place {
        0 => String::new(),
        1 => "gate.".to_owned(),
        place => format!("experts.{}.", place - 2),
    }
}

/// A parameter of a part.
#[derive(Clone, Debug)]
pub(crate) struct PartParameter {
    pub part: ModelPart,
    pub parameter: Parameter,
}

/// The parameters of all parts of a model, part by part in the order of their layers.
pub(crate) fn parameters(world: &World, model: Entity) -> Vec<PartParameter> {
    let of_part = |part: ModelPart| {
        let parameters = part.of(world, model).map_or_else(Vec::new, |(world, model)| {
            let owners = world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
            owners.iter().filter_map(|owner| world.get::<Parameter>(*owner).cloned()).collect()
        });
        parameters.into_iter().map(move |parameter| PartParameter { part, parameter })
    };
    parts(world, model).into_iter().flat_map(of_part).collect()
}

impl PartParameter {
    /// Its name among those of all parts.
    pub fn name(&self) -> String {
        prefix(self.part.place()) + &self.parameter.name
    }

    /// Its numbers.
    pub fn numbers<'a>(&self, world: &'a World, model: Entity) -> &'a [f32] {
        self.part.of(world, model).map_or(&[], |(world, _)| row(world, self.parameter.value))
    }

    /// Its numbers, marked as changed.
    pub fn numbers_mut<'a>(&self, world: &'a mut World, model: Entity) -> &'a mut [f32] {
        let Some((world, _)) = self.part.of_mut(world, model) else { return &mut [] };
        self.parameter.value.matrix_mut(world).rows_mut().next().unwrap_or(&mut [])
    }
}

/// The row of a field that one entity has.
fn row(world: &World, field: Field) -> &[f32] {
    field.matrix(world).rows().next().unwrap_or(&[])
}
