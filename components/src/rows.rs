//! The entities of the rows of a column.

use bevy_ecs::{
    change_detection::{MAX_CHANGE_AGE, Tick},
    component::{Component, ComponentId},
    entity::Entity,
    entity_disabling::Disabled,
    storage::{Table, TableId, Tables},
    world::World,
};
use core::{iter::repeat_n, ops::Range};

use crate::{Edge, EdgeWeight, GraphKey, InSubgraph, column};

/// The entities of the rows of a graph's columns, table by table. [`Disabled`] entities have no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    tables: Vec<(TableId, Range<usize>)>,
    entities: Vec<Entity>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The entities in the order of their rows.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The tables with the rows that each of them holds.
    pub fn tables(&self) -> &[(TableId, Range<usize>)] {
        &self.tables
    }

    /// The row of `entity`; none if it has none, or the world has changed since the last update.
    pub fn row_of(&self, world: &World, entity: Entity) -> Option<usize> {
        let location = world.get_entity(entity).ok()?.location();
        let (_, rows) = self.tables.iter().find(|(table, _)| *table == location.table_id)?;
        let row = rows.start + location.table_row.index();
        (self.entities.get(row) == Some(&entity)).then_some(row)
    }

    /// Whether the world's tables that carry all of `components` are still the same and as long: a check of each
    /// table, which does not detect when one entity has replaced another.
    pub fn fit(&self, world: &World, components: &[ComponentId]) -> bool {
        self.fit_tables(&world.storages().tables, components, world.component_id::<Disabled>(), false)
    }

    /// Whether the world's tables that carry all of `components`, those of disabled entities included, hold exactly
    /// these rows; of [`Rows::update_with_disabled`].
    pub fn are_exactly(&self, world: &World, components: &[ComponentId]) -> bool {
        self.fit_tables(&world.storages().tables, components, None, true)
    }

    /// As [`Rows::fit`]; `exactly` compares all entities.
    pub(crate) fn fit_tables(
        &self,
        tables: &Tables,
        components: &[ComponentId],
        disabled: Option<ComponentId>,
        exactly: bool,
    ) -> bool {
        let mut holding = holding(tables, components, disabled);
        let same = |(known, rows): &(TableId, Range<usize>)| {
            holding.next().is_some_and(|(table, holding)| {
                table == *known
                    && holding.entity_count() as usize == rows.len()
                    && (!exactly || self.holds(rows.clone(), holding.entities()))
            })
        };
        self.tables.iter().all(same) && holding.next().is_none()
    }

    /// Whether these rows are those of `entities`.
    fn holds(&self, rows: Range<usize>, entities: &[Entity]) -> bool {
        // Blocks without a branch for each entity are several times as quick as one comparison of all.
        const BLOCK: usize = 64;
        let Some(known) = self.entities.get(rows).filter(|known| known.len() == entities.len()) else { return false };
        let is_same = |(known, entities): (&[Entity], &[Entity])| {
            known.iter().zip(entities).fold(true, |same, (known, entity)| same & (known == entity))
        };
        known.chunks(BLOCK).zip(entities.chunks(BLOCK)).all(is_same)
    }

    /// Updates the rows from the world's tables that carry all of `components`; returns whether any row changed.
    pub fn update(&mut self, world: &World, components: &[ComponentId]) -> bool {
        self.update_from(world, components, world.component_id::<Disabled>())
    }

    /// As [`Rows::update`], with the rows of disabled entities.
    pub fn update_with_disabled(&mut self, world: &World, components: &[ComponentId]) -> bool {
        self.update_from(world, components, None)
    }

    fn update_from(&mut self, world: &World, components: &[ComponentId], disabled: Option<ComponentId>) -> bool {
        let mut start = 0;
        let mut index = 0;
        let mut changed = false;
        for (id, table) in holding(&world.storages().tables, components, disabled) {
            let entities = table.entities();
            let rows = start..start + entities.len();
            let known = self.tables.get(index) == Some(&(id, rows.clone()));
            if !known || !self.holds(rows.clone(), entities) {
                changed = true;
                self.tables.truncate(index);
                self.entities.truncate(start);
                self.tables.push((id, rows.clone()));
                self.entities.extend_from_slice(entities);
            }
            start = rows.end;
            index += 1;
        }
        changed |= index < self.tables.len();
        self.tables.truncate(index);
        self.entities.truncate(start);
        changed
    }

    /// Whether an [`Edge`] or [`EdgeWeight`] in these rows was written after `tick`; or may have been, because `tick`
    /// is too old for bevy_ecs to tell.
    pub fn edges_changed_since(&self, world: &World, tick: Tick) -> bool {
        self.changed_since::<Edge>(world, tick) || self.changed_since::<EdgeWeight>(world, tick)
    }

    /// The same for a [`GraphKey`].
    pub fn keys_changed_since(&self, world: &World, tick: Tick) -> bool {
        self.changed_since::<GraphKey>(world, tick)
    }

    /// The same for an [`InSubgraph`].
    pub fn memberships_changed_since(&self, world: &World, tick: Tick) -> bool {
        self.changed_since::<InSubgraph>(world, tick)
    }

    /// The same for any component. Whether one without a summary tick was written is not known, so it may have been.
    pub fn changed_since<T: Component>(&self, world: &World, tick: Tick) -> bool {
        let Some(component) = world.component_id::<T>() else { return false };
        let now = world.read_change_tick();
        // The ticks of older writes are all the same.
        if now.get().wrapping_sub(tick.get()) >= MAX_CHANGE_AGE {
            return true;
        }
        let tables = self.tables.iter().filter_map(|(table, _)| world.storages().tables.get(*table));
        tables
            .filter(|table| table.has_column(component))
            .any(|table| table.get_summary_tick(component).is_none_or(|written| written.get().is_newer_than(tick, now)))
    }

    /// The components `T` of these rows, table by table; an empty slice for a table without them.
    pub fn components<'w, T: Component>(&'w self, world: &'w World) -> impl Iterator<Item = (Range<usize>, &'w [T])> {
        self.tables.iter().map(|(table, rows)| (rows.clone(), column::table_components::<T>(world, *table)))
    }

    /// The weights of edges in the order of their rows.
    pub fn weights<'w>(&'w self, world: &'w World) -> impl Iterator<Item = f32> {
        self.components::<EdgeWeight>(world).flat_map(|(rows, weights)| {
            let missing = rows.len().saturating_sub(weights.len());
            weights.iter().map(|weight| weight.0).chain(repeat_n(1.0, missing))
        })
    }
}

/// The tables that carry all of `components` and have rows, without those of disabled entities, which queries skip too.
fn holding<'a>(
    tables: &'a Tables,
    components: &'a [ComponentId],
    disabled: Option<ComponentId>,
) -> impl Iterator<Item = (TableId, &'a Table)> {
    let is_enabled = move |table: &Table| disabled.is_none_or(|disabled| !table.has_column(disabled));
    let holds = move |table: &Table| components.iter().all(|id| table.has_column(*id)) && is_enabled(table);
    let tables = tables.iter().enumerate().filter(move |(_, table)| !table.is_empty() && holds(table));
    tables.map(|(index, table)| (TableId::from_usize(index), table))
}
