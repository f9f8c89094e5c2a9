//! The one module with unsafe code: it turns a field into slices.
//!
//! What makes it sound:
//! - a field's component is registered here with the layout of `width` elements, or is a Rust component type, and a
//!   handle is only used in the world that made it, so a column of `rows` entities holds `rows * width` elements;
//! - a system's parameter declares the access it makes, so the scheduler keeps writers apart from everybody else;
//! - outside of systems the world itself is borrowed, shared for reading and mutably for writing;
//! - the halves of a double buffer are declared by role. Role and storage agree as long as the parity stands, and every
//!   parameter of a half also declares that it reads the parity, so no flip happens beside it. The storage of a half
//!   is reached by its role alone: its component is known to no handle without one. (A query built at run time by the
//!   id of a half can name the storage, but bevy_ecs gives it a bare pointer, for which its user answers.)
#![expect(unsafe_code, reason = "a table column is handed out as a slice; the module's rules are above")]

use bevy_ecs::{
    change_detection::Tick,
    component::{Component, ComponentCloneBehavior, ComponentDescriptor, ComponentId, StorageType},
    entity::Entity,
    ptr::OwningPtr,
    query::FilteredAccess,
    resource::Resource,
    storage::{Table, TableId, TableRow, Tables},
    system::{SystemAccess, SystemMeta, SystemParam, SystemParamBuilder, SystemParamValidationError},
    world::{EntityWorldMut, World, WorldId, unsafe_world_cell::UnsafeWorldCell},
};
use core::{alloc::Layout, cell::UnsafeCell, ptr::NonNull, slice};
use nonmax::NonMaxU32;

use crate::{Element, Field, FieldError, Matrix, MatrixMut, Parity};

/// Rows of vector width start on a boundary of it, up to a cache line.
const LARGEST_ALIGNMENT: usize = 64;

pub(crate) fn register<T: Element>(world: &mut World, name: &str, width: usize) -> Result<ComponentId, FieldError> {
    const {
        assert!(size_of::<T>() > 0, "an element without bytes has no column");
        assert!(align_of::<T>() <= LARGEST_ALIGNMENT, "rows of this element would not start on its boundary");
    }
    let name = name.to_owned();
    if width == 0 {
        return Err(FieldError::ZeroWidth { name });
    }
    let Some(layout) = width.checked_mul(size_of::<T>()).and_then(|bytes| {
        let alignment = (1 << bytes.trailing_zeros()).min(LARGEST_ALIGNMENT);
        Layout::from_size_align(bytes, alignment).ok()
    }) else {
        return Err(FieldError::TooWide { name, width });
    };
    // SAFETY: elements are plain data: they need no drop, may go to any thread, and are no relationship.
    let descriptor = unsafe {
        ComponentDescriptor::new_with_layout(
            name,
            StorageType::Table,
            layout,
            None,
            true,
            false,
            ComponentCloneBehavior::Default,
            None,
        )
    };
    Ok(world.register_component_with_descriptor(descriptor))
}

/// A component without data that is made at run time, to mark the nodes or the edges of one graph.
///
/// In Rust code a component type of your own does the same; a scene that is loaded has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    id: ComponentId,
    world: WorldId,
}

impl Marker {
    /// Registers a marker.
    pub fn register(world: &mut World, name: &str) -> Self {
        // SAFETY: the component has no data.
        let descriptor = unsafe {
            ComponentDescriptor::new_with_layout(
                name.to_owned(),
                StorageType::Table,
                Layout::new::<()>(),
                None,
                true,
                false,
                ComponentCloneBehavior::Default,
                None,
            )
        };
        Self { id: world.register_component_with_descriptor(descriptor), world: world.id() }
    }

    /// The component.
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Marks an entity.
    ///
    /// # Errors
    /// If it is not alive.
    pub fn insert(&self, world: &mut World, entity: Entity) -> Result<(), FieldError> {
        assert_eq!(self.world, world.id(), "a marker was used in a world that did not make it");
        if world.get_entity(entity).is_err() {
            return Err(FieldError::NotOnEntity { entity, name: "marker".to_owned() });
        }
        insert_zeros(world, entity, &[self.id]);
        Ok(())
    }
}

