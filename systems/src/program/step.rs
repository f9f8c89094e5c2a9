//! What an operator is given to run with, and the shapes that almost every one has: rows computed from rows, and sums over
//! rows.

use connectome_components::{Adjacency, Matrix, MatrixMut, Topology, UnwrittenColumns};
use core::{array, ops::Range};

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

/// What is done with the rows of a block of two outputs.
type PairBody<'a> = dyn Fn(Range<usize>, [&mut [f32]; 2]) + Sync + 'a;

/// One run of an operation: its inputs, its outputs, and the graph.
pub struct Step<'a> {
    pub(super) inputs: &'a [usize],
    /// For each input where its indices are, if it is sparse.
    pub(super) indices: &'a [Option<usize>],
    pub(super) columns: UnwrittenColumns<'a>,
    pub(super) outputs: [Option<MatrixMut<'a>>; MAX_OUTPUTS],
    pub(super) accumulates: bool,
    pub(super) topology: &'a Topology,
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
        self.columns.matrix(self.inputs[input])
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

    /// Writes the first output block by block: `body(rows, start, output)` gets the index of the first element as well.
    pub(crate) fn write_blocks(&mut self, cost: usize, body: impl Fn(Range<usize>, usize, &mut [f32]) + Sync) {
        let workers = self.workers;
        let output = self.output(0);
        let width = output.width();
        for (start, chunk) in output.chunks_mut() {
            let rows = chunk.len() / width;
            let blocks = Blocks::of_width(rows, width).within(start, rows);
            workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                let start = rows.start * width;
                body(rows, start, output.data);
            });
        }
    }

    /// As [`Step::write_rows`], with the first two outputs, on the same rows.
    pub fn write_row_pairs<const K: usize>(
        &mut self,
        partition: Partition,
        inputs: [usize; K],
        body: impl Fn(&Topology, [&Matrix; K], Range<usize>, [&mut [f32]; 2]) + Sync,
    ) {
        const { assert!(K <= MAX_INPUTS) }
        let matrices = inputs.map(|input| self.input(input));
        let read: usize = matrices.iter().map(Matrix::width).sum();
        let topology = self.topology;
        self.for_each_block_pair(partition, read, &|rows, outputs| {
            vectorize(
                #[inline(always)]
                || body(topology, array::from_fn(|input| &matrices[input]), rows, outputs),
            );
        });
    }

    fn for_each_block_pair(&mut self, partition: Partition, read: usize, body: &PairBody<'_>) {
        let (topology, workers) = (self.topology, self.workers);
        let [Some(first), Some(second), ..] = &mut self.outputs else { panic!("the operation has no two outputs") };
        let widths = [first.width(), second.width()];
        for ((start, first), (_, second)) in first.reborrow().chunks_mut().zip(second.reborrow().chunks_mut()) {
            let rows = first.len() / widths[0];
            let (blocks, cost) = partition.blocks(topology, start, rows, [widths[0] + widths[1], read]);
            let outputs = (RowsMut::new(first, widths[0]), RowsMut::new(second, widths[1]));
            workers.for_each_block(blocks, cost, outputs, |rows, (first, second)| {
                body(rows, [first.data, second.data]);
            });
        }
    }

    /// Sums over the rows of some inputs: `body(topology, inputs, rows, sum)` overwrites `sum` with that of some rows, which
    /// lie in one chunk of the first input. The total of all rows goes to a `range` of the only row of the first output, or is
    /// added to it.
    ///
    /// `body` is run on every block of rows, and the sums are added in order.
    pub fn sum_rows<const K: usize>(
        &mut self,
        inputs: [usize; K],
        range: Range<usize>,
        body: impl Fn(&Topology, [&Matrix; K], Range<usize>, &mut [f32]) + Sync,
    ) {
        const { assert!(K > 0 && K <= MAX_INPUTS) }
        let matrices = inputs.map(|input| self.input(input));
        let (topology, workers, adds) = (self.topology, self.workers, self.accumulates);
        let mut partial = core::mem::take(self.scratch);
        if let Some(total) = self.output(0).rows_mut().next().and_then(|total| total.get_mut(range)) {
            sum_over_rows(workers, &matrices[0], &mut partial, (total, adds), &|rows, sum| {
                vectorize(
                    #[inline(always)]
                    || body(topology, array::from_fn(|input| &matrices[input]), rows, sum),
                );
            });
        }
        *self.scratch = partial;
    }

    /// As [`Step::sum_rows`], over a sparse first input: `body(indices, inputs, rows, sum)`.
    pub fn sum_sparse_rows<const K: usize>(
        &mut self,
        inputs: [usize; K],
        range: Range<usize>,
        body: impl Fn(&Matrix<u32>, [&Matrix; K], Range<usize>, &mut [f32]) + Sync,
    ) {
        let indices = self.indices(inputs[0]);
        self.sum_rows(
            inputs,
            range,
            #[inline(always)]
            |_, matrices, rows, sum| body(&indices, matrices, rows, sum),
        );
    }
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
    matrix: &Matrix,
    partial: &mut Vec<f32>,
    (total, adds): (&mut [f32], bool),
    block_sum: &(dyn Fn(Range<usize>, &mut [f32]) + Sync),
) {
    let size = total.len();
    let mut first = !adds;
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
