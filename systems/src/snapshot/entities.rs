//! Entities of a snapshot and those that stand for them.

use bevy_ecs::entity::{Entity, EntityHashMap, EntityMapper};

/// For each entity of a snapshot that has another id elsewhere, that id.
#[derive(Default)]
pub(super) struct EntityMap {
    pub(super) targets: EntityHashMap<Entity>,
    /// Whether entities that are not in the map mean nothing, and become [`Entity::PLACEHOLDER`].
    pub(super) is_complete: bool,
}

impl EntityMap {
    /// Whether each entity is itself.
    pub(super) fn is_identity(&self) -> bool {
        self.targets.is_empty() && !self.is_complete
    }
}

impl EntityMapper for EntityMap {
    fn get_mapped(&mut self, source: Entity) -> Entity {
        let other = if self.is_complete { Entity::PLACEHOLDER } else { source };
        self.targets.get(&source).copied().unwrap_or(other)
    }

    fn set_mapped(&mut self, source: Entity, target: Entity) {
        self.targets.insert(source, target);
    }
}
