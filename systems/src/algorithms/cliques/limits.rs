//! How far a search may go, and how far it went.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::time::Instant;

/// How far a search may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many cliques are wanted at most; all if not given. The first ones in the order of the search are given, whoever
    /// computes.
    pub max_count: Option<usize>,
    /// How long the search may take; as long as it takes if not given.
    pub time: Option<Duration>,
}

/// Whether a search gave all there are, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// It gave all.
    #[default]
    All,
    /// There are more than [`Limits::max_count`].
    LimitReached,
    /// [`Limits::time`] ran out: there may be more. What was found, and how much, may be otherwise the next time.
    TimedOut,
    /// The visitor had seen enough.
    Stopped,
}

impl Completeness {
    /// Whether the search gave all.
    pub fn is_complete(self) -> bool {
        self == Self::All
    }
}

/// Tells all workers of a search when to stop.
pub(super) struct Stop {
    end: Option<Instant>,
    stopped: AtomicBool,
}

impl Stop {
    pub fn new(time: Option<Duration>) -> Self {
        // A time beyond what the clock can tell is no limit.
        Self { end: time.and_then(|time| Instant::now().checked_add(time)), stopped: AtomicBool::new(false) }
    }

    pub fn now(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop, without a look at the clock.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Looks at the clock.
    pub fn is_over(&self) -> bool {
        if !self.is_stopped() && self.end.is_some_and(|end| Instant::now() >= end) {
            self.now();
        }
        self.is_stopped()
    }
}

/// One worker's way to ask from time to time.
pub(super) struct Watch<'a> {
    stop: &'a Stop,
    until_look: u32,
}

impl<'a> Watch<'a> {
    pub fn new(stop: &'a Stop) -> Self {
        Self { stop, until_look: 0 }
    }

    /// Whether to stop; asked for each step of a search.
    #[inline(always)]
    pub fn is_over(&mut self) -> bool {
        const STEPS: u32 = 256;
        if self.until_look == 0 {
            self.until_look = STEPS;
            return self.stop.is_over();
        }
        self.until_look -= 1;
        self.stop.is_stopped()
    }
}
