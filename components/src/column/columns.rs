//! A system parameter that reads and writes any number of fields.

use bevy_ecs::{
    change_detection::Tick,
    component::ComponentId,
    entity_disabling::Disabled,
    storage::Tables,
    system::{SystemAccess, SystemMeta, SystemParam, SystemParamBuilder, SystemParamValidationError},
    world::{World, unsafe_world_cell::UnsafeWorldCell},
};

use super::{mark_rows_changed, matrix, matrix_mut, parameter::ColumnState};
use crate::{Edge, Field, Graph, Matrix, MatrixMut, Rows, Topology};

/// The most fields that [`Columns::split_mut`] returns for writing at once.
pub const MAX_WRITTEN: usize = 4;

/// The fields of a [`Columns`] and its access to them; the builder of the parameter.
///
/// Fields are identified by an index; a field that is added twice has one index.
#[derive(Clone, Debug, Default)]
pub struct ColumnSet {
    fields: Vec<(Field, bool)>,
    indices: Vec<Field<u32>>,
}

impl ColumnSet {
    /// The index of a field that is read.
    pub fn read(&mut self, field: Field) -> usize {
        self.add(field, false)
    }

    /// The index of a field that is written, and may be read as well.
    pub fn write(&mut self, field: Field) -> usize {
        self.add(field, true)
    }

    /// The index, among integer fields, of an integer field that is read.
    pub fn read_indices(&mut self, field: Field<u32>) -> usize {
        match self.indices.iter().position(|known| *known == field) {
            Some(index) => index,
            None => {
                self.indices.push(field);
                self.indices.len() - 1
            }
        }
    }

    /// The fields, and whether each is written.
    pub fn fields(&self) -> &[(Field, bool)] {
        &self.fields
    }

    fn add(&mut self, field: Field, written: bool) -> usize {
        match self.fields.iter().position(|(known, _)| *known == field) {
            Some(index) => {
                self.fields[index].1 |= written;
                index
            }
            None => {
                self.fields.push((field, written));
                self.fields.len() - 1
            }
        }
    }
}

/// A system parameter that reads and writes any number of fields, built from a [`ColumnSet`].
///
/// To the scheduler it is one access to all of them; within the system [`Columns::split_mut`] separates written columns
/// from read ones.
///
/// ```
/// use bevy_ecs::{prelude::*, system::SystemParamBuilder};
/// use connectome_components::{ColumnSet, Columns, Field, GraphNode};
///
/// let mut world = World::new();
/// let nodes = world.register_component::<GraphNode>();
/// let input = Field::register(&mut world, "input", nodes, 1)?;
/// let output = Field::register(&mut world, "output", nodes, 1)?;
/// let mut set = ColumnSet::default();
/// let (from, to) = (set.read(input), set.write(output));
/// let copy = (set,).build_state(&mut world).build_system(move |mut columns: Columns| {
///     let (read, [output, ..]) = columns.split_mut(&[to]);
///     for (output, input) in output.into_iter().flat_map(|output| output.rows_mut()).zip(read.matrix(from).rows()) {
///         output.copy_from_slice(input);
///     }
/// });
/// let mut schedule = Schedule::default();
/// schedule.add_systems(copy);
/// schedule.run(&mut world);
/// # Ok::<(), connectome_components::FieldError>(())
/// ```
pub struct Columns<'w, 's> {
    tables: &'w Tables,
    state: &'s ColumnsState,
    now: Tick,
}

/// The state of a [`Columns`] between runs.
pub struct ColumnsState {
    columns: Vec<(ColumnState<f32>, bool)>,
    indices: Vec<ColumnState<u32>>,
    edge: ComponentId,
    disabled: Option<ComponentId>,
}

/// The columns of a [`Columns`] that are not written at the moment.
#[derive(Clone, Copy)]
pub struct UnwrittenColumns<'a> {
    columns: &'a Columns<'a, 'a>,
    written: [usize; MAX_WRITTEN],
}

