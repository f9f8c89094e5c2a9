//! The two shapes that almost every system of a stage has: rows computed from rows, and sums over rows.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
};
use connectome_components::{Adjacency, Column, ColumnMut, Field, Matrix, Read, Topology};
use core::{array, ops::Range};

use crate::{Blocks, RowsMut, Workers, kernels::vectorize, layers::LayerBuilder, workers::even_size};

/// The most fields that one system reads.
const MAX_INPUTS: usize = 10;

/// How the rows that a system writes are cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// By the numbers in a row.
    Even,
    /// By the numbers in a row, but into blocks with so many rows that their product with a matrix is quick.
    Product,
    /// Nodes, by the edges that end there.
    Incoming,
    /// Nodes, by the edges that start there.
    Outgoing,
    /// Subgraphs, by their nodes.
    Members,
}

impl Cut {
    /// The adjacency by which the work is divided.
    #[inline(always)]
    pub(crate) fn adjacency(self, topology: &Topology) -> Option<&Adjacency> {
        match self {
            Self::Even | Self::Product => None,
            Self::Incoming => Some(&topology.incoming),
            Self::Outgoing => Some(&topology.outgoing),
            Self::Members => Some(&topology.members),
        }
    }

    /// The blocks among the rows `start..start + rows`, and how many numbers go into one of them if `width` are written
    /// and `read` are read, of itself and for each entry.
    fn blocks(self, topology: &Topology, start: usize, rows: usize, [width, read]: [usize; 2]) -> (Blocks<'_>, usize) {
        let (blocks, cost) = match self.adjacency(topology) {
            None if self == Self::Product => (Blocks::of_products(rows, width), width + read),
            None => (Blocks::of_width(rows, width), width + read),
            Some(adjacency) => {
                let entries = adjacency.len() / (adjacency.offsets.len().max(2) - 1);
                (Blocks::Boundaries(&adjacency.blocks), width + read * (1 + entries))
            }
        };
        (blocks.within(start, rows), cost)
    }
}

/// When a system does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// In each step.
    Always,
    /// When an input or the topology has changed since the output was written.
    OnChange,
}

/// A system that writes `output` row by row: `body(topology, inputs, rows, numbers)` writes the numbers of some rows.
///
/// `body` and what it calls are to be `#[inline(always)]`, for they are compiled for each processor.
pub(crate) fn write_rows<const K: usize>(
    layer: &mut LayerBuilder,
    name: &'static str,
    cut: Cut,
    inputs: [Field; K],
    output: Field,
    body: impl Fn(&Topology, [&Matrix; K], Range<usize>, &mut [f32]) + Send + Sync + 'static,
) -> BoxedSystem {
    write_rows_when(layer, (name, Run::Always), cut, inputs, output, body)
}

/// As [`write_rows`], but only when there is something to do.
pub(crate) fn write_rows_when<const K: usize>(
    layer: &mut LayerBuilder,
    (name, run): (&'static str, Run),
    cut: Cut,
    inputs: [Field; K],
    output: Field,
    body: impl Fn(&Topology, [&Matrix; K], Range<usize>, &mut [f32]) + Send + Sync + 'static,
) -> BoxedSystem {
    let graph: Entity = layer.graph();
    let state = (read(inputs), output.write(), ParamBuilder::query::<&Topology>(), ParamBuilder::resource::<Workers>())
        .build_state(layer.world());
    let system = state.build_system(
        move |columns: Columns, mut output: ColumnMut, topology: Query<&Topology>, workers: Res<Workers>| {
            let Ok(topology) = topology.get(graph) else { return };
            if run == Run::OnChange
                && topology.derived_at.is_some_and(|tick| output.is_newer_than(tick, &all(&columns)))
            {
                return;
            }
            let matrices = matrices::<K>(&columns);
            let width = output.width();
            let widths: usize = matrices.iter().map(Matrix::width).sum();
            for (start, chunk) in output.matrix().chunks_mut() {
                let (blocks, cost) = cut.blocks(topology, start, chunk.len() / width, [width, widths]);
                workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                    vectorize(
                        #[inline(always)]
                        || body(topology, array::from_fn(|place| &matrices[place]), rows, output.data),
                    );
                });
            }
        },
    );
    Box::new(system.with_name(name))
}

