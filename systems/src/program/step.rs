//! What an operator is given to run with, and the shapes that almost every one has: rows computed from rows, and sums over
//! rows.

use connectome_components::{Adjacency, KeyOrder, Matrix, MatrixMut, Topology, UnwrittenColumns};
use core::{array, cell::RefCell, ops::Range};

use super::{Domain, reach::Extent};
use crate::{
    kernels::vectorize,
    parallel::{Blocks, RowsMut, Workers, even_size},
    random::Philox,
};

/// The most inputs that one loop over rows reads.
pub const MAX_INPUTS: usize = 10;

/// The most outputs of an operation.
pub const MAX_OUTPUTS: usize = connectome_components::MAX_WRITTEN;

/// How the rows that an operation writes are cut into blocks: by the data, never by the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By the width of a row.
    Uniform,
    /// By the width of a row, but into blocks with so many rows that their product with a matrix is quick.
    Product,
    /// Nodes, by the edges that end there.
    Incoming,
    /// Nodes, by the edges that start there.
    Outgoing,
    /// Subgraphs, by their nodes.
    Members,
}

impl Partition {
    /// The adjacency by which the work is divided.
    #[inline(always)]
    pub fn adjacency(self, topology: &Topology) -> Option<&Adjacency> {
        match self {
            Self::Uniform | Self::Product => None,
            Self::Incoming => Some(&topology.incoming),
            Self::Outgoing => Some(&topology.outgoing),
            Self::Members => Some(&topology.members),
        }
    }

    /// The blocks among the rows `start..start + rows`, and how many elements go into one of them if `width` are written
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

/// What is done with the rows of a block of up to three outputs.
type GroupBody<'a> = dyn Fn(Range<usize>, [&mut [f32]; 3]) + Sync + 'a;

/// One run of an operation: its inputs, its outputs, and the graph.
pub struct Step<'a> {
    pub(super) inputs: &'a [usize],
    /// For each input where its indices are, if it is sparse.
    pub(super) indices: &'a [Option<usize>],
    pub(super) columns: UnwrittenColumns<'a>,
    pub(super) outputs: [Option<MatrixMut<'a>>; MAX_OUTPUTS],
    pub(super) accumulates: bool,
    pub(super) topology: &'a Topology,
    /// The rows of a sample that a sum reads, and the whole topology; all if none.
    pub(super) read_rows: Option<(Extent, &'a Topology)>,
    /// The rows that it is on, and those of each input.
    pub(super) domain: Domain,
    pub(super) domains: &'a [Domain],
    pub(super) workers: &'a Workers,
    pub(super) seed: u64,
    /// The number of the training pass.
    pub(super) pass: u64,
    /// A buffer that one operation leaves to the next, so that a warm step does not allocate.
    pub(super) scratch: &'a mut Vec<f32>,
}

impl<'a> Step<'a> {
    /// The graph that the operation is on.
    pub fn topology(&self) -> &'a Topology {
        self.topology
    }

    /// The workers among which rows are divided.
    pub fn workers(&self) -> &'a Workers {
        self.workers
    }

