//! Restoring of entities that were spawned, despawned or moved to other tables since a snapshot was taken.

use bevy_ecs::{
    entity::{Entity, EntityHashMap},
    storage::TableId,
    world::World,
};
use connectome_components::{GraphKey, Rows, attach_fields, insert_default};
use core::iter::once;
use std::collections::BTreeMap;

use super::{Origin, Snapshot, SnapshotError, column::Column, entities::EntityMap, section::Section};

/// Despawns, spawns and mends the entities of a snapshot and writes their components; returns the new ids of those that
/// have others now.
pub(super) fn restore_entities(snapshot: &Snapshot, world: &mut World) -> Result<EntityHashMap<Entity>, SnapshotError> {
    let sections = &snapshot.sections;
    let mut map =
        EntityMap { is_complete: matches!(snapshot.origin, Origin::Bytes(_)), targets: EntityHashMap::default() };
    let mut rows: Vec<Rows> = sections.iter().map(|section| rows_of(section, world)).collect();
    let mut targets = Targets::find(sections, &rows, world, &mut map);
    for (section, targets) in sections.iter().zip(&targets.of_sections) {
        check_default(section, targets, world)?;
    }
    targets.despawn_others(&rows, world);
    targets.spawn_missing(sections, world, &mut map);
    for (section, targets) in sections.iter().zip(&targets.of_sections) {
        let keys: &dyn Column = &section.keys;
        let components: Vec<&dyn Column> =
            once(keys).chain(section.components.iter().map(|column| &**column)).collect();
        mend(section, &components, targets, world, &mut map);
        mark(section, targets, world)?;
    }
    for section in sections {
        attach_fields(world, section.marker);
    }
    for (section, targets) in sections.iter().zip(&targets.of_sections) {
        let fields: Vec<&dyn Column> = section.fields.iter().map(|column| &**column).collect();
        mend(section, &fields, targets, world, &mut map);
    }
    for ((section, targets), rows) in sections.iter().zip(&targets.of_sections).zip(&mut rows) {
        rows.update_with_disabled(world, &section.required);
        let order = order(rows, targets)?;
        section.keys.write(world, rows, &order, &mut map);
        section.columns().for_each(|column| column.write(world, rows, &order, &mut map));
    }
    Ok(map.targets)
}

fn rows_of(section: &Section, world: &World) -> Rows {
    let mut rows = Rows::default();
    rows.update_with_disabled(world, &section.required);
    rows
}

/// The entities of the world that stand for those of a snapshot.
struct Targets {
    /// For each section, those of its rows; [`Entity::PLACEHOLDER`] until one is spawned.
    of_sections: Vec<Vec<Entity>>,
    /// For each index of an entity, whether the living one stands for one of the snapshot.
    claimed: Vec<bool>,
}

impl Targets {
    /// Finds the entities that live, and others that have their keys.
    fn find(sections: &[Section], rows: &[Rows], world: &World, map: &mut EntityMap) -> Self {
        let mut targets = Self { of_sections: Vec::new(), claimed: Vec::new() };
        for section in sections {
            let is_known = |entity: Entity| section.loaded.is_empty() && world.get_entity(entity).is_ok();
            let living = |entity: &Entity| if is_known(*entity) { *entity } else { Entity::PLACEHOLDER };
            targets.of_sections.push(section.entities().iter().map(living).collect());
        }
        let known: Vec<Entity> = targets.of_sections.iter().flatten().copied().collect();
        known.into_iter().filter(|entity| *entity != Entity::PLACEHOLDER).for_each(|entity| targets.claim(entity));
        for (index, (section, rows)) in sections.iter().zip(rows).enumerate() {
            if targets.of_sections[index].contains(&Entity::PLACEHOLDER) {
                targets.find_by_keys(index, section, rows, world, map);
            }
        }
        targets
    }

    fn claim(&mut self, entity: Entity) {
        let index = entity.index_u32() as usize;
        if self.claimed.len() <= index {
            self.claimed.resize(index + 1, false);
        }
        self.claimed[index] = true;
    }

    fn is_claimed(&self, entity: Entity) -> bool {
        self.claimed.get(entity.index_u32() as usize).copied().unwrap_or(false)
    }

    /// Lets entities that the snapshot does not know stand for missing ones of the same keys.
    fn find_by_keys(&mut self, index: usize, section: &Section, rows: &Rows, world: &World, map: &mut EntityMap) {
        let mut others: BTreeMap<GraphKey, Vec<Entity>> = BTreeMap::new();
        // From the last one, because they are taken from the end.
        for entity in rows.entities().iter().rev().filter(|entity| !self.is_claimed(**entity)) {
            if let Some(key) = world.get::<GraphKey>(*entity) {
                others.entry(*key).or_default().push(*entity);
            }
        }
        for (row, entity) in section.entities().iter().enumerate() {
            if self.of_sections[index][row] != Entity::PLACEHOLDER {
                continue;
            }
            // It may have been found as one of an earlier section.
            let found = map.targets.get(entity).copied();
            let found = found.or_else(|| others.get_mut(section.keys.get(row)?)?.pop());
            if let Some(found) = found {
                self.of_sections[index][row] = found;
                map.targets.insert(*entity, found);
                self.claim(found);
            }
        }
    }

