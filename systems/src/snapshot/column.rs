//! Columns of a snapshot: the components or the field of a kind of entities.

use bevy_ecs::{
    change_detection::Tick,
    component::{Component, ComponentId, Mutable, StorageType},
    storage::TableId,
    world::{EntityWorldMut, World},
};
use connectome_components::{Element, Field, Rows, table_components, table_components_mut};
use core::{
    any::{Any, type_name},
    ops::Range,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    SnapshotError,
    bytes::{Codec, SavedColumn},
    entities::EntityMap,
};

/// The values of one component or field of the rows of a kind of entities.
pub(super) trait Column: Send + Sync {
    /// The component in a world.
    fn id(&self, world: &World) -> Option<ComponentId>;

    /// What it holds, for errors.
    fn label(&self) -> String;

    /// Whether it is also saved to bytes.
    fn is_saved(&self) -> bool {
        true
    }

    /// As the type that it has.
    fn as_any(&self) -> &dyn Any;

    /// Copies the values of all rows; warm buffers do not allocate.
    fn take(&mut self, world: &World, rows: &Rows);

    /// Whether the snapshot has a value for a row.
    fn has(&self, row: usize) -> bool;

    /// Writes all values where they were taken. What was not written after the tick has them still.
    fn write_back(&self, world: &mut World, rows: &Rows, tick: Tick);

    /// Writes to each of `rows` the value of the snapshot's row in `order`, with its entities mapped.
    fn write(&self, world: &mut World, rows: &Rows, order: &[u32], map: &mut EntityMap);

    /// Inserts the value of a row into an entity without one. Fields are attached instead.
    fn insert(&self, entity: &mut EntityWorldMut, row: usize, map: &mut EntityMap);

    /// A copy, with all values.
    fn boxed(&self) -> Box<dyn Column>;

    /// The values in an order of rows, with their entities mapped; none if it is only kept in memory.
    fn save(&self, order: &[u32], map: &mut EntityMap) -> Result<Option<SavedColumn>, SnapshotError>;

    /// Takes the values of `count` rows from bytes.
    fn load(&mut self, saved: &SavedColumn, count: usize) -> Result<(), SnapshotError>;

    /// Whether a table of a world has the component.
    fn is_in(&self, world: &World, table: TableId) -> bool {
        let id = self.id(world);
        id.is_some_and(|id| world.storages().tables.get(table).is_some_and(|table| table.has_column(id)))
    }
}

/// Which rows have a value: ranges of rows, each with the index of the value of its first row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunks(Vec<(Range<usize>, usize)>);

impl Chunks {
    fn index(&self, row: usize) -> Option<usize> {
        let (rows, start) = self.0.iter().find(|(rows, _)| rows.contains(&row))?;
        Some(start + row - rows.start)
    }

    /// Copies the values of rows, `width` for each, from those of each table; they are empty where it has none.
    fn take<'a, T: Clone + 'a>(
        &mut self,
        values: &mut Vec<T>,
        rows: &Rows,
        width: usize,
        of_table: impl Fn(TableId) -> &'a [T],
    ) {
        self.0.clear();
        values.clear();
        for (table, rows) in rows.tables() {
            let found = of_table(*table);
            if !found.is_empty() {
                self.0.push((rows.clone(), values.len() / width));
                values.extend_from_slice(found);
            }
        }
    }

    /// Appends a row whose value is the next.
    fn push(&mut self, row: usize) {
        let next = self.0.last().map_or(0, |(rows, start)| start + rows.len());
        match self.0.last_mut() {
            Some((rows, _)) if rows.end == row => rows.end += 1,
            _ => self.0.push((row..row + 1, next)),
        }
    }

    /// The rows with a value.
    fn of_saved(saved: &SavedColumn, count: usize) -> Result<Self, SnapshotError> {
        let mut chunks = Self::default();
        let mut next = 0;
        for row in saved.rows.iter().map(|row| *row as usize) {
            if row < next || row >= count {
                return Err(SnapshotError::Damaged(format!("the rows of {} are out of order", saved.label)));
            }
            chunks.push(row);
            next = row + 1;
        }
        Ok(chunks)
    }
}

