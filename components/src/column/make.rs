//! Components that are given to entities by their id.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    resource::Resource,
    world::{EntityWorldMut, World},
};

use super::register::{Initial, insert_zeros};
use crate::{FieldError, GraphNode, Subgraph};

/// How components are made that were named by their id alone.
#[derive(Resource, Default)]
pub(super) struct Defaults(Vec<(ComponentId, Initial)>);

impl Defaults {
    pub(super) fn add(&mut self, id: ComponentId, initial: Initial) {
        if !self.0.iter().any(|(known, _)| *known == id) {
            self.0.push((id, initial));
        }
    }
}

/// Says that entities which are given a component `T` by its id get `T::default()`, as [`insert_default`] does.
///
/// For a component of yours that makes entities nodes, edges or subgraphs of a graph into which batches are loaded.
pub fn register_default<T: Component + Default>(world: &mut World) -> ComponentId {
    let id = world.register_component::<T>();
    let insert = |mut entity: EntityWorldMut| {
        entity.insert(T::default());
    };
    world.get_resource_or_init::<Defaults>().add(id, Initial::Default(insert));
    id
}

/// Gives living entities the component `id`: [`GraphNode`], [`Subgraph`], a [`Marker`](crate::Marker), or one that
/// [`register_default`] was told of. The dead are passed over.
///
/// # Errors
/// If nobody has said how such a component is made, even if there is no entity to give it to.
pub fn insert_default(world: &mut World, entities: &[Entity], id: ComponentId) -> Result<(), FieldError> {
    let known = |defaults: &Defaults| defaults.0.iter().find(|(known, _)| *known == id).map(|(_, initial)| *initial);
    let initial = match world.get_resource::<Defaults>().and_then(known) {
        Some(initial) => initial,
        None if world.component_id::<GraphNode>() == Some(id) => return insert(world, entities, GraphNode),
        None if world.component_id::<Subgraph>() == Some(id) => return insert(world, entities, Subgraph),
        None => {
            let name = world.components().get_name(id).map_or_else(|| format!("{id:?}"), |name| name.to_string());
            return Err(FieldError::NoDefault { name });
        }
    };
    for entity in entities {
        match (initial, world.get_entity_mut(*entity)) {
            (Initial::Zeros, Ok(_)) => insert_zeros(world, *entity, &[id]),
            (Initial::Default(insert), Ok(entity)) => insert(entity),
            (_, Err(_)) => {}
        }
    }
    Ok(())
}

fn insert(world: &mut World, entities: &[Entity], component: impl Component + Copy) -> Result<(), FieldError> {
    for entity in entities {
        if let Ok(mut entity) = world.get_entity_mut(*entity) {
            entity.insert(component);
        }
    }
    Ok(())
}
