//! A pool of workers, and the loops that it runs.

use bevy_ecs::resource::Resource;
use core::ops::Range;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use std::{sync::Arc, time::Instant};

use super::{Blocks, Gate, SplitRows, WorkerLog};

/// The workers that compute blocks of rows in parallel, a resource.
#[derive(Resource, Clone)]
pub struct Workers {
    /// None for a single worker: the calling thread itself.
    pool: Option<Arc<rayon::ThreadPool>>,
    log: Option<Arc<WorkerLog>>,
    /// What a single worker passes before each block.
    gate: Option<Arc<Gate>>,
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
    /// The maximum number of workers of a pool: 100,000 threads do not start within a minute.
    pub const MAX: usize = 1024;

    /// A pool of `count` workers; 0 means one for each core.
    ///
    /// # Errors
    /// If `count` is more than [`Workers::MAX`], or the operating system cannot start that many threads.
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
        Ok(Self { pool: Some(Arc::new(pool)), log: None, gate: None })
    }

    /// The calling thread alone.
    pub fn single() -> Self {
        Self { pool: None, log: None, gate: None }
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// The same workers with a log of the blocks that they compute.
    pub fn with_log(&self) -> (Self, Arc<WorkerLog>) {
        let log = Arc::new(WorkerLog::new(self.count()));
        (Self { pool: self.pool.clone(), log: Some(log.clone()), gate: self.gate.clone() }, log)
    }

    /// The same workers, which pass a gate before each block: only a single one, since those of a pool are not
    /// distinguished.
    pub(crate) fn with_gate(&self, gate: &Arc<Gate>) -> Self {
        Self { gate: self.pool.is_none().then(|| gate.clone()), ..self.clone() }
    }

    /// Waits until the gate is open, if there is one.
    pub(crate) fn pass_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
    }

    /// Runs `work` on one of the workers, so that the loops in it start inside of the pool: starting each from outside
    /// costs 10 to 40 µs.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs two closures in parallel, or one after the other with a single worker.
    pub fn join<A: Send, B: Send>(&self, one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
        match &self.pool {
            Some(pool) => pool.install(|| rayon::join(one, other)),
            None => (one(), other()),
        }
    }

    /// The results of `map` for each index below `count`, in order.
    pub fn map<R: Send>(&self, count: usize, map: impl Fn(usize) -> R + Sync) -> Vec<R> {
        match &self.pool {
            Some(pool) => pool.install(|| (0..count).into_par_iter().map(&map).collect()),
            None => (0..count).map(map).collect(),
        }
    }

    /// Calls `body` with each item, in parallel, or one after the other with a single worker.
    pub fn for_each<T: Send>(&self, items: &mut [T], body: impl Fn(&mut T) + Sync) {
        match &self.pool {
            Some(pool) => pool.install(|| items.par_iter_mut().with_max_len(1).for_each(&body)),
            None => items.iter_mut().for_each(body),
        }
    }

    /// Calls `body` with the rows of each block and their rows of `output`.
    ///
    /// `cost` is the approximate number of elements that a row accesses: little work is done by one worker.
    pub fn for_each_block<O: SplitRows>(
        &self,
        blocks: Blocks,
        cost: usize,
        output: O,
        body: impl Fn(Range<usize>, O) + Sync,
    ) {
        self.run_blocks(blocks, cost, output, &body);
    }

    /// [`Workers::for_each_block`], compiled once for each kind of output and not for each body.
    fn run_blocks<O: SplitRows>(
        &self,
        blocks: Blocks,
        cost: usize,
        output: O,
        body: &(dyn Fn(Range<usize>, O) + Sync),
    ) {
        let body = |rows: Range<usize>, output: O| {
            self.pass_gate();
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
                let shared = self.pool.is_some() && blocks.rows().len().saturating_mul(cost) >= MIN_PARALLEL_COST;
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

/// Number of elements that one worker processes in the time it takes to wake another.
const MIN_PARALLEL_COST: usize = 1 << 15;

struct Task<'a, F> {
    blocks: Blocks<'a>,
    shared: bool,
    body: &'a F,
}

impl<F> Task<'_, F> {
    fn run<O: SplitRows>(&self, range: Range<usize>, output: O)
    where
        F: Fn(Range<usize>, O) + Sync,
    {
        let (first, last) = (self.blocks.boundary(range.start), self.blocks.boundary(range.end));
        if range.len() == 1 {
            return (self.body)(first..last, output);
        }
        let middle = range.start + range.len() / 2;
        let (left, right) = output.split_rows(self.blocks.boundary(middle) - first);
        let (run_left, run_right) = (|| self.run(range.start..middle, left), || self.run(middle..range.end, right));
        if self.shared {
            rayon::join(run_left, run_right);
        } else {
            run_left();
            run_right();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parallel::RowsMut;

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
}