/// The components `T` of rows.
#[derive(Clone)]
pub(super) struct ComponentColumn<T> {
    values: Vec<T>,
    chunks: Chunks,
    /// Whether values are the same bit by bit; then they are not written, nor marked as changed.
    same: Option<fn(&T, &T) -> bool>,
    codec: Option<Codec<T>>,
}

impl<T: Component<Mutability = Mutable> + Clone> ComponentColumn<T> {
    pub(super) fn new() -> Self {
        const { assert!(matches!(T::STORAGE_TYPE, StorageType::Table), "a component of a snapshot is in table storage") };
        Self { values: Vec::new(), chunks: Chunks::default(), same: None, codec: None }
    }

    /// That of a component which is also saved to bytes.
    pub(super) fn saved() -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        Self { codec: Some(Codec::SERDE), ..Self::new() }
    }

    /// That of a component which is written only where it differs.
    pub(super) fn compared(same: fn(&T, &T) -> bool) -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        Self { same: Some(same), ..Self::saved() }
    }

    /// That of a component without data.
    pub(super) fn marker() -> Self
    where
        T: Default,
    {
        let codec = Codec { encode: |_, bytes| Ok(bytes), decode: |bytes| Ok((T::default(), bytes)) };
        Self { same: Some(|_, _| true), codec: Some(codec), ..Self::new() }
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Option<&T> {
        self.values.get(self.chunks.index(row)?)
    }

    /// Replaces the values, one for each row.
    pub(super) fn set(&mut self, values: Vec<Option<T>>) {
        self.chunks = Chunks::default();
        values.iter().enumerate().filter(|(_, value)| value.is_some()).for_each(|(row, _)| self.chunks.push(row));
        self.values = values.into_iter().flatten().collect();
    }
}

impl<T: Component<Mutability = Mutable> + Clone> Column for ComponentColumn<T> {
    fn id(&self, world: &World) -> Option<ComponentId> {
        world.component_id::<T>()
    }

    fn label(&self) -> String {
        format!("component `{}`", type_name::<T>())
    }

    fn is_saved(&self) -> bool {
        self.codec.is_some()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn take(&mut self, world: &World, rows: &Rows) {
        self.chunks.take(&mut self.values, rows, 1, |table| table_components::<T>(world, table));
    }

    fn has(&self, row: usize) -> bool {
        self.chunks.index(row).is_some()
    }

    fn write_back(&self, world: &mut World, rows: &Rows, tick: Tick) {
        if !rows.changed_since::<T>(world, tick) {
            return;
        }
        for (table, rows) in rows.tables() {
            let Some(start) = self.chunks.index(rows.start) else { continue };
            let values = &self.values[start..start + rows.len()];
            let known = table_components::<T>(world, *table);
            let is_same =
                self.same.is_some_and(|same| known.iter().zip(values).all(|(known, value)| same(known, value)));
            if known.len() == values.len() && !is_same {
                table_components_mut::<T>(world, *table).clone_from_slice(values);
            }
        }
    }

    fn write(&self, world: &mut World, rows: &Rows, order: &[u32], map: &mut EntityMap) {
        for (table, rows) in rows.tables() {
            for (component, row) in table_components_mut::<T>(world, *table).iter_mut().zip(&order[rows.clone()]) {
                if let Some(value) = self.get(*row as usize) {
                    component.clone_from(value);
                    if !map.is_identity() {
                        T::map_entities(component, map);
                    }
                }
            }
        }
    }

    fn insert(&self, entity: &mut EntityWorldMut, row: usize, map: &mut EntityMap) {
        if let Some(mut value) = self.get(row).cloned() {
            T::map_entities(&mut value, map);
            entity.insert(value);
        }
    }

    fn boxed(&self) -> Box<dyn Column> {
        Box::new(self.clone())
    }

    fn save(&self, order: &[u32], map: &mut EntityMap) -> Result<Option<SavedColumn>, SnapshotError> {
        let Some(codec) = self.codec else { return Ok(None) };
        let mut saved = SavedColumn { label: self.label(), rows: Vec::new(), values: Vec::new() };
        for (position, row) in (0..).zip(order) {
            let Some(mut value) = self.get(*row as usize).cloned() else { continue };
            T::map_entities(&mut value, map);
            saved.rows.push(position);
            saved.push(&value, codec)?;
        }
        Ok(Some(saved))
    }

    fn load(&mut self, saved: &SavedColumn, count: usize) -> Result<(), SnapshotError> {
        let Some(codec) = self.codec else { return Err(SnapshotError::NotSaved(type_name::<T>().to_owned())) };
        let chunks = Chunks::of_saved(saved, count)?;
        self.values = saved.read(saved.rows.len(), codec)?;
        self.chunks = chunks;
        Ok(())
    }
}

/// The rows of a field.
#[derive(Clone)]
pub(super) struct FieldColumn<T> {
    field: Field<T>,
    values: Vec<T>,
    chunks: Chunks,
}

impl<T: Element> FieldColumn<T> {
    pub(super) fn new(field: Field<T>) -> Self {
        Self { field, values: Vec::new(), chunks: Chunks::default() }
    }

