//! System parameters that read and write a field.

use bevy_ecs::{
    change_detection::Tick,
    component::ComponentId,
    query::FilteredAccess,
    storage::{TableId, Tables},
    system::{SystemAccess, SystemMeta, SystemParam, SystemParamBuilder, SystemParamValidationError},
    world::{World, unsafe_world_cell::UnsafeWorldCell},
};

use super::{mark_rows_changed, matrix, matrix_mut, tables_of};
use crate::{Field, Matrix, MatrixMut, Parity};

impl<T: Send + Sync + 'static> Field<T> {
    /// A parameter that reads this field: `field.read()` builds a [`Column`].
    pub fn read(self) -> Read<T> {
        Read(self)
    }

    /// A parameter that writes this field: `field.write()` builds a [`ColumnMut`].
    pub fn write(self) -> Write<T> {
        Write(self)
    }
}

/// Builds a [`Column`]; made by [`Field::read`].
pub struct Read<T>(Field<T>);

/// Builds a [`ColumnMut`]; made by [`Field::write`].
pub struct Write<T>(Field<T>);

/// A system parameter that reads a field.
///
/// Build the system with [`Field::read`]:
/// ```
/// use bevy_ecs::{prelude::*, system::SystemParamBuilder};
/// use connectome_components::{Column, ColumnMut, Field, GraphNode};
///
/// let mut world = World::new();
/// let nodes = world.register_component::<GraphNode>();
/// let input = Field::<f32>::register(&mut world, "input", nodes, 2)?;
/// let output = Field::<f32>::register(&mut world, "output", nodes, 2)?;
/// let double = (input.read(), output.write()).build_state(&mut world).build_system(
///     |input: Column, mut output: ColumnMut| {
///         for (to, from) in output.matrix().rows_mut().zip(input.matrix().rows()) {
///             to.copy_from_slice(&[2.0 * from[0], 2.0 * from[1]]);
///         }
///     },
/// );
/// let mut schedule = Schedule::default();
/// schedule.add_systems(double);
/// schedule.run(&mut world);
/// # Ok::<(), connectome_components::FieldError>(())
/// ```
pub struct Column<'w, 's, T = f32> {
    tables: &'w Tables,
    state: &'s ColumnState<T>,
    now: Tick,
}

/// A system parameter that writes a field, built with [`Field::write`]; see [`Column`].
pub struct ColumnMut<'w, 's, T = f32> {
    tables: &'w Tables,
    state: &'s ColumnState<T>,
    now: Tick,
}

impl<T: Send + Sync + 'static> Column<'_, '_, T> {
    /// Width of a row.
    pub fn width(&self) -> usize {
        self.state.field.width()
    }

    /// The column as a matrix `[N, width]`.
    pub fn matrix(&self) -> Matrix<'_, T> {
        // SAFETY: the parameter declared the read, and the state lists the field's tables.
        unsafe { matrix(self.tables, self.state.tables.iter().copied(), self.state.storage, self.width()) }
    }

    /// Whether the column may have been written after `tick`: by a [`ColumnMut`] or a method of [`Field`], which record
    /// a write for the whole table, or as a Rust component with a summary tick. Without a summary tick the answer is
    /// always true. Writes through pointers, by the id of the component, are not detected.
    pub fn written_since(&self, tick: Tick) -> bool {
        self.state.written_since(self.tables, tick, self.now)
    }
}

impl<T: Send + Sync + 'static> ColumnMut<'_, '_, T> {
    /// Width of a row.
    pub fn width(&self) -> usize {
        self.state.field.width()
    }

    /// The column as a matrix `[N, width]`.
    pub fn matrix(&mut self) -> MatrixMut<'_, T> {
        // SAFETY: the parameter declared the write and is borrowed mutably; the state lists each table once.
        unsafe {
            matrix_mut(self.tables, self.state.tables.iter().copied(), self.state.storage, self.width(), self.now)
        }
    }

    /// Marks the component of every row as changed now, for `Changed` and the change detection of other systems:
    /// writing elements does not update the change ticks.
    pub fn set_changed(&mut self) {
        // SAFETY: the parameter declared the write and is borrowed mutably.
        unsafe { mark_rows_changed(self.tables, self.state.tables.iter().copied(), self.state.storage, self.now) }
    }

    /// Whether the column was written in all its tables after `tick`, and none of `others` since then; see
    /// [`Column::written_since`].
    pub fn is_newer_than(&self, tick: Tick, others: &[&Column]) -> bool {
        self.state.tables.iter().filter_map(|table| self.tables.get(*table)).all(|table| {
            let written = table.get_summary_tick(self.state.storage).map(|written| written.get());
            written.is_some_and(|written| {
                let follows = |other: &&Column| !other.written_since(written);
                written.is_newer_than(tick, self.now) && others.iter().all(follows)
            })
        })
    }
}

/// The state of a column parameter between runs: the field and the tables that hold it.
pub struct ColumnState<T> {
    pub(super) field: Field<T>,
    pub(super) tables: Vec<TableId>,
    /// The component that holds the field at the current parity.
    pub(super) storage: ComponentId,
    /// Number of the world's tables examined so far; tables are never removed.
    seen: usize,
    parity: ComponentId,
    /// The component whose carriers have no row.
    disabled: Option<ComponentId>,
}