    /// Despawns entities that the snapshot does not know, from the last row on.
    fn despawn_others(&self, rows: &[Rows], world: &mut World) {
        for entity in rows.iter().rev().flat_map(|rows| rows.entities().iter().rev()) {
            if !self.is_claimed(*entity) {
                // A hook may have despawned it with another one.
                _ = world.try_despawn(*entity);
            }
        }
    }

    /// Spawns entities for those that are missing, with their keys.
    fn spawn_missing(&mut self, sections: &[Section], world: &mut World, map: &mut EntityMap) {
        for (section, targets) in sections.iter().zip(&mut self.of_sections) {
            for (row, target) in targets.iter_mut().enumerate().filter(|(_, target)| **target == Entity::PLACEHOLDER) {
                let entity = section.entities()[row];
                *target = *map.targets.entry(entity).or_insert_with(|| match section.keys.get(row) {
                    Some(key) => world.spawn(*key).id(),
                    None => world.spawn_empty().id(),
                });
            }
        }
    }
}

/// Checks that the marker of a section can be inserted into entities that are to be spawned.
fn check_default(section: &Section, targets: &[Entity], world: &mut World) -> Result<(), SnapshotError> {
    let is_missing = targets.contains(&Entity::PLACEHOLDER);
    if is_missing && !has_marker_column(section, world) {
        insert_default(world, &[], section.marker)?;
    }
    Ok(())
}

/// Whether the marker of a section is a component that the snapshot holds.
fn has_marker_column(section: &Section, world: &World) -> bool {
    section.components.iter().any(|column| column.id(world) == Some(section.marker))
}

/// Inserts and removes components, so that entities have those of their rows.
fn mend(section: &Section, columns: &[&dyn Column], targets: &[Entity], world: &mut World, map: &mut EntityMap) {
    for range in section.uniform_ranges() {
        let wanted: Vec<bool> = columns.iter().map(|column| column.has(range.start)).collect();
        // The table of the last entity, and whether it has the wanted components.
        let mut last: Option<(TableId, bool)> = None;
        for row in range {
            let Ok(entity) = world.get_entity(targets[row]) else { continue };
            let table = entity.location().table_id;
            let fits = match last {
                Some((known, fits)) if known == table => fits,
                _ => columns.iter().zip(&wanted).all(|(column, wanted)| column.is_in(world, table) == *wanted),
            };
            last = Some((table, fits));
            if fits {
                continue;
            }
            for (column, wanted) in columns.iter().zip(&wanted) {
                let id = column.id(world);
                let Ok(mut entity) = world.get_entity_mut(targets[row]) else { break };
                match (wanted, id) {
                    (true, id) if !id.is_some_and(|id| entity.contains_id(id)) => column.insert(&mut entity, row, map),
                    (false, Some(id)) => _ = entity.remove_by_id(id),
                    _ => {}
                }
            }
        }
    }
}

/// Inserts the marker of a section where no column of the snapshot has done so.
fn mark(section: &Section, targets: &[Entity], world: &mut World) -> Result<(), SnapshotError> {
    if has_marker_column(section, world) {
        return Ok(());
    }
    let lacks = |entity: &&Entity| world.get_entity(**entity).is_ok_and(|entity| !entity.contains_id(section.marker));
    let unmarked: Vec<Entity> = targets.iter().filter(lacks).copied().collect();
    if unmarked.is_empty() { Ok(()) } else { Ok(insert_default(world, &unmarked, section.marker)?) }
}

/// For each row of the world the row of the snapshot.
fn order(rows: &Rows, targets: &[Entity]) -> Result<Vec<u32>, SnapshotError> {
    let indices = targets.iter().map(|entity| entity.index_u32() as usize + 1).max().unwrap_or(0);
    let mut row_of = vec![u32::MAX; indices];
    for (row, entity) in (0..).zip(targets) {
        row_of[entity.index_u32() as usize] = row;
    }
    let find = |entity: &Entity| {
        let row = *row_of.get(entity.index_u32() as usize)?;
        (targets.get(row as usize) == Some(entity)).then_some(row)
    };
    let order: Option<Vec<u32>> = rows.entities().iter().map(find).collect();
    order.filter(|order| order.len() == targets.len()).ok_or(SnapshotError::Disturbed)
}
