//! Columns of a single table.

use bevy_ecs::{
    component::{Component, Mutable},
    storage::TableId,
    world::World,
};
use core::{cell::UnsafeCell, iter::once, slice};

use super::{cells, mark_rows_changed, matrix_mut, parity_in};
use crate::{Element, Field};

/// All components `T` of a table, in the order of its rows; empty if the table has none.
pub fn table_components<T: Component>(world: &World, table: TableId) -> &[T] {
    let Some(id) = world.component_id::<T>() else { return &[] };
    let Some(table) = world.storages().tables.get(table) else { return &[] };
    let Some(cells) = cells::<T>(table, id, 1) else { return &[] };
    // SAFETY: `id` is the component `T`, the world is borrowed for reading, and `UnsafeCell<T>` has the layout of `T`.
    unsafe { slice::from_raw_parts(cells.as_ptr().cast::<T>(), cells.len()) }
}

/// As [`table_components`], for writing; all of them are marked as changed.
pub fn table_components_mut<T: Component<Mutability = Mutable>>(world: &mut World, table: TableId) -> &mut [T] {
    let Some(id) = world.component_id::<T>() else { return &mut [] };
    let tick = world.change_tick();
    let tables = &world.as_unsafe_world_cell();
    // SAFETY: the world is borrowed for writing, and the cell does not outlive the borrow.
    let tables = unsafe { &tables.storages().tables };
    let Some(cells) = tables.get(table).and_then(|table| cells::<T>(table, id, 1)) else { return &mut [] };
    // SAFETY: as above.
    unsafe { mark_rows_changed(tables, once(table), id, tick) };
    // SAFETY: `id` is the component `T`, and the world is borrowed for writing.
    unsafe { slice::from_raw_parts_mut(UnsafeCell::raw_get(cells.as_ptr()), cells.len()) }
}

impl<T: Send + Sync + 'static> Field<T> {
    /// The rows of one table, those of disabled entities as well; empty if the table does not have the field.
    pub fn table_rows<'w>(&self, world: &'w World, table: TableId) -> &'w [T] {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let Some(table) = world.storages().tables.get(table) else { return &[] };
        let Some(cells) = cells::<T>(table, id, self.width()) else { return &[] };
        // SAFETY: the component holds `width` elements (module rules), the world is borrowed for reading, and
        // `UnsafeCell<T>` has the layout of `T`.
        unsafe { slice::from_raw_parts(cells.as_ptr().cast::<T>(), cells.len()) }
    }

    /// As [`Field::table_rows`], for writing.
    pub fn table_rows_mut<'w>(&self, world: &'w mut World, table: TableId) -> &'w mut [T] {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let tick = world.change_tick();
        let tables = &world.as_unsafe_world_cell();
        // SAFETY: the world is borrowed for writing, and the cell does not outlive the borrow.
        let tables = unsafe { &tables.storages().tables };
        let known = tables.get(table).map(|_| table);
        // SAFETY: as above, and there is one table.
        let matrix = unsafe { matrix_mut(tables, known.into_iter(), id, self.width(), tick) };
        matrix.chunks_mut().next().map_or(&mut [], |(_, rows)| rows)
    }

    /// Copies `values` to the rows of one table, unless they are the same bit by bit or of another number: what did not
    /// change is not marked as written.
    pub fn write_table(&self, world: &mut World, table: TableId, values: &[T])
    where
        T: Element,
    {
        let known = self.table_rows(world, table);
        if known.len() == values.len() && bytemuck::cast_slice::<T, u8>(known) != bytemuck::cast_slice::<T, u8>(values)
        {
            self.table_rows_mut(world, table).copy_from_slice(values);
        }
    }
}