    /// The order of the rows that the operation writes or, in a sum, reads: random numbers are drawn, and rows summed,
    /// in the order of keys. None if this is the order of the rows.
    pub fn order(&self) -> Option<&'a KeyOrder> {
        self.domain.order(self.topology)
    }

    /// Whether the first output is to be added to what stands in it; only for an operator that says it can
    /// ([`Operator::accumulates`](super::Operator::accumulates)).
    pub fn accumulates(&self) -> bool {
        self.accumulates
    }

    /// Random numbers of this training pass that no other stream has.
    pub fn random(&self, stream: u32) -> Philox {
        Philox::new(self.seed, stream, self.pass)
    }

    /// Input number `input`; of a sparse one what is stored.
    ///
    /// # Panics
    /// If there is no such input.
    pub fn input(&self, input: usize) -> Matrix<'a> {
        let matrix = self.columns.matrix(self.inputs[input]);
        match self.read_rows {
            Some((extent, topology)) => matrix.first_rows(extent.rows(topology, self.domains[input])),
            None => matrix,
        }
    }

    /// Whether input number `input` is sparse.
    pub fn is_sparse(&self, input: usize) -> bool {
        self.indices.get(input).is_some_and(Option::is_some)
    }

    /// The indices of the elements that are stored of a sparse input.
    ///
    /// # Panics
    /// If there is no such input, or it is not sparse.
    pub fn indices(&self, input: usize) -> Matrix<'a, u32> {
        match self.indices[input] {
            Some(index) => self.columns.indices(index),
            None => panic!("input {input} is not sparse"),
        }
    }

    /// Output number `output`.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn output(&mut self, output: usize) -> MatrixMut<'_> {
        match &mut self.outputs[output] {
            Some(matrix) => matrix.reborrow(),
            None => panic!("the operation has no output {output}"),
        }
    }

    /// Writes the first output row by row from some inputs: `body(topology, inputs, rows, output)` writes some rows.
    ///
    /// `body` and what it calls are to be `#[inline(always)]`, for they are compiled for each processor.
    pub fn write_rows<const K: usize>(
        &mut self,
        partition: Partition,
        inputs: [usize; K],
        body: impl Fn(&Topology, [&Matrix; K], Range<usize>, &mut [f32]) + Sync,
    ) {
        const { assert!(K <= MAX_INPUTS) }
        let matrices = inputs.map(|input| self.input(input));
        let read: usize = matrices.iter().map(Matrix::width).sum();
        let topology = self.topology;
        self.for_each_block(partition, read, &|rows, output| {
            vectorize(
                #[inline(always)]
                || body(topology, array::from_fn(|input| &matrices[input]), rows, output),
            );
        });
    }

    /// Calls `body` with the rows of each block of the first output, and their elements.
    ///
    /// Not generic, so that what shares blocks among workers is compiled once and not for each operator.
    fn for_each_block(&mut self, partition: Partition, read: usize, body: &(dyn Fn(Range<usize>, &mut [f32]) + Sync)) {
        let (topology, workers) = (self.topology, self.workers);
        let output = self.output(0);
        let width = output.width();
        for (start, chunk) in output.chunks_mut() {
            let (blocks, cost) = partition.blocks(topology, start, chunk.len() / width, [width, read]);
            workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| body(rows, output.data));
        }
    }

    /// Writes the first output block by block.
    pub(crate) fn write_blocks(&mut self, cost: usize, body: impl Fn(Range<usize>, &mut [f32]) + Sync) {
        let workers = self.workers;
        let output = self.output(0);
        let width = output.width();
        for (start, chunk) in output.chunks_mut() {
            let rows = chunk.len() / width;
            let blocks = Blocks::of_width(rows, width).within(start, rows);
            workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| body(rows, output.data));
        }
    }

    /// As [`Step::write_rows`], with the first outputs, on the same rows; one that the operation has not is empty.
    pub fn write_row_groups<const K: usize, const OUTPUTS: usize>(
        &mut self,
        partition: Partition,
        inputs: [usize; K],
        body: impl Fn(&Topology, [&Matrix; K], Range<usize>, [&mut [f32]; OUTPUTS]) + Sync,
    ) {
        const { assert!(K <= MAX_INPUTS && OUTPUTS <= 3) }
        let matrices = inputs.map(|input| self.input(input));
        let read: usize = matrices.iter().map(Matrix::width).sum();
        let topology = self.topology;
        self.for_each_block_group(partition, read, &|rows, outputs| {
            let mut outputs = outputs.into_iter();
            let outputs = array::from_fn(|_| outputs.next().unwrap_or(&mut []));
            vectorize(
                #[inline(always)]
                || body(topology, array::from_fn(|input| &matrices[input]), rows, outputs),
            );
        });
    }

    fn for_each_block_group(&mut self, partition: Partition, read: usize, body: &GroupBody<'_>) {
        let (topology, workers) = (self.topology, self.workers);
        let [Some(first), second, third, ..] = &mut self.outputs else { panic!("the operation has no output") };
        let widths = [Some(&*first), second.as_ref(), third.as_ref()].map(|output| output.map_or(0, MatrixMut::width));
        let mut others =
            [second, third].map(|output| output.iter_mut().flat_map(|output| output.reborrow().chunks_mut()));
        for (start, first) in first.reborrow().chunks_mut() {
            let rows = first.len() / widths[0];
            let (blocks, cost) = partition.blocks(topology, start, rows, [widths.iter().sum(), read]);
            let [second, third] = others.each_mut().map(|chunks| chunks.next().map_or(&mut [][..], |(_, chunk)| chunk));
            let outputs =
                (RowsMut::new(first, widths[0]), RowsMut::new(second, widths[1]), RowsMut::new(third, widths[2]));
            workers.for_each_block(blocks, cost, outputs, |rows, (first, second, third)| {
                body(rows, [first.data, second.data, third.data]);
            });
        }
    }

    /// Sums over the rows of some inputs, in the order of their keys, without dangling edges: `body(inputs, rows, sum)`
    /// overwrites `sum` with that of some rows, which lie in one chunk of the inputs. The total of all rows goes to a `range`
    /// of the only row of the first output, or is added to it.
    ///
    /// `body` is run on every block of rows, and the sums are added in order. If the order of keys is not that of the rows,
    /// or they are in several tables, `body` gets copies of the rows of a block; inputs on other rows than the first are as
    /// they are.
    pub fn sum_rows<const K: usize>(
        &mut self,
        inputs: [usize; K],
        range: Range<usize>,
        body: impl Fn([&Matrix; K], Range<usize>, &mut [f32]) + Sync,
    ) {
        self.sum_blocks(inputs, None, range, &|_, matrices, rows, sum| {
            vectorize(
                #[inline(always)]
                || body(matrices, rows, sum),
            );
        });
    }

    /// As [`Step::sum_rows`], over a sparse first input: `body(indices, inputs, rows, sum)`.
    pub fn sum_sparse_rows<const K: usize>(
        &mut self,
        inputs: [usize; K],
        range: Range<usize>,
        body: impl Fn(&Matrix<u32>, [&Matrix; K], Range<usize>, &mut [f32]) + Sync,
    ) {
        let indices = self.indices(inputs[0]);
        self.sum_blocks(inputs, Some(&indices), range, &|indices, matrices, rows, sum| {
            vectorize(
                #[inline(always)]
                || indices.into_iter().for_each(|indices| body(indices, matrices, rows.clone(), sum)),
            );
        });
    }

    fn sum_blocks<const K: usize>(
        &mut self,
        inputs: [usize; K],
        indices: Option<&Matrix<u32>>,
        range: Range<usize>,
        body: &SumBody<'_, K>,
    ) {
        const { assert!(K > 0 && K <= MAX_INPUTS) }
        let matrices = inputs.map(|input| self.input(input));
        let is_summed = inputs.map(|input| self.domains[input] == self.domains[inputs[0]]);
        let (workers, adds) = (self.workers, self.accumulates);
        let order = self.order().and_then(KeyOrder::permutation);
        let rows = order.map_or(matrices[0].row_count(), <[u32]>::len);
        let is_copied = order.is_some() || !matrices[0].is_contiguous();
        let mut partial = core::mem::take(self.scratch);
        if let Some(total) = self.output(0).rows_mut().next().and_then(|total| total.get_mut(range)) {
            sum_over_rows(workers, rows, &mut partial, (total, adds), &|block, sum| {
                if !is_copied {
                    return body(indices, array::from_fn(|input| &matrices[input]), block, sum);
                }
                let rows = || block.clone().map(|rank| order.map_or(rank, |order| order[rank] as usize));
                COPIES.with_borrow_mut(|(numbers, copied_indices)| {
                    numbers.clear();
                    for matrix in matrices.iter().zip(is_summed).filter_map(|(matrix, copied)| copied.then_some(matrix))
                    {
                        copy_rows(matrix, rows(), numbers);
                    }
                    let mut rest = &numbers[..];
                    let copies: [Matrix; K] = array::from_fn(|input| {
                        if !is_summed[input] {
                            return matrices[input].clone();
                        }
                        let (copy, others) = rest.split_at(block.len() * matrices[input].width());
                        rest = others;
                        Matrix::new(matrices[input].width(), core::iter::once(copy))
                    });
                    let copied_indices = indices.map(|indices| {
                        copied_indices.clear();
                        copy_rows(indices, rows(), copied_indices);
                        Matrix::new(indices.width(), core::iter::once(&copied_indices[..]))
                    });
                    body(copied_indices.as_ref(), array::from_fn(|input| &copies[input]), 0..block.len(), sum);
                });
            });
        }
        *self.scratch = partial;
    }
}

