//! Ticks of topologies, which must not become older than those that bevy_ecs compares.

use bevy_ecs::{
    change_detection::CheckChangeTicks, entity_disabling::Disabled, observer::On, query::Allow, resource::Resource,
    system::Query, world::World,
};
use connectome_components::Topology;

/// Whether the world has the observer of [`watch`].
#[derive(Resource)]
struct IsWatched;

/// Adds an observer that has a topology derived anew if the tick of its derivation becomes too old to be compared.
///
/// Ticks wrap around after 2^32 of them. bevy_ecs checks the ticks of its components in time, and tells observers;
/// without this one an edge that was rewired about 2^32 ticks after the derivation would count as rewired before it.
pub(super) fn watch(world: &mut World) {
    if !world.contains_resource::<IsWatched>() {
        world.insert_resource(IsWatched);
        world.add_observer(expire);
    }
}

fn expire(check: On<CheckChangeTicks>, mut topologies: Query<&mut Topology, Allow<Disabled>>) {
    for mut topology in &mut topologies {
        if topology.derived_at.as_mut().is_some_and(|tick| tick.check_tick(*check)) {
            topology.derived_at = None;
        }
    }
}
