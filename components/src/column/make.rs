//! Insertion of components by their id.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    resource::Resource,
    world::{EntityWorldMut, World},
};

use super::register::{Initial, insert_zeros};
use crate::{FieldError, GraphNode, Subgraph};

/// How components are created by their id.
#[derive(Resource, Default)]
pub(super) struct Defaults(Vec<(ComponentId, Initial)>);

impl Defaults {
    pub(super) fn add(&mut self, id: ComponentId, initial: Initial) {
        if !self.0.iter().any(|(known, _)| *known == id) {
            self.0.push((id, initial));
        }
    }
}

/// Registers `T::default()` as the value of `T` for [`insert_default`].
///
/// Needed for a component of your own that marks the nodes, edges or subgraphs of a graph into which batches are
/// loaded.
pub fn register_default<T: Component + Default>(world: &mut World) -> ComponentId {
    let id = world.register_component::<T>();
    let insert = |mut entity: EntityWorldMut| {
        entity.insert(T::default());
    };
    world.get_resource_or_init::<Defaults>().add(id, Initial::Default(insert));
    id
}

/// Inserts the component `id` into living entities: [`GraphNode`], [`Subgraph`], a [`Marker`](crate::Marker), or one
/// registered by [`register_default`]. Dead entities are skipped.
///
/// # Errors
/// If no default of the component is registered, even if there are no entities.
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