impl<T: Send + Sync + 'static> ColumnState<T> {
    #[track_caller]
    pub(super) fn new(field: Field<T>, world: &mut World) -> Self {
        field.assert_world(world.id());
        let (parity, disabled) = (world.register_component::<Parity>(), field.disabled(world));
        Self { field, tables: Vec::new(), storage: field.id(), seen: 0, parity, disabled }
    }

    pub(super) fn declare(&self, write: bool, meta: &mut SystemMeta, access: &mut SystemAccess, world: &World) {
        let mut column = FilteredAccess::default();
        if write {
            column.add_write(self.field.id());
        } else {
            column.add_read(self.field.id());
        }
        if access.try_add(column).is_err() {
            let (system, field) = (meta.name(), self.field.name(world));
            panic!("system `{system}` uses field `{field}` twice, once for writing; read and write different fields");
        }
        if self.field.buffer.is_some() {
            let mut parity = FilteredAccess::default();
            parity.add_read(self.parity);
            if access.try_add(parity).is_err() {
                panic!(
                    "system `{}` flips the parity of a double buffer that it uses; flip it in a later system",
                    meta.name()
                );
            }
        }
    }

    /// Finds tables created since the last run, and the current storage of the field.
    ///
    /// # Safety
    /// The parameter's access was declared, and `world` allows it.
    pub(super) unsafe fn refresh<'w>(&mut self, world: UnsafeWorldCell<'w>) -> &'w Tables {
        // SAFETY: only columns of declared fields are reached through the tables.
        let tables = unsafe { &world.storages().tables };
        if self.seen < tables.len() {
            let (domain, id) = (self.field.domain(), self.field.id());
            self.tables.clear();
            self.tables.extend(tables_of(tables, domain, id, self.disabled));
            self.seen = tables.len();
        }
        let odd = self.field.buffer.is_some_and(|buffer| {
            let owner = world.get_entity(buffer.owner).ok();
            // SAFETY: reading `Parity` was declared.
            owner.and_then(|owner| unsafe { owner.get::<Parity>() }).is_some_and(|parity| parity.0)
        });
        self.storage = self.field.storage(odd);
        tables
    }

    /// Number of rows.
    pub(super) fn len(&self, tables: &Tables) -> usize {
        let rows = self.tables.iter().filter_map(|table| tables.get(*table));
        rows.map(|table| table.entity_count() as usize).sum()
    }

    pub(super) fn written_since(&self, tables: &Tables, tick: Tick, now: Tick) -> bool {
        self.tables.iter().any(|table| {
            let written = tables.get(*table).map(|table| table.get_summary_tick(self.storage));
            written.is_some_and(|written| written.is_none_or(|written| written.get().is_newer_than(tick, now)))
        })
    }
}

// SAFETY: `declare` adds the field, and the parity for a half of a double buffer, and nothing else is reached.
unsafe impl<T: Send + Sync + 'static> SystemParam for Column<'_, '_, T> {
    type State = ColumnState<T>;
    type Item<'w, 's> = Column<'w, 's, T>;

    #[track_caller]
    fn init_state(_: &mut World) -> Self::State {
        unbuilt()
    }

    fn init_access(state: &Self::State, meta: &mut SystemMeta, access: &mut SystemAccess, world: &mut World) {
        state.declare(false, meta, access, world);
    }

    unsafe fn get_param<'w, 's>(
        state: &'s mut Self::State,
        _: &SystemMeta,
        world: UnsafeWorldCell<'w>,
        now: Tick,
    ) -> Result<Self::Item<'w, 's>, SystemParamValidationError> {
        // SAFETY: the caller grants what `init_access` declared.
        let tables = unsafe { state.refresh(world) };
        Ok(Column { tables, state, now })
    }
}

// SAFETY: as for `Column`.
unsafe impl<T: Send + Sync + 'static> SystemParam for ColumnMut<'_, '_, T> {
    type State = ColumnState<T>;
    type Item<'w, 's> = ColumnMut<'w, 's, T>;

    #[track_caller]
    fn init_state(_: &mut World) -> Self::State {
        unbuilt()
    }

    fn init_access(state: &Self::State, meta: &mut SystemMeta, access: &mut SystemAccess, world: &mut World) {
        state.declare(true, meta, access, world);
    }

    unsafe fn get_param<'w, 's>(
        state: &'s mut Self::State,
        _: &SystemMeta,
        world: UnsafeWorldCell<'w>,
        now: Tick,
    ) -> Result<Self::Item<'w, 's>, SystemParamValidationError> {
        // SAFETY: the caller grants what `init_access` declared.
        let tables = unsafe { state.refresh(world) };
        Ok(ColumnMut { tables, state, now })
    }
}

#[track_caller]
pub(super) fn unbuilt() -> ! {
    panic!("a column has no field; build the system by `(field.read(), ...).build_state(world).build_system(...)`")
}

// SAFETY: the state is made from a field of this world, as the parameter expects.
unsafe impl<'w, 's, T: Send + Sync + 'static> SystemParamBuilder<Column<'w, 's, T>> for Read<T> {
    #[track_caller]
    fn build(self, world: &mut World) -> ColumnState<T> {
        ColumnState::new(self.0, world)
    }
}

// SAFETY: as above.
unsafe impl<'w, 's, T: Send + Sync + 'static> SystemParamBuilder<ColumnMut<'w, 's, T>> for Write<T> {
    #[track_caller]
    fn build(self, world: &mut World) -> ColumnState<T> {
        ColumnState::new(self.0, world)
    }
}
