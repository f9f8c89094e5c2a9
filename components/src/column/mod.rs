//! Fields as slices of table columns; the only module with unsafe code outside of tests.
//!
//! It is sound because:
//! - a field's component is registered here with the layout of `width` elements, or is a Rust component type: either
//!   the element itself, or plain data that [`f32_count`] found to be as large as `width` `f32`s and aligned for them
//!   (`Pod` has no padding, and all bit patterns are valid). A handle is used only in the world that made it, so a
//!   column of `rows` entities holds `rows * width` elements;
//! - a system parameter declares its access, so the scheduler never runs a writer beside another user of the column;
//! - outside of systems the world itself is borrowed, shared for reading and mutably for writing;
//! - the halves of a double buffer are declared by role. Which storage a role names changes only when the parity is
//!   flipped, and every parameter of a half declares that it reads the parity, so no flip runs beside it. No handle
//!   names the storage of a half without its role. (A query built at run time from the id of a half can name the
//!   storage, but bevy_ecs gives it a raw pointer, whose use is `unsafe`.)
#![expect(unsafe_code, reason = "views table columns as slices; the module documents why this is sound")]

mod columns;
mod huge_pages;
mod make;
mod marker;
mod parameter;
mod register;
mod tables;

use bevy_ecs::{
    change_detection::Tick,
    component::ComponentId,
    entity::Entity,
    entity_disabling::Disabled,
    storage::{Table, TableId, TableRow, Tables},
    world::{World, WorldId},
};
use core::{cell::UnsafeCell, slice};
use nonmax::NonMaxU32;

use crate::{Field, FieldError, Matrix, MatrixMut, Parity};

pub use columns::{ColumnSet, Columns, ColumnsState, MAX_WRITTEN, UnwrittenColumns};
pub use huge_pages::HugePages;
pub use make::{insert_default, register_default};
pub use marker::Marker;
pub use parameter::{Column, ColumnMut, ColumnState, Read, Write};
pub(crate) use register::{AttachedFields, copy, f32_count, insert_zeros, register};
pub use register::{attach_fields, attach_keys};
pub use tables::{table_components, table_components_mut};

/// The elements of a field in `table`, if it has the field.
fn cells<T>(table: &Table, id: ComponentId, width: usize) -> Option<&[UnsafeCell<T>]> {
    let column = table.get_column(id).filter(|_| !table.is_empty())?;
    // SAFETY: there is a first row; nothing is read here.
    let first = unsafe { column.get_data_unchecked(TableRow::new(NonMaxU32::ZERO)) };
    // SAFETY: the column holds `entity_count` components of `width` elements `T` each (module rules), without padding:
    // the layout of a registered field and of a component of plain data is just its elements, and any other Rust
    // component has width 1. Cells allow for writers.
    Some(unsafe { slice::from_raw_parts(first.as_ptr().cast(), table.entity_count() as usize * width) })
}

impl<T: Send + Sync + 'static> Field<T> {
    /// The whole column, read outside of a system.
    pub fn matrix<'w>(&self, world: &'w World) -> Matrix<'w, T> {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        // SAFETY: the world is borrowed for reading.
        unsafe { matrix(&world.storages().tables, self.tables_in(world, id), id, self.width()) }
    }

    /// The whole column, written outside of a system.
    pub fn matrix_mut<'w>(&self, world: &'w mut World) -> MatrixMut<'w, T> {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let tick = world.change_tick();
        let disabled = self.disabled(world);
        let tables = &world.as_unsafe_world_cell();
        // SAFETY: the world is borrowed for writing, and the cell does not outlive the borrow.
        let tables = unsafe { &tables.storages().tables };
        // SAFETY: as above.
        unsafe { matrix_mut(tables, tables_of(tables, self.domain(), id, disabled), id, self.width(), tick) }
    }

    /// Sets all elements to 0, those of disabled entities as well.
    pub(crate) fn clear(&self, world: &mut World)
    where
        T: crate::Element,
    {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let tick = world.change_tick();
        let tables = &world.as_unsafe_world_cell();
        // SAFETY: the world is borrowed for writing, and the cell does not outlive the borrow.
        let tables = unsafe { &tables.storages().tables };
        let holding = tables.iter().enumerate().filter(|(_, table)| table.has_column(id));
        let holding = holding.map(|(index, _)| TableId::from_usize(index));
        // SAFETY: as above, and each table is listed once.
        let matrix = unsafe { matrix_mut::<T>(tables, holding, id, self.width(), tick) };
        matrix.chunks_mut().for_each(|(_, elements)| elements.fill(T::zeroed()));
    }

    /// The row of one entity, `[width]`.
    ///
    /// # Errors
    /// If the entity is dead or does not have the field yet.
    pub fn get<'w>(&self, world: &'w World, entity: Entity) -> Result<&'w [T], FieldError> {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let row = world.get_entity(entity).ok().and_then(|entity| entity.get_by_id(id).ok());
        let row = row.ok_or_else(|| FieldError::NotOnEntity { entity, name: self.name(world) })?;
        // SAFETY: the component holds `width` elements (module rules), and the world is borrowed for reading.
        Ok(unsafe { slice::from_raw_parts(row.as_ptr().cast::<T>(), self.width()) })
    }

    /// Sets the row of one entity.
    ///
    /// # Errors
    /// If the entity is dead or does not have the field yet, or `row` has another width than the field.
    pub fn set(&self, world: &mut World, entity: Entity, row: &[T]) -> Result<(), FieldError>
    where
        T: Copy,
    {
        self.get(world, entity)?;
        if row.len() != self.width() {
            let name = self.name(world);
            return Err(FieldError::WrongLength { name, expected: self.width(), found: row.len() });
        }
        let id = self.storage(parity_in(world, self));
        let tick = world.change_tick();
        let mut target = world.entity_mut(entity);
        let table = target.location().table_id;
        if let Ok(mut target) = target.get_mut_by_id(id) {
            // SAFETY: the component holds `width` elements (module rules), and the world is borrowed for writing.
            unsafe { slice::from_raw_parts_mut(target.as_mut().as_ptr().cast::<T>(), self.width()) }
                .copy_from_slice(row);
            mark_written(&world.storages().tables[table], id, tick);
        }
        Ok(())
    }

    /// The component whose carriers have no row; none for a detached field, whose entities are addressed one by one.
    fn disabled(&self, world: &World) -> Option<ComponentId> {
        world.component_id::<Disabled>().filter(|_| !self.is_detached())
    }

    fn tables_in<'w>(&self, world: &'w World, id: ComponentId) -> impl Iterator<Item = TableId> + use<'w, T> {
        tables_of(&world.storages().tables, self.domain(), id, self.disabled(world))
    }

    /// The component whose column holds the field at this parity.
    fn storage(&self, odd: bool) -> ComponentId {
        match self.buffer {
            Some(buffer) if odd => buffer.twin,
            _ => self.id,
        }
    }

    #[track_caller]
    pub(crate) fn assert_world(&self, world: WorldId) {
        assert_eq!(self.world, world, "a field is used in a world other than its own");
    }
}