/// For each marking component, the fields that its carriers are to have.
#[derive(Resource, Default)]
pub(crate) struct AttachedFields(Vec<AttachedField>);

#[derive(Clone, Copy)]
struct AttachedField {
    on: ComponentId,
    id: ComponentId,
    initial: Initial,
}

#[derive(Clone, Copy)]
enum Initial {
    Zeros,
    Default(fn(EntityWorldMut)),
}

impl AttachedFields {
    pub(crate) fn zeroed(&mut self, on: ComponentId, id: ComponentId) {
        self.0.push(AttachedField { on, id, initial: Initial::Zeros });
    }

    pub(crate) fn defaulted(&mut self, on: ComponentId, id: ComponentId, insert: fn(EntityWorldMut)) {
        if !self.0.iter().any(|field| field.on == on && field.id == id) {
            self.0.push(AttachedField { on, id, initial: Initial::Default(insert) });
        }
    }

    fn missing_in<'a>(&'a self, on: ComponentId, table: &'a Table) -> impl Iterator<Item = &'a AttachedField> {
        self.0.iter().filter(move |field| field.on == on && !table.has_column(field.id))
    }
}

/// Gives every entity that carries `on` the fields registered for it which it lacks: zeros, or a component's default.
///
/// One look at each table when there is nothing to do.
pub fn attach_fields(world: &mut World, on: ComponentId) {
    // Two passes, because taking the resource out of the world each time would leave traces of its removal there.
    let Some(fields) = world.get_resource::<AttachedFields>() else { return };
    let incomplete =
        |table: &&Table| !table.is_empty() && table.has_column(on) && fields.missing_in(on, table).next().is_some();
    let missing: Vec<(Vec<Entity>, Vec<AttachedField>)> = world
        .storages()
        .tables
        .iter()
        .filter(incomplete)
        .map(|table| (table.entities().to_vec(), fields.missing_in(on, table).copied().collect()))
        .collect();
    for (entities, fields) in missing {
        let zeroed = |field: &AttachedField| matches!(field.initial, Initial::Zeros).then_some(field.id);
        let zeroed: Vec<ComponentId> = fields.iter().filter_map(zeroed).collect();
        for entity in entities {
            // A hook or an observer of what was inserted before may have despawned any of them.
            if world.get_entity(entity).is_ok() {
                insert_zeros(world, entity, &zeroed);
            }
            for field in &fields {
                if let (Initial::Default(insert), Ok(entity)) = (field.initial, world.get_entity_mut(entity)) {
                    insert(entity);
                }
            }
        }
    }
}

