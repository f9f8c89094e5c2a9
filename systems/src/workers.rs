//! A pool of workers, and parallel loops over blocks of rows.
//!
//! Blocks depend on the data and never on the number of workers, and each block writes its own rows; so the results
//! have the same bits for any number of workers.

use bevy_ecs::resource::Resource;
use core::ops::Range;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::{sync::Arc, time::Instant};

use crate::WorkerLog;

/// The workers that compute blocks of rows in parallel, a resource.
#[derive(Resource, Clone)]
pub struct Workers {
    /// None for a single worker: the calling thread itself.
    pool: Option<Arc<rayon::ThreadPool>>,
    log: Option<Arc<WorkerLog>>,
}

/// The threads of a pool could not be started.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// More workers than [`Workers::MAX`].
    #[error("{0} workers are too many; give at most {max}", max = Workers::MAX)]
    TooMany(usize),
    /// The operating system refuses this number of threads.
    #[error("cannot start {count} workers: {source}; give fewer")]
    Refused {
        /// The number of workers.
        count: usize,
        /// The error of the operating system.
        source: rayon::ThreadPoolBuildError,
    },
}

impl Workers {
    /// The most workers of one pool: the threads of 100,000 do not even start within a minute.
    pub const MAX: usize = 1024;

    /// A pool of `count` workers; 0 means one for each core.
    ///
    /// # Errors
    /// If `count` is more than [`Workers::MAX`], or than the operating system gives threads.
    pub fn new(count: usize) -> Result<Self, WorkersError> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count if count > Self::MAX => return Err(WorkersError::TooMany(count)),
            count => count,
        };
        if count == 1 {
            return Ok(Self::single());
        }
        let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
        let pool = builder.thread_name(|index| format!("connectome worker {index}")).build();
        let pool = pool.map_err(|source| WorkersError::Refused { count, source })?;
        Ok(Self { pool: Some(Arc::new(pool)), log: None })
    }

    /// The calling thread alone.
    pub fn single() -> Self {
        Self { pool: None, log: None }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// The same workers with a log of the blocks that they compute.
    pub fn with_log(&self) -> (Self, Arc<WorkerLog>) {
        let log = Arc::new(WorkerLog::new(self.count()));
        (Self { pool: self.pool.clone(), log: Some(log.clone()) }, log)
    }

    /// Runs `work` on one of the workers, so that the loops in it start inside of the pool: from outside each would
    /// cost 10 to 40 µs.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does two things in parallel, or one after the other with a single worker.
    pub fn join<A: Send, B: Send>(&self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        match &self.pool {
            Some(pool) => pool.install(|| rayon::join(one, other)),
            None => (one(), other()),
        }
    }

    /// The results of `map` for each number below `count`, in order.
    pub fn map<R: Send>(&self, count: usize, map: impl Fn(usize) -> R + Sync) -> Vec<R> {
        match &self.pool {
            Some(pool) => pool.install(|| (0..count).into_par_iter().map(&map).collect()),
            None => (0..count).map(map).collect(),
        }
    }

    /// Calls `body` with the rows of each block and their rows of `output`.
    ///
    /// `cost` is about the number of elements that a row accesses: little work is done by one worker.
    pub fn for_each_block<O: SplitRows>(
        &self,
        blocks: Blocks,
        cost: usize,
        output: O,
        body: impl Fn(Range<usize>, O) + Sync,
    ) {
        let body = |rows: Range<usize>, output: O| {
            let begin = self.log.as_ref().map(|_| (Instant::now(), rows.clone()));
            body(rows, output);
            if let (Some(log), Some((begin, rows))) = (&self.log, begin) {
                log.add(rows, begin);
            }
        };
        match blocks.count() {
            0 => {}
            1 => body(blocks.rows(), output),
            count => {
                let shared = self.pool.is_some() && blocks.rows().len().saturating_mul(cost) >= WORTH_SHARING;
                let task = Task { blocks, shared, body: &body };
                if shared { self.install(|| task.run(0..count, output)) } else { task.run(0..count, output) }
            }
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::single()
    }
}

/// Elements that one worker handles before another could have been woken.
const WORTH_SHARING: usize = 1 << 15;

struct Task<'a, F> {
    blocks: Blocks<'a>,
    shared: bool,
    body: &'a F,
}

impl<F> Task<'_, F> {
    fn run<O: SplitRows>(&self, numbers: Range<usize>, output: O)
    where
        F: Fn(Range<usize>, O) + Sync,
    {
        let (first, last) = (self.blocks.boundary(numbers.start), self.blocks.boundary(numbers.end));
        if numbers.len() == 1 {
            return (self.body)(first..last, output);
        }
        let middle = numbers.start + numbers.len() / 2;
        let (left, right) = output.split_rows(self.blocks.boundary(middle) - first);
        let (run_left, run_right) = (|| self.run(numbers.start..middle, left), || self.run(middle..numbers.end, right));
        if self.shared {
            rayon::join(run_left, run_right);
        } else {
            run_left();
            run_right();
        }
    }
}

/// A partition of rows into blocks.
#[derive(Clone, Copy, Debug)]
pub enum Blocks<'a> {
    /// Blocks of `size` rows, the last one shorter.
    Uniform {
        /// The first row.
        start: usize,
        /// The number of rows.
        rows: usize,
        /// Rows in a block; at least 1.
        size: usize,
    },
    /// From each boundary to the next.
    Boundaries(&'a [usize]),
}