    fn row(&self, row: usize) -> Option<&[T]> {
        let start = self.chunks.index(row)? * self.field.width();
        self.values.get(start..start + self.field.width())
    }
}

impl<T: Element + Serialize + DeserializeOwned> Column for FieldColumn<T> {
    fn id(&self, _: &World) -> Option<ComponentId> {
        Some(self.field.id())
    }

    fn label(&self) -> String {
        format!("a field of width {}", self.field.width())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn take(&mut self, world: &World, rows: &Rows) {
        let width = self.field.width();
        self.chunks.take(&mut self.values, rows, width, |table| self.field.table_rows(world, table));
    }

    fn has(&self, row: usize) -> bool {
        self.chunks.index(row).is_some()
    }

    fn write_back(&self, world: &mut World, rows: &Rows, _: Tick) {
        let width = self.field.width();
        for (table, rows) in rows.tables() {
            let Some(start) = self.chunks.index(rows.start) else { continue };
            self.field.write_table(world, *table, &self.values[start * width..(start + rows.len()) * width]);
        }
    }

    fn write(&self, world: &mut World, rows: &Rows, order: &[u32], _: &mut EntityMap) {
        for (table, rows) in rows.tables() {
            let values = self.field.table_rows_mut(world, *table).chunks_exact_mut(self.field.width());
            for (values, row) in values.zip(&order[rows.clone()]) {
                if let Some(row) = self.row(*row as usize) {
                    values.copy_from_slice(row);
                }
            }
        }
    }

    fn insert(&self, _: &mut EntityWorldMut, _: usize, _: &mut EntityMap) {}

    fn boxed(&self) -> Box<dyn Column> {
        Box::new(self.clone())
    }

    fn save(&self, order: &[u32], _: &mut EntityMap) -> Result<Option<SavedColumn>, SnapshotError> {
        let mut saved = SavedColumn { label: self.label(), rows: Vec::new(), values: Vec::new() };
        for (position, row) in (0..).zip(order) {
            let Some(values) = self.row(*row as usize) else { continue };
            saved.rows.push(position);
            for value in values {
                saved.push(value, Codec::SERDE)?;
            }
        }
        Ok(Some(saved))
    }

    fn load(&mut self, saved: &SavedColumn, count: usize) -> Result<(), SnapshotError> {
        let chunks = Chunks::of_saved(saved, count)?;
        self.values = saved.read(saved.rows.len() * self.field.width(), Codec::SERDE)?;
        self.chunks = chunks;
        Ok(())
    }
}
