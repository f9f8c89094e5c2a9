//! A gate that lets a thread work for limited times.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A gate between two threads: one passes it again and again as it works, the other opens it, for a time or for good.
///
/// So work of any depth is cut into slices without being written in pieces: a thread that meets a closed gate waits
/// there, in the middle of whatever loop it runs.
#[derive(Debug)]
pub(crate) struct Gate {
    created: Instant,
    /// Nanoseconds since then up to which it is open.
    until: AtomicU64,
    is_canceled: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the thread waits for it to be opened.
    waits: bool,
    /// Whether the thread will not come any more.
    has_ended: bool,
}

impl Gate {
    /// Of [`Gate::until`]: open for good.
    const FOREVER: u64 = u64::MAX;

    /// A closed gate.
    pub(crate) fn new() -> Self {
        Self {
            created: Instant::now(),
            until: AtomicU64::new(0),
            is_canceled: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn is_open(&self) -> bool {
        match self.until.load(Ordering::Relaxed) {
            Self::FOREVER => true,
            until => self.created.elapsed().as_nanos() < u128::from(until),
        }
    }

    /// Waits until it is open.
    #[inline]
    pub(crate) fn pass(&self) {
        if !self.is_open() {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        let mut state = self.lock();
        while !self.is_open() {
            state.waits = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens it for a time, and waits until the thread has met it closed, or has ended; but no longer than that time.
    pub(crate) fn open_for(&self, time: Duration) {
        let mut state = self.lock();
        let until = self.created.elapsed().saturating_add(time).as_nanos();
        self.until.store(u64::try_from(until).unwrap_or(Self::FOREVER - 1).min(Self::FOREVER - 1), Ordering::Relaxed);
        state.waits = false;
        self.changed.notify_all();
        let works = |state: &mut State| !state.waits && !state.has_ended;
        _ = self.changed.wait_timeout_while(state, time, works);
    }

    /// Opens it for good.
    pub(crate) fn open(&self) {
        let _state = self.lock();
        self.until.store(Self::FOREVER, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Opens it for good, and asks the thread to end.
    pub(crate) fn cancel(&self) {
        self.is_canceled.store(true, Ordering::Relaxed);
        self.open();
    }

    /// Whether the thread is asked to end.
    pub(crate) fn is_canceled(&self) -> bool {
        self.is_canceled.load(Ordering::Relaxed)
    }

    /// Says that the thread will not come any more.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_thread_works_while_the_gate_is_open_and_not_otherwise() {
        let (gate, count) = (Arc::new(Gate::new()), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (gate, count) = (gate.clone(), count.clone());
            move || {
                while !gate.is_canceled() {
                    gate.pass();
                    count.fetch_add(1, Ordering::Relaxed);
                }
                gate.end();
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 0);
        let mut before = 0;
        // However slowly the thread is scheduled, one of the slices reaches it.
        while before == 0 {
            gate.open_for(Duration::from_millis(5));
            before = count.load(Ordering::Relaxed);
        }
        gate.cancel();
        // Of one that has ended nothing is waited for.
        thread.join().unwrap();
        gate.open_for(Duration::from_secs(3600));
    }
}
