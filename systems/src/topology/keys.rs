//! Keys that follow a component of the user's own.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::Insert,
    observer::On,
    system::{Commands, Query},
    world::World,
};
use connectome_components::GraphKey;

/// Lets the [`GraphKey`] of every entity with component `K` be a number of it, as the one by which peers of a network game
/// or frames of a rollback know it; from now on, and for those that are there.
///
/// The key follows whenever `K` is inserted, not when it is changed in place. See [`GraphKey::new`] for the numbers.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{GraphKey, GraphNode};
/// use connectome_systems::key_by;
///
/// #[derive(Component)]
/// struct Rollback(u32);
///
/// let mut world = World::new();
/// key_by(&mut world, |rollback: &Rollback| rollback.0.into());
/// let node = world.spawn((GraphNode, Rollback(7))).id();
/// assert_eq!(world.get(node), Some(&GraphKey::new(7)));
/// ```
pub fn key_by<K: Component>(world: &mut World, number: impl Fn(&K) -> u64 + Send + Sync + 'static) {
    let mut known = world.query::<(Entity, &K)>();
    let keys: Vec<(Entity, GraphKey)> =
        known.iter(world).map(|(entity, component)| (entity, GraphKey::new(number(component)))).collect();
    for (entity, key) in keys {
        if let Ok(mut entity) = world.get_entity_mut(entity) {
            entity.insert(key);
        }
    }
    world.add_observer(
        move |inserted: On<Insert<K>>, mut entities: Query<(&K, Option<&mut GraphKey>)>, mut commands: Commands| {
            let Ok((component, known)) = entities.get_mut(inserted.entity) else { return };
            let key = GraphKey::new(number(component));
            match known {
                Some(mut known) => *known = key,
                None => _ = commands.entity(inserted.entity).try_insert(key),
            }
        },
    );
}