/// The sum of a block of rows; gets the indices of a sparse first input.
type SumBody<'a, const K: usize> = dyn Fn(Option<&Matrix<u32>>, [&Matrix; K], Range<usize>, &mut [f32]) + Sync + 'a;

thread_local! {
    /// Buffers for the rows of one block in the order of their keys.
    static COPIES: RefCell<(Vec<f32>, Vec<u32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Appends rows to a buffer.
fn copy_rows<T: Copy>(matrix: &Matrix<T>, rows: impl Iterator<Item = usize>, buffer: &mut Vec<T>) {
    rows.for_each(|row| buffer.extend_from_slice(matrix.row(row)));
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

/// `total = sum over blocks of rows`, or `total += ...`, where `block_sum(rows, sum)` overwrites the sum of one block.
///
/// How many blocks there are depends on the number of rows alone, and they are added in order.
fn sum_over_rows(
    workers: &Workers,
    rows: usize,
    partial: &mut Vec<f32>,
    (total, adds): (&mut [f32], bool),
    block_sum: &(dyn Fn(Range<usize>, &mut [f32]) + Sync),
) {
    let (size, block) = (total.len(), sum_block(rows));
    let count = rows.div_ceil(block);
    partial.resize((count * size).max(partial.len()), 0.0);
    let sums = &mut partial[..count * size];
    let tasks = Blocks::Uniform { start: 0, rows: count, size: 1 };
    workers.for_each_block(tasks, block * size, RowsMut::new(sums, size), |task, sum| {
        let first_row = task.start * block;
        block_sum(first_row..(first_row + block).min(rows), sum.data);
    });
    let sums = &*sums;
    let columns = Blocks::of_width(size, 1);
    workers.for_each_block(columns, count, RowsMut::new(total, 1), |columns, total| {
        vectorize(
            #[inline(always)]
            || {
                if !adds {
                    total.data.fill(0.0);
                }
                for sum in sums.chunks_exact(size) {
                    total.data.iter_mut().zip(&sum[columns.clone()]).for_each(|(total, sum)| *total += sum);
                }
            },
        );
    });
}