/// Inserts fields, each of an [`Element`] type, with all numbers 0.
pub(crate) fn insert_zeros(world: &mut World, entity: Entity, fields: &[ComponentId]) {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct CacheLine(#[expect(dead_code, reason = "only its bytes matter")] [u8; LARGEST_ALIGNMENT]);

    let size = |&id: &ComponentId| world.components().get_info(id).map_or(0, |info| info.layout().size());
    let largest = fields.iter().map(size).max().unwrap_or(0);
    let mut zeros = vec![CacheLine([0; LARGEST_ALIGNMENT]); largest.div_ceil(LARGEST_ALIGNMENT)];
    let Some(start) = NonNull::new(zeros.as_mut_ptr().cast::<u8>()) else { return };
    // SAFETY: the ids were registered in this world by this module as fields, whose elements are valid when all bytes are 0
    // and have no drop, or as markers without data, so one buffer may be moved from for each; it is as large as the largest and aligned for all.
    unsafe {
        world.entity_mut(entity).insert_by_ids(fields, fields.iter().map(|_| OwningPtr::new(start)));
    }
}

/// The numbers of `field` in `table`, if it has any.
fn cells<T>(table: &Table, id: ComponentId, width: usize) -> Option<&[UnsafeCell<T>]> {
    let column = table.get_column(id).filter(|_| !table.is_empty())?;
    // SAFETY: there is a first row; nothing is read here.
    let first = unsafe { column.get_data_unchecked(TableRow::new(NonMaxU32::ZERO)) };
    // SAFETY: the column holds `entity_count` components of `width` elements `T` each (module rules), without padding:
    // the layout of a registered field is just its elements, and a Rust component has width 1. Cells allow for writers.
    Some(unsafe { slice::from_raw_parts(first.as_ptr().cast(), table.entity_count() as usize * width) })
}

impl<T: Send + Sync + 'static> Field<T> {
    /// A parameter that reads this field: `field.read()` builds a [`Column`].
    pub fn read(self) -> Read<T> {
        Read(self)
    }

    /// A parameter that writes this field: `field.write()` builds a [`ColumnMut`].
    pub fn write(self) -> Write<T> {
        Write(self)
    }

    /// The whole column, read outside of a system.
    pub fn matrix<'w>(&self, world: &'w World) -> Matrix<'w, T> {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        // SAFETY: the world is borrowed for reading.
        unsafe {
            matrix(&world.storages().tables, tables_of(&world.storages().tables, self.on(), id), id, self.width())
        }
    }

    /// The whole column, written outside of a system.
    pub fn matrix_mut<'w>(&self, world: &'w mut World) -> MatrixMut<'w, T> {
        self.assert_world(world.id());
        let id = self.storage(parity_in(world, self));
        let tables = &world.as_unsafe_world_cell();
        // SAFETY: the world is borrowed for writing, and the cell does not outlive the borrow.
        let tables = unsafe { &tables.storages().tables };
        // SAFETY: as above.
        unsafe { matrix_mut(tables, tables_of(tables, self.on(), id), id, self.width()) }
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
    /// If the entity is dead or does not have the field yet, or `row` has not the field's width.
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
        if let Ok(mut target) = world.entity_mut(entity).get_mut_by_id(id) {
            // SAFETY: the component holds `width` elements (module rules), and the world is borrowed for writing.
            unsafe { slice::from_raw_parts_mut(target.as_mut().as_ptr().cast::<T>(), self.width()) }
                .copy_from_slice(row);
        }
        Ok(())
    }

    /// The component whose column holds the numbers while the parity is as given.
    fn storage(&self, odd: bool) -> ComponentId {
        match self.buffer {
            Some(buffer) if odd => buffer.twin,
            _ => self.id,
        }
    }

    #[track_caller]
    fn assert_world(&self, world: WorldId) {
        assert_eq!(self.world, world, "a field was used in a world that did not make it");
    }
}

fn parity_in<T>(world: &World, field: &Field<T>) -> bool {
    field.buffer.and_then(|buffer| world.get::<Parity>(buffer.owner)).is_some_and(|parity| parity.0)
}

/// The tables that hold a field's rows, in the order of the rows.
fn tables_of(tables: &Tables, on: ComponentId, id: ComponentId) -> impl Iterator<Item = TableId> {
    let holds = move |table: &Table| table.has_column(on) && table.has_column(id);
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
/// nobody else reads or writes it meanwhile. Each table is named once.
unsafe fn matrix_mut<T>(
    tables: &Tables,
    ids: impl Iterator<Item = TableId>,
    id: ComponentId,
    width: usize,
) -> MatrixMut<'_, T> {
    let chunks = ids.filter_map(|table| cells::<T>(&tables[table], id, width));
    MatrixMut::new(
        width,
        // SAFETY: the caller alone has access, and different tables are different memory.
        chunks.map(|cells| unsafe { slice::from_raw_parts_mut(UnsafeCell::raw_get(cells.as_ptr()), cells.len()) }),
    )
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
/// use connectome_components::{Column, ColumnMut, Field, Node};
///
/// let mut world = World::new();
/// let nodes = world.register_component::<Node>();
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
    storage: ComponentId,
}

/// A system parameter that writes a field, built with [`Field::write`]; see [`Column`].
pub struct ColumnMut<'w, 's, T = f32> {
    tables: &'w Tables,
    state: &'s ColumnState<T>,
    storage: ComponentId,
}

impl<T: Send + Sync + 'static> Column<'_, '_, T> {
    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.state.field.width()
    }

    /// The column as a matrix `[N, width]`.
    pub fn matrix(&self) -> Matrix<'_, T> {
        // SAFETY: the parameter declared the read, and the state lists the field's tables.
        unsafe { matrix(self.tables, self.state.tables.iter().copied(), self.storage, self.width()) }
    }
}