impl<'a> Blocks<'a> {
    /// Blocks of rows of this width that fill a first-level cache.
    pub fn of_width(rows: usize, width: usize) -> Self {
        Self::Uniform { start: 0, rows, size: even_size(rows, (8192 / width.max(1)).max(32)) }
    }

    /// The same, but of at least 256 rows: packing a matrix for a product costs as much for fewer.
    pub fn of_products(rows: usize, width: usize) -> Self {
        Self::Uniform { start: 0, rows, size: even_size(rows, (8192 / width.max(1)).max(256)) }
    }

    /// The blocks among the rows `start..start + rows`. Boundaries must include both ends.
    pub fn within(self, start: usize, rows: usize) -> Self {
        match self {
            Self::Uniform { size, .. } => Self::Uniform { start, rows, size },
            Self::Boundaries(boundaries) => {
                let place = |row| boundaries.partition_point(|boundary| *boundary < row);
                Self::Boundaries(boundaries.get(place(start)..=place(start + rows)).unwrap_or(&[]))
            }
        }
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        match self {
            Self::Uniform { rows, size, .. } => rows.div_ceil(*size),
            Self::Boundaries(boundaries) => boundaries.len().saturating_sub(1),
        }
    }

    /// All rows.
    pub fn rows(&self) -> Range<usize> {
        match self {
            Self::Uniform { start, rows, .. } => *start..start + rows,
            Self::Boundaries(boundaries) => {
                boundaries.first().copied().unwrap_or(0)..boundaries.last().copied().unwrap_or(0)
            }
        }
    }

    fn boundary(&self, number: usize) -> usize {
        match self {
            Self::Uniform { start, rows, size } => start + (number * size).min(*rows),
            Self::Boundaries(boundaries) => boundaries[number],
        }
    }
}

/// The size of blocks, at most `largest`, such that workers have equal work.
pub(crate) fn even_size(rows: usize, largest: usize) -> usize {
    const SHARES: usize = 8;
    let count = rows.div_ceil(largest.max(1));
    if count > 1 { rows.div_ceil(count.next_multiple_of(SHARES)) } else { largest }
}

/// Something whose first rows can be split off, so that each block gets its own.
pub trait SplitRows: Send {
    /// The first `rows` rows, and the rest.
    fn split_rows(self, rows: usize) -> (Self, Self)
    where
        Self: Sized;
}

/// The rows of one block.
#[derive(Debug)]
pub struct RowsMut<'a, T = f32> {
    /// The elements, row by row.
    pub data: &'a mut [T],
    /// Width of a row.
    pub width: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows of `width` numbers.
    pub fn new(data: &'a mut [T], width: usize) -> Self {
        Self { data, width }
    }
}

impl<T: Send> SplitRows for RowsMut<'_, T> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (first, rest) = self.data.split_at_mut(rows * self.width);
        (Self::new(first, self.width), Self::new(rest, self.width))
    }
}

/// One value for each block of `size` rows, such as a partial sum.
#[derive(Debug)]
pub struct PerBlock<'a, T> {
    /// The values; that of a single block is the first.
    pub data: &'a mut [T],
    size: usize,
}

impl<'a, T> PerBlock<'a, T> {
    /// Values for blocks of `size` rows.
    pub fn new(data: &'a mut [T], size: usize) -> Self {
        Self { data, size }
    }
}

impl<T: Send> SplitRows for PerBlock<'_, T> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (first, rest) = self.data.split_at_mut(rows / self.size);
        (Self::new(first, self.size), Self::new(rest, self.size))
    }
}

impl<A: SplitRows, B: SplitRows> SplitRows for (A, B) {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let ((a, rest_of_a), (b, rest_of_b)) = (self.0.split_rows(rows), self.1.split_rows(rows));
        ((a, b), (rest_of_a, rest_of_b))
    }
}

impl<A: SplitRows, B: SplitRows, C: SplitRows> SplitRows for (A, B, C) {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let ((a, b), (rest_of_a, rest_of_b)) = (self.0, self.1).split_rows(rows);
        let (c, rest_of_c) = self.2.split_rows(rows);
        ((a, b, c), (rest_of_a, rest_of_b, rest_of_c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_visited_once_by_any_number_of_workers() {
        for workers in [1, 2, 3, 8] {
            let workers = Workers::new(workers).unwrap();
            let boundaries = [0, 1, 1, 40, 50_000];
            for blocks in [Blocks::Uniform { start: 0, rows: 50_000, size: 7 }, Blocks::Boundaries(&boundaries)] {
                let mut visits = vec![0u32; 50_000 * 2];
                workers.for_each_block(blocks, 2, RowsMut::new(&mut visits, 2), |rows, output| {
                    assert_eq!(rows.len() * 2, output.data.len());
                    output.data.iter_mut().for_each(|visit| *visit += rows.start as u32 + 1);
                });
                assert!(visits.iter().all(|visit| *visit > 0));
            }
        }
    }

    #[test]
    fn blocks_within_a_table_keep_their_boundaries() {
        let boundaries = [0, 10, 25, 30, 60];
        let inner = Blocks::Boundaries(&boundaries).within(25, 35);
        assert_eq!((inner.count(), inner.rows()), (2, 25..60));
        assert_eq!(Blocks::Uniform { start: 0, rows: 0, size: 5 }.count(), 0);
    }
}
