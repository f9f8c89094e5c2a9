//! Markers that tell the components of one model from those of others.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    lifecycle::HookContext,
    resource::Resource,
    world::{DeferredWorld, World},
};

use crate::{FieldError, Marker};

/// The number of a model among those of its world; the entity carries the marker of this number.
///
/// A query of components of one model is limited to entities with its own marker and without the markers of lower
/// numbers. Of two such queries for different models one excludes the other's marker, so that the scheduler runs their
/// systems in parallel, and still orders both against a plain `Query<&Metrics>`.
///
/// The number is that of a despawned model, if there is one: bevy_ecs cannot unregister a component.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(immutable, clone_behavior = Ignore, on_remove = release)]
pub struct ModelMarker(usize);

/// The markers of a world.
#[derive(Resource, Default)]
struct ModelMarkers {
    markers: Vec<Marker>,
    /// The indices of the markers that no model carries.
    free: Vec<usize>,
}

impl ModelMarker {
    /// Marks a model by the next free number.
    ///
    /// # Errors
    /// If the entity is not alive.
    pub fn insert(world: &mut World, model: Entity) -> Result<(), FieldError> {
        let mut known = world.get_resource_or_init::<ModelMarkers>();
        let count = known.markers.len();
        let (number, marker) = match known.free.pop() {
            Some(number) => (number, known.markers[number]),
            None => {
                let marker = Marker::untyped(world, &format!("model {count}"));
                world.resource_mut::<ModelMarkers>().markers.push(marker);
                (count, marker)
            }
        };
        let inserted = marker.insert(world, model);
        match world.get_entity_mut(model) {
            Ok(mut model) => {
                model.insert(Self(number));
            }
            Err(_) => world.resource_mut::<ModelMarkers>().free.push(number),
        }
        inserted
    }

    /// The marker of this model, and those of lower numbers.
    pub fn filter(self, world: &World) -> Option<(ComponentId, impl Iterator<Item = ComponentId> + use<'_>)> {
        let markers = &world.get_resource::<ModelMarkers>()?.markers;
        let own = markers.get(self.0)?;
        Some((own.id(), markers[..self.0].iter().map(Marker::id)))
    }
}

fn release(mut world: DeferredWorld, HookContext { entity, .. }: HookContext) {
    let Some(ModelMarker(number)) = world.get::<ModelMarker>(entity).copied() else { return };
    if let Some(mut known) = world.get_resource_mut::<ModelMarkers>() {
        known.free.push(number);
    }
}
