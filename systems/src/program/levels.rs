//! Passes through a directed acyclic graph, level by level, within one operation.
//!
//! Rows of one level are computed from rows of the levels before. A level of few rows is computed by the calling thread, and
//! so are all such levels in a row, without anything in between: a chain costs no more than a loop over its nodes. Of other
//! levels the rows are cut into blocks, by the data alone, and shared among the workers.

use connectome_components::{Direction, Levels, Matrix, MatrixMut, Topology};
use core::{array, cell::RefCell, mem, ops::Range};

use super::Step;
use crate::{
    kernels::vectorize,
    parallel::{Blocks, SplitRows, Workers},
};

/// How an operation passes through the levels of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LevelPass {
    /// The direction whose levels they are.
    pub direction: Direction,
    /// Whether it goes from the last level to the first, as a backward pass does.
    pub descends: bool,
    /// The fewest and the most rows of a block.
    pub block: [usize; 2],
    /// The approximate number of elements that a row accesses.
    pub cost: usize,
    /// How many elements of a buffer a row needs.
    pub buffer: usize,
}

/// The rows of an operation's outputs that are written already: those of the levels before.
pub(crate) struct Written<'a, const K: usize> {
    outputs: [Matrix<'a>; K],
    /// The row that is the first of the matrices.
    first: usize,
}

impl<'a, const K: usize> Written<'a, K> {
    /// Output number `output`, and the row that is the first of this matrix.
    #[inline(always)]
    pub fn output(&self, output: usize) -> (&Matrix<'a>, usize) {
        (&self.outputs[output], self.first)
    }
}

impl Step<'_> {
    /// Writes the first `K` outputs, on nodes, level by level: `body(topology, written, rows, outputs, buffer)` writes some
    /// rows of one level, which `outputs` hold one after another, from those of the levels before. The buffer holds anything
    /// at first.
    ///
    /// `body` and what it calls are to be `#[inline(always)]`.
    pub(crate) fn write_levels<const K: usize>(
        &mut self,
        pass: LevelPass,
        body: impl Fn(&Topology, &Written<'_, K>, &[u32], [&mut [f32]; K], &mut [f32]) + Sync,
    ) {
        let (topology, workers) = (self.topology, self.workers);
        let Some(levels) = topology.levels(pass.direction) else { return };
        let mut outputs = self.outputs.iter_mut().flatten();
        let outputs: [MatrixMut; K] = array::from_fn(|_| match outputs.next() {
            Some(output) => output.reborrow(),
            None => panic!("the operation has less than {K} outputs"),
        });
        let mut target = Target::new(outputs, levels, pass.descends, self.scratch);
        let count = levels.count();
        let range = |index: usize| levels.range(if pass.descends { count - 1 - index } else { index });
        let mut index = 0;
        while index < count {
            let is_wide = |index: &usize| range(*index).len() > pass.block[0];
            let end = (index..count).find(is_wide).unwrap_or(count);
            with_buffer(pass.buffer * pass.block[0], |buffer| {
                vectorize(
                    #[inline(always)]
                    || {
                        for index in index..end {
                            target.write(
                                range(index),
                                None,
                                #[inline(always)]
                                |written, rows, outputs| {
                                    body(topology, written, rows, outputs, &mut buffer[..rows.len() * pass.buffer]);
                                },
                            );
                        }
                    },
                );
            });
            index = end;
            if index < count {
                target.write(range(index), Some(workers), |written, rows, data| {
                    let size = rows.len().div_ceil(EVEN).clamp(pass.block[0], pass.block[1]);
                    let blocks = Blocks::Uniform { start: 0, rows: rows.len(), size };
                    let outputs = Parts { widths: written.outputs.each_ref().map(Matrix::width), data };
                    workers.for_each_block(blocks, pass.cost, outputs, |block, outputs| {
                        with_buffer(block.len() * pass.buffer, |buffer| {
                            vectorize(
                                #[inline(always)]
                                || body(topology, written, &rows[block], outputs.data, buffer),
                            );
                        });
                    });
                });
                index += 1;
            }
        }
    }
}

/// Calls `with` with a buffer of the calling thread.
fn with_buffer(size: usize, with: impl FnOnce(&mut [f32])) {
    thread_local! {
        static BUFFER: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < size {
            buffer.resize(size, 0.0);
        }
        with(&mut buffer[..size]);
    });
}

/// The number of blocks of a level that is not too narrow or too wide for it: workers have equal work.
const EVEN: usize = 8;

/// The outputs of a pass.
struct Target<'a, const K: usize> {
    outputs: [MatrixMut<'a>; K],
    widths: [usize; K],
    levels: &'a Levels,
    descends: bool,
    /// Whether levels are ranges of rows in the order of the pass: then they are written where they belong.
    is_direct: bool,
    /// Otherwise the rows of a level, output by output, before they are copied there.
    scratch: &'a mut Vec<f32>,
}