fn parity_in<T>(world: &World, field: &Field<T>) -> bool {
    field.buffer.and_then(|buffer| world.get::<Parity>(buffer.owner)).is_some_and(|parity| parity.0)
}

/// The tables that hold a field's rows, in the order of the rows.
fn tables_of(
    tables: &Tables,
    domain: ComponentId,
    id: ComponentId,
    disabled: Option<ComponentId>,
) -> impl Iterator<Item = TableId> {
    let is_enabled = move |table: &Table| disabled.is_none_or(|disabled| !table.has_column(disabled));
    let holds = move |table: &Table| table.has_column(domain) && table.has_column(id) && is_enabled(table);
    tables.iter().enumerate().filter(move |(_, table)| holds(table)).map(|(index, _)| TableId::from_usize(index))
}

/// # Safety
/// The caller may read the component `id`, which holds `width` elements of type `T`, of the world of the tables.
unsafe fn matrix<T>(
    tables: &Tables,
    ids: impl Iterator<Item = TableId>,
    id: ComponentId,
    width: usize,
) -> Matrix<'_, T> {
    let chunks = ids.filter_map(|table| cells::<T>(&tables[table], id, width));
    // SAFETY: nobody writes the cells meanwhile (caller), and `UnsafeCell<T>` has the layout of `T`.
    Matrix::new(width, chunks.map(|cells| unsafe { slice::from_raw_parts(cells.as_ptr().cast::<T>(), cells.len()) }))
}

/// # Safety
/// The caller may write the component `id`, which holds `width` elements of type `T`, of the world of the tables, and
/// nobody else reads or writes it meanwhile. Each table is listed once.
unsafe fn matrix_mut<T>(
    tables: &Tables,
    ids: impl Iterator<Item = TableId>,
    id: ComponentId,
    width: usize,
    tick: Tick,
) -> MatrixMut<'_, T> {
    let chunks = ids.filter_map(|table| {
        mark_written(&tables[table], id, tick);
        cells::<T>(&tables[table], id, width)
    });
    MatrixMut::new(
        width,
        // SAFETY: the caller alone has access, and different tables are different memory.
        chunks.map(|cells| unsafe { slice::from_raw_parts_mut(UnsafeCell::raw_get(cells.as_ptr()), cells.len()) }),
    )
}

/// Records the tick of the last write to a column of a table, if it has a summary tick.
fn mark_written(table: &Table, id: ComponentId, tick: Tick) {
    if let Some(written) = table.get_summary_tick(id) {
        written.set(tick);
    }
}

/// Sets the change tick of each row, so that `Changed` finds all of them.
///
/// # Safety
/// The caller may write the component `id`, and nobody else reads or writes it meanwhile.
unsafe fn mark_rows_changed(tables: &Tables, ids: impl Iterator<Item = TableId>, id: ComponentId, tick: Tick) {
    for table in ids {
        mark_written(&tables[table], id, tick);
        for changed in tables[table].get_changed_ticks_slice_for(id).unwrap_or_default() {
            // SAFETY: the ticks of a component are accessed as the component is (caller).
            unsafe { changed.get().write(tick) };
        }
    }
}
