//! Limits of searches.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::time::Instant;

/// Limits of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of cliques; unlimited if none. These are the first ones in the order of the search, for any
    /// number of workers.
    pub max_count: Option<usize>,
    /// The time limit; unlimited if none.
    pub time: Option<Duration>,
}

/// Whether a search found all cliques, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// It found all.
    #[default]
    All,
    /// There are more than [`Limits::max_count`].
    LimitReached,
    /// [`Limits::time`] ran out: there may be more. The result is not deterministic.
    TimedOut,
    /// The visitor stopped the search.
    Stopped,
}

impl Completeness {
    /// Whether the search found all.
    pub fn is_complete(self) -> bool {
        self == Self::All
    }
}

/// Stops all workers of a search.
pub(super) struct Stop {
    end: Option<Instant>,
    stopped: AtomicBool,
}

impl Stop {
    pub fn new(time: Option<Duration>) -> Self {
        // A time that the clock cannot represent is no limit.
        Self { end: time.and_then(|time| Instant::now().checked_add(time)), stopped: AtomicBool::new(false) }
    }

    pub fn now(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the search was stopped; does not check the time limit.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether the search was stopped or has reached the time limit.
    pub fn is_over(&self) -> bool {
        if !self.is_stopped() && self.end.is_some_and(|end| Instant::now() >= end) {
            self.now();
        }
        self.is_stopped()
    }
}

/// One worker's view of [`Stop`], which checks the clock only from time to time.
pub(super) struct Watch<'a> {
    stop: &'a Stop,
    until_check: u32,
}

impl<'a> Watch<'a> {
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop, until_check: 0 }
    }

    /// Whether to stop; called in each step of a search.
    #[inline(always)]
    pub fn is_over(&mut self) -> bool {
        const STEPS: u32 = 256;
        if self.until_check == 0 {
            self.until_check = STEPS;
            return self.stop.is_over();
        }
        self.until_check -= 1;
        self.stop.is_stopped()
    }
}