/// As [`write_rows`], with two outputs on the same rows.
pub(crate) fn write_row_pairs<const K: usize>(
    layer: &mut LayerBuilder,
    name: &'static str,
    cut: Cut,
    inputs: [Field; K],
    outputs: [Field; 2],
    body: impl Fn(&Topology, [&Matrix; K], Range<usize>, [&mut [f32]; 2]) + Send + Sync + 'static,
) -> BoxedSystem {
    let graph: Entity = layer.graph();
    let [first, second] = outputs;
    let state = (
        read(inputs),
        (first.write(), second.write()),
        ParamBuilder::query::<&Topology>(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |columns: Columns,
              (mut first, mut second): (ColumnMut, ColumnMut),
              topology: Query<&Topology>,
              workers: Res<Workers>| {
            let Ok(topology) = topology.get(graph) else { return };
            let matrices = matrices::<K>(&columns);
            let widths = [first.width(), second.width()];
            let read: usize = matrices.iter().map(Matrix::width).sum();
            for ((start, first), (_, second)) in first.matrix().chunks_mut().zip(second.matrix().chunks_mut()) {
                let rows = first.len() / widths[0];
                let (blocks, cost) = cut.blocks(topology, start, rows, [widths[0] + widths[1], read]);
                let outputs = (RowsMut::new(first, widths[0]), RowsMut::new(second, widths[1]));
                workers.for_each_block(blocks, cost, outputs, |rows, (first, second)| {
                    vectorize(
                        #[inline(always)]
                        || {
                            let matrices = array::from_fn(|place| &matrices[place]);
                            body(topology, matrices, rows, [first.data, second.data]);
                        },
                    );
                });
            }
        },
    );
    Box::new(system.with_name(name))
}

/// A system that sums over rows: `body(inputs, rows, sum)` overwrites `sum` with that of some rows, which lie in one
/// piece of the first input. The total of all rows goes to some `numbers` of the only row of `total`.
///
/// `body` is run on every block of rows, and the sums are added in order.
pub(crate) fn sum_rows<const K: usize>(
    layer: &mut LayerBuilder,
    name: &'static str,
    inputs: [Field; K],
    total: Field,
    numbers: Range<usize>,
    body: impl Fn([&Matrix; K], Range<usize>, &mut [f32]) + Send + Sync + 'static,
) -> BoxedSystem {
    sum_rows_in_graph(
        layer,
        name,
        inputs,
        total,
        numbers,
        #[inline(always)]
        move |_, matrices, rows, sum| body(matrices, rows, sum),
    )
}

/// As [`sum_rows`], with `body(topology, inputs, rows, sum)`.
pub(crate) fn sum_rows_in_graph<const K: usize>(
    layer: &mut LayerBuilder,
    name: &'static str,
    inputs: [Field; K],
    total: Field,
    numbers: Range<usize>,
    body: impl Fn(&Topology, [&Matrix; K], Range<usize>, &mut [f32]) + Send + Sync + 'static,
) -> BoxedSystem {
    let graph: Entity = layer.graph();
    let state = (
        read(inputs),
        total.write(),
        ParamBuilder::query::<&Topology>(),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<f32>>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |columns: Columns,
              mut total: ColumnMut,
              topology: Query<&Topology>,
              workers: Res<Workers>,
              mut partial: Local<Vec<f32>>| {
            let Ok(topology) = topology.get(graph) else { return };
            let matrices = matrices::<K>(&columns);
            let Some(total) = total.matrix().rows_mut().next() else { return };
            let Some(total) = total.get_mut(numbers.clone()) else { return };
            sum_over_rows(&workers, &matrices[0], &mut partial, total, |rows, sum| {
                vectorize(
                    #[inline(always)]
                    || body(topology, array::from_fn(|place| &matrices[place]), rows, sum),
                );
            });
        },
    );
    Box::new(system.with_name(name))
}

type Ten<T> = (T, T, T, T, T, T, T, T, T, T);
type Columns<'w, 's> = Ten<Column<'w, 's>>;

/// The parameters that read these fields; the last one several times.
fn read<const K: usize>(inputs: [Field; K]) -> Ten<Read<f32>> {
    const { assert!(K > 0 && K <= MAX_INPUTS) }
    let read = |place: usize| inputs[place.min(K - 1)].read();
    (read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7), read(8), read(9))
}

fn all<'a, 'w, 's>(columns: &'a Columns<'w, 's>) -> [&'a Column<'w, 's>; MAX_INPUTS] {
    let (a, b, c, d, e, f, g, h, i, j) = columns;
    [a, b, c, d, e, f, g, h, i, j]
}

fn matrices<'a, const K: usize>(columns: &'a Columns) -> [Matrix<'a>; K] {
    array::from_fn(|place| all(columns)[place].matrix())
}

/// How many rows a block of a sum over so many has: about 512, or more so that there are at most 64 blocks.
fn sum_block(rows: usize) -> usize {
    const SMALLEST_BLOCK: usize = 512;
    const MAX_BLOCKS: usize = 64;
    // Products take so many rows at once.
    const GROUP: usize = 16;
    even_size(rows, rows.div_ceil(MAX_BLOCKS).max(SMALLEST_BLOCK)).next_multiple_of(GROUP)
}

/// How many sums of blocks the gradient of a parameter is added up from, where it comes from so many rows. They stay in
/// memory from step to step.
pub fn partial_sums(rows: usize) -> usize {
    rows.div_ceil(sum_block(rows))
}

/// `total = sum over blocks of rows`, where `block_sum(rows, sum)` overwrites the sum of one block.
///
/// How many blocks there are depends on the number of rows alone, and they are added in order.
pub(crate) fn sum_over_rows<T>(
    workers: &Workers,
    matrix: &Matrix<T>,
    partial: &mut Vec<f32>,
    total: &mut [f32],
    block_sum: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    let size = total.len();
    let mut first = true;
    for (start, chunk) in matrix.chunks() {
        let rows = chunk.len() / matrix.width();
        let block = sum_block(rows);
        let count = rows.div_ceil(block);
        partial.resize((count * size).max(partial.len()), 0.0);
        let sums = &mut partial[..count * size];
        let tasks = Blocks::Uniform { start: 0, rows: count, size: 1 };
        workers.for_each_block(tasks, block * size, RowsMut::new(sums, size), |task, sum| {
            let first_row = start + task.start * block;
            block_sum(first_row..(first_row + block).min(start + rows), sum.data);
        });
        let sums = &*sums;
        let columns = Blocks::of_width(size, 1);
        workers.for_each_block(columns, count, RowsMut::new(total, 1), |columns, total| {
            vectorize(
                #[inline(always)]
                || {
                    if first {
                        total.data.fill(0.0);
                    }
                    for sum in sums.chunks_exact(size) {
                        total.data.iter_mut().zip(&sum[columns.clone()]).for_each(|(total, sum)| *total += sum);
                    }
                },
            );
        });
        first = false;
    }
}