impl Columns<'_, '_> {
    /// Borrows some columns for writing, in the order of `written`, and all others for reading.
    ///
    /// # Panics
    /// If there are more than [`MAX_WRITTEN`], one is named twice, or one was not declared as written.
    pub fn split_mut<'a>(
        &'a mut self,
        written: &[usize],
    ) -> (UnwrittenColumns<'a>, [Option<MatrixMut<'a>>; MAX_WRITTEN]) {
        assert!(written.len() <= MAX_WRITTEN, "more than {MAX_WRITTEN} columns are borrowed for writing at once");
        let mut taken = [usize::MAX; MAX_WRITTEN];
        let mut outputs = [const { None }; MAX_WRITTEN];
        let columns: &'a Columns<'a, 'a> = self;
        for ((slot, output), index) in taken.iter_mut().zip(&mut outputs).zip(written) {
            let (state, is_written) = &columns.state.columns[*index];
            assert!(is_written, "a column declared for reading is written");
            let is_first = written.iter().filter(|other| *other == index).count() == 1;
            assert!(is_first, "a column is borrowed for writing twice");
            *slot = *index;
            // SAFETY: the write was declared. The parameter is borrowed mutably for as long as the matrix lives; within
            // this borrow no column is returned twice for writing (asserted above), and none of them for reading
            // (`UnwrittenColumns::matrix` asserts it). Different fields of one parameter are different components, and
            // the two halves of a double buffer are different storage.
            *output = Some(unsafe {
                matrix_mut(
                    columns.tables,
                    state.tables.iter().copied(),
                    state.storage,
                    state.field.width(),
                    columns.now,
                )
            });
        }
        (UnwrittenColumns { columns, written: taken }, outputs)
    }

    /// Whether the rows of the columns are those of the graph's topology, which they are not if a node, an edge or a
    /// subgraph was spawned, despawned or moved to another table since the topology was derived.
    ///
    /// Checks the length of each table, which does not detect that one entity replaced another; `exactly` compares all
    /// entities.
    pub fn follow(&self, graph: &Graph, topology: &Topology, exactly: bool) -> bool {
        let ColumnsState { edge, disabled, .. } = *self.state;
        let fits =
            |rows: &Rows, components: &[ComponentId]| rows.fit_tables(self.tables, components, disabled, exactly);
        let rows = |column: &ColumnState<f32>| match column.field.domain() {
            domain if domain == graph.nodes => Some(topology.nodes.len()),
            domain if domain == graph.sources => Some(topology.sources().0.len()),
            domain if domain == graph.edges => Some(topology.edges.len()),
            domain if domain == graph.subgraphs => Some(topology.subgraphs.len()),
            _ => None,
        };
        fits(&topology.nodes, &[graph.nodes])
            && topology.other_sources.as_ref().is_none_or(|sources| fits(&sources.rows, &[graph.sources]))
            && fits(&topology.edges, &[edge, graph.edges])
            && fits(&topology.subgraphs, &[graph.subgraphs])
            && self
                .state
                .columns
                .iter()
                .all(|(column, _)| rows(column).is_none_or(|rows| rows == column.len(self.tables)))
    }

    /// Marks the component of every row of a column as changed now; see
    /// [`ColumnMut::set_changed`](crate::ColumnMut::set_changed).
    ///
    /// # Panics
    /// If the column was not declared as written.
    pub fn set_changed(&mut self, index: usize) {
        let (state, is_written) = &self.state.columns[index];
        assert!(is_written, "a column declared for reading is marked as changed");
        // SAFETY: the write was declared and the parameter is borrowed mutably.
        unsafe { mark_rows_changed(self.tables, state.tables.iter().copied(), state.storage, self.now) }
    }

    /// Whether a column was written in all its tables after `tick`, and none of the columns `others` since then; see
    /// [`Column::written_since`](crate::Column::written_since).
    pub fn is_newer_than(&self, index: usize, tick: Tick, others: &[usize]) -> bool {
        let (state, _) = &self.state.columns[index];
        state.tables.iter().filter_map(|table| self.tables.get(*table)).all(|table| {
            let written = table.get_summary_tick(state.storage).map(|written| written.get());
            written.is_some_and(|written| {
                let follows = |other: &usize| !self.written_since(*other, written);
                written.is_newer_than(tick, self.now) && others.iter().all(follows)
            })
        })
    }

    fn written_since(&self, index: usize, tick: Tick) -> bool {
        self.state.columns[index].0.written_since(self.tables, tick, self.now)
    }
}

impl<'a> UnwrittenColumns<'a> {
    /// The column as a matrix `[N, width]`.
    ///
    /// # Panics
    /// If the column is being written.
    pub fn matrix(&self, index: usize) -> Matrix<'a> {
        assert!(!self.written.contains(&index), "a column is read while it is borrowed for writing");
        let (state, _) = &self.columns.state.columns[index];
        // SAFETY: the access was declared, and the column is not among those that are written (asserted above); all
        // others are only read while this borrow of the parameter lasts.
        unsafe { matrix(self.columns.tables, state.tables.iter().copied(), state.storage, state.field.width()) }
    }

    /// A column of integers.
    pub fn indices(&self, index: usize) -> Matrix<'a, u32> {
        let state = &self.columns.state.indices[index];
        // SAFETY: the read was declared; columns of integers are never written by this parameter.
        unsafe { matrix(self.columns.tables, state.tables.iter().copied(), state.storage, state.field.width()) }
    }
}

// SAFETY: `declare` adds each field as it is used, and the parity for halves of double buffers; nothing else is
// reached.
unsafe impl SystemParam for Columns<'_, '_> {
    type State = ColumnsState;
    type Item<'w, 's> = Columns<'w, 's>;

    #[track_caller]
    fn init_state(_: &mut World) -> Self::State {
        super::parameter::unbuilt()
    }

    fn init_access(state: &Self::State, meta: &mut SystemMeta, access: &mut SystemAccess, world: &mut World) {
        state.columns.iter().for_each(|(column, written)| column.declare(*written, meta, access, world));
        state.indices.iter().for_each(|column| column.declare(false, meta, access, world));
    }

    unsafe fn get_param<'w, 's>(
        state: &'s mut Self::State,
        _: &SystemMeta,
        world: UnsafeWorldCell<'w>,
        now: Tick,
    ) -> Result<Self::Item<'w, 's>, SystemParamValidationError> {
        for (column, _) in &mut state.columns {
            // SAFETY: the caller grants what `init_access` declared.
            unsafe { column.refresh(world) };
        }
        for column in &mut state.indices {
            // SAFETY: as above.
            unsafe { column.refresh(world) };
        }
        // SAFETY: only columns of declared fields are reached through the tables.
        let tables = unsafe { &world.storages().tables };
        Ok(Columns { tables, state, now })
    }
}

// SAFETY: the state is made from fields of this world, as the parameter expects.
unsafe impl<'w, 's> SystemParamBuilder<Columns<'w, 's>> for ColumnSet {
    #[track_caller]
    fn build(self, world: &mut World) -> ColumnsState {
        ColumnsState {
            columns: self
                .fields
                .into_iter()
                .map(|(field, written)| (ColumnState::new(field, world), written))
                .collect(),
            indices: self.indices.into_iter().map(|field| ColumnState::new(field, world)).collect(),
            edge: world.register_component::<Edge>(),
            disabled: world.component_id::<Disabled>(),
        }
    }
}