impl<T: Send + Sync + 'static> ColumnMut<'_, '_, T> {
    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.state.field.width()
    }

    /// The column as a matrix `[N, width]`.
    pub fn matrix(&mut self) -> MatrixMut<'_, T> {
        // SAFETY: the parameter declared the write and is borrowed mutably; the state lists each table once.
        unsafe { matrix_mut(self.tables, self.state.tables.iter().copied(), self.storage, self.width()) }
    }
}

/// What a column parameter remembers between runs: the field and the tables that hold it.
pub struct ColumnState<T> {
    field: Field<T>,
    tables: Vec<TableId>,
    /// Tables of the world that have been looked at; tables are never removed.
    seen: usize,
    parity: ComponentId,
}

impl<T: Send + Sync + 'static> ColumnState<T> {
    #[track_caller]
    fn new(field: Field<T>, world: &mut World) -> Self {
        field.assert_world(world.id());
        Self { field, tables: Vec::new(), seen: 0, parity: world.register_component::<Parity>() }
    }

    fn declare(&self, write: bool, meta: &mut SystemMeta, access: &mut SystemAccess, world: &World) {
        let mut own = FilteredAccess::default();
        if write {
            own.add_write(self.field.id());
        } else {
            own.add_read(self.field.id());
        }
        if access.try_add(own).is_err() {
            let (system, field) = (meta.name(), self.field.name(world));
            panic!("system `{system}` uses field `{field}` twice, once for writing; read and write different fields");
        }
        if self.field.buffer.is_some() {
            let mut parity = FilteredAccess::default();
            parity.add_read(self.parity);
            if access.try_add(parity).is_err() {
                panic!(
                    "system `{}` flips the parity of a double buffer that it uses; flip it in a later one",
                    meta.name()
                );
            }
        }
    }

    /// Looks for tables made since the last run, and for the storage that the field has now.
    ///
    /// # Safety
    /// The parameter's access was declared, and `world` allows it.
    unsafe fn refresh<'w>(&mut self, world: UnsafeWorldCell<'w>) -> (&'w Tables, ComponentId) {
        // SAFETY: only columns of declared fields are reached through the tables.
        let tables = unsafe { &world.storages().tables };
        if self.seen < tables.len() {
            let (on, id) = (self.field.on(), self.field.id());
            self.tables.clear();
            self.tables.extend(tables_of(tables, on, id));
            self.seen = tables.len();
        }
        let odd = self.field.buffer.is_some_and(|buffer| {
            let owner = world.get_entity(buffer.owner).ok();
            // SAFETY: reading `Parity` was declared.
            owner.and_then(|owner| unsafe { owner.get::<Parity>() }).is_some_and(|parity| parity.0)
        });
        (tables, self.field.storage(odd))
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
        _: Tick,
    ) -> Result<Self::Item<'w, 's>, SystemParamValidationError> {
        // SAFETY: the caller grants what `init_access` declared.
        let (tables, storage) = unsafe { state.refresh(world) };
        Ok(Column { tables, state, storage })
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
        _: Tick,
    ) -> Result<Self::Item<'w, 's>, SystemParamValidationError> {
        // SAFETY: the caller grants what `init_access` declared.
        let (tables, storage) = unsafe { state.refresh(world) };
        Ok(ColumnMut { tables, state, storage })
    }
}

#[track_caller]
fn unbuilt() -> ! {
    panic!(
        "a column does not know its field: build the system with `(field.read(), ...).build_state(world).build_system(...)`"
    )
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

/// All components `T` of a table, in the order of its rows; empty if the table has none.
pub(crate) fn components<T: Component>(world: &World, table: TableId) -> &[T] {
    let Some(id) = world.component_id::<T>() else { return &[] };
    let Some(table) = world.storages().tables.get(table) else { return &[] };
    let Some(cells) = cells::<T>(table, id, 1) else { return &[] };
    // SAFETY: `id` is the component `T`, the world is borrowed for reading, and `UnsafeCell<T>` has the layout of `T`.
    unsafe { slice::from_raw_parts(cells.as_ptr().cast::<T>(), cells.len()) }
}
