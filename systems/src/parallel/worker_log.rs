//! A log of the blocks that workers compute.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// One block of rows that a worker computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSpan {
    /// Which worker, counted from 0.
    pub worker: usize,
    /// The rows.
    pub rows: Range<usize>,
    /// When it began.
    pub begin: Instant,
    /// When it ended.
    pub end: Instant,
}

/// The blocks that workers with a log computed; see [`Workers::with_log`](crate::Workers::with_log).
#[derive(Debug)]
pub struct WorkerLog {
    /// A list for each worker, so that workers do not wait for each other.
    spans: Vec<Mutex<Vec<WorkerSpan>>>,
}

impl WorkerLog {
    pub(crate) fn new(workers: usize) -> Self {
        Self { spans: (0..workers).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn add(&self, rows: Range<usize>, begin: Instant) {
        let end = Instant::now();
        let worker = rayon::current_thread_index().unwrap_or(0);
        if let Some(spans) = self.spans.get(worker) {
            let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
            spans.push(WorkerSpan { worker, rows, begin, end });
        }
    }

    /// Takes the log so far: worker by worker, each in the order of its blocks.
    pub fn take(&self) -> Vec<WorkerSpan> {
        let take = |spans: &Mutex<Vec<WorkerSpan>>| {
            core::mem::take(&mut *spans.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.spans.iter().flat_map(take).collect()
    }
}