impl<'a, const K: usize> Target<'a, K> {
    fn new(outputs: [MatrixMut<'a>; K], levels: &'a Levels, descends: bool, scratch: &'a mut Vec<f32>) -> Self {
        let widths = outputs.each_ref().map(MatrixMut::width);
        let is_direct = levels.is_sorted && outputs.iter().all(MatrixMut::is_contiguous);
        if !is_direct {
            let widest = (0..levels.count()).map(|level| levels.range(level).len()).max().unwrap_or(0);
            let needed = widest * widths.iter().sum::<usize>();
            scratch.resize(needed.max(scratch.len()), 0.0);
        }
        Self { outputs, widths, levels, descends, is_direct, scratch }
    }

    /// Has the rows of a level written; they are copied where they belong by these workers, or by the calling thread.
    #[inline(always)]
    fn write(
        &mut self,
        range: Range<usize>,
        workers: Option<&Workers>,
        write: impl FnOnce(&Written<'_, K>, &[u32], [&mut [f32]; K]),
    ) {
        let rows = &self.levels.rows[range.clone()];
        if self.is_direct {
            let (descends, first) = (self.descends, if self.descends { range.end } else { 0 });
            let parts = self.outputs.each_mut().map(
                #[inline(always)]
                |output| {
                    let (width, data) = (output.width(), output.first_chunk_mut());
                    let (before, after) = data.split_at_mut(if descends { range.end } else { range.start } * width);
                    match descends {
                        true => (width, &*after, &mut before[range.start * width..]),
                        false => (width, &*before, &mut after[..range.len() * width]),
                    }
                },
            );
            let outputs = parts.each_ref().map(|(width, written, _)| Matrix::new(*width, core::iter::once(*written)));
            return write(&Written { outputs, first }, rows, parts.map(|(_, _, level)| level));
        }
        let mut rest = &mut self.scratch[..];
        let level = self.widths.map(|width| {
            let (level, others) = mem::take(&mut rest).split_at_mut(rows.len() * width);
            rest = others;
            level
        });
        write(&Written { outputs: self.outputs.each_ref().map(MatrixMut::as_matrix), first: 0 }, rows, level);
        let mut rest = &self.scratch[..];
        for output in &mut self.outputs {
            let (level, others) = rest.split_at(rows.len() * output.width());
            rest = others;
            copy_rows(level, rows, output.reborrow(), workers.filter(|_| self.levels.is_ascending));
        }
    }
}

/// Copies rows to their places, which ascend if workers are to share them.
fn copy_rows(from: &[f32], rows: &[u32], mut to: MatrixMut, workers: Option<&Workers>) {
    let width = to.width();
    let Some(workers) = workers.filter(|_| to.is_contiguous()) else {
        for (row, from) in rows.iter().zip(from.chunks_exact(width)) {
            to.row_mut(*row as usize).copy_from_slice(from);
        }
        return;
    };
    let to = Ascending { rows, first: 0, data: to.first_chunk_mut(), width };
    workers.for_each_block(Blocks::of_width(rows.len(), width), 2 * width, to, |block, to| {
        for (row, from) in to.rows.iter().zip(from[block.start * width..].chunks_exact(width)) {
            to.data[(*row as usize - to.first) * width..][..width].copy_from_slice(from);
        }
    });
}

/// Rows of one level of several outputs, one after another.
struct Parts<'a, const K: usize> {
    data: [&'a mut [f32]; K],
    widths: [usize; K],
}

impl<const K: usize> SplitRows for Parts<'_, K> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (widths, mut sizes) = (self.widths, self.widths.into_iter());
        let mut halves = self.data.map(|data| data.split_at_mut(rows * sizes.next().unwrap_or(0)));
        let rest = halves.each_mut().map(|(_, rest)| mem::take(rest));
        (Self { data: halves.map(|(first, _)| first), widths }, Self { data: rest, widths })
    }
}

/// Some rows of a matrix, in ascending order, and the part of it in which they are.
struct Ascending<'a> {
    rows: &'a [u32],
    /// The row with which `data` begins.
    first: usize,
    data: &'a mut [f32],
    width: usize,
}

impl SplitRows for Ascending<'_> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let Self { first, width, .. } = self;
        let (rows, later) = self.rows.split_at(rows);
        let middle = later.first().map_or(first + self.data.len() / width, |row| *row as usize);
        let (data, rest) = self.data.split_at_mut((middle - first) * width);
        (Self { rows, first, data, width }, Self { rows: later, first: middle, data: rest, width })
    }
}
