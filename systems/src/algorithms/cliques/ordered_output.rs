//! Parallel searches whose cliques are reported in the order of their tasks.

use core::{
    ops::{ControlFlow, Range},
    sync::atomic::{AtomicUsize, Ordering},
};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::{collections::BTreeMap, sync::Mutex};

use super::{
    Cliques, Completeness, Limits,
    bits::Bits,
    limits::{Stop, Watch},
    ordered::Ordered,
};
use crate::parallel::Workers;

/// A unit of work of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// The positions of the roots: each clique is found from its first node in the degeneracy order.
    pub roots: Range<usize>,
    /// For a single root with many later neighbors, those to branch on.
    pub branches: Option<Range<usize>>,
}

/// Splits the roots of a graph into tasks, independently of the number of workers.
///
/// The work of a root grows with its later neighbors, so a root with many of them is split into several tasks.
pub(super) fn split(graph: &Ordered) -> Vec<Task> {
    const WORK: usize = 2048;
    const MANY: usize = 32;
    const FEW: usize = 4;
    let mut tasks = Vec::new();
    let (mut start, mut work) = (0, 0);
    for root in 0..graph.len() {
        let node = graph.node(root);
        let later = graph.later(node).len();
        if later > MANY {
            tasks.extend((start < root).then_some(Task { roots: start..root, branches: None }));
            let branches = (0..later).step_by(FEW).map(|first| first..later.min(first + FEW));
            tasks.extend(branches.map(|branches| Task { roots: root..root + 1, branches: Some(branches) }));
            (start, work) = (root + 1, 0);
            continue;
        }
        work += 1 + graph.earlier(node).len() + later * later;
        if work >= WORK {
            tasks.push(Task { roots: start..root + 1, branches: None });
            (start, work) = (root + 1, 0);
        }
    }
    tasks.extend((start < graph.len()).then_some(Task { roots: start..graph.len(), branches: None }));
    tasks
}

/// Runs tasks in parallel: each worker creates a state and takes tasks in order until none is left.
pub(super) fn run_tasks<S>(
    workers: &Workers,
    tasks: usize,
    state: impl Fn() -> S + Sync,
    run: impl Fn(&mut S, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut state = state();
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            run(&mut state, task);
        }
    };
    match workers.count().min(tasks) {
        0 => {}
        1 => workers.install(take),
        takers => workers.install(|| (0..takers).into_par_iter().with_max_len(1).for_each(|_| take())),
    }
}

/// Receives the cliques that a search finds.
pub(super) trait Sink {
    /// Adds the clique of `root` and the nodes with local indices `others`; `node` is an increasing function of the
    /// index.
    fn add<B: Bits>(&mut self, root: u32, others: &B, node: impl Fn(usize) -> u32);

    /// Adds a clique of `root`, `others`, which are ascending, and one later node, for each of the local indices
    /// `last`.
    fn add_each<B: Bits>(&mut self, root: u32, others: &[u32], last: &B, node: impl Fn(usize) -> u32);

    /// Whether to stop; called in each step of a search.
    fn is_over(&mut self) -> bool;
}

/// Counts cliques.
pub(super) struct Counter<'a> {
    watch: Watch<'a>,
    pub count: u64,
}

impl<'a> Counter<'a> {
    pub fn new(stop: &'a Stop) -> Self {
        Self { watch: Watch::new(stop), count: 0 }
    }
}

impl Sink for Counter<'_> {
    #[inline(always)]
    fn add<B: Bits>(&mut self, _: u32, _: &B, _: impl Fn(usize) -> u32) {
        self.count += 1;
    }

    #[inline(always)]
    fn add_each<B: Bits>(&mut self, _: u32, _: &[u32], last: &B, _: impl Fn(usize) -> u32) {
        self.count += last.count() as u64;
    }

    #[inline(always)]
    fn is_over(&mut self) -> bool {
        self.watch.is_over()
    }
}

/// Collects the cliques of one task until they can be delivered.
pub(super) struct Collector<'a, 'v> {
    task: usize,
    cliques: Cliques,
    watch: Watch<'a>,
    output: &'a OrderedOutput<'v>,
}

impl Sink for Collector<'_, '_> {
    #[inline(always)]
    fn add<B: Bits>(&mut self, root: u32, others: &B, node: impl Fn(usize) -> u32) {
        self.cliques.push(
            root,
            #[inline(always)]
            |nodes| others.for_each(|index| nodes.push(node(index))),
        );
    }

    #[inline(always)]
    fn add_each<B: Bits>(&mut self, root: u32, others: &[u32], last: &B, node: impl Fn(usize) -> u32) {
        last.for_each(
            #[inline(always)]
            |index| {
                self.cliques.push(
                    root,
                    #[inline(always)]
                    |nodes| {
                        nodes.extend_from_slice(others);
                        nodes.push(node(index));
                    },
                );
            },
        );
    }

    #[inline(always)]
    fn is_over(&mut self) -> bool {
        const FULL: usize = 1 << 16;
        if self.cliques.size() >= FULL && self.output.is_next(self.task) {
            self.output.deliver(&mut self.cliques);
        }
        // One clique more than the maximum shows that there are more.
        self.cliques.len() > self.output.max || self.watch.is_over()
    }
}

/// Receives several cliques at a time and returns whether to continue.
pub(super) type Visitor<'a> = dyn FnMut(&Cliques) -> ControlFlow<()> + Send + 'a;

/// Delivers the cliques of tasks to a visitor, in the order of the tasks and one at a time.
pub(super) struct OrderedOutput<'a> {
    stop: &'a Stop,
    max: usize,
    /// The task whose cliques are delivered next.
    next: AtomicUsize,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    visitor: &'a mut Visitor<'a>,
    /// The number of cliques that may still be delivered.
    left: usize,
    /// The cliques of finished tasks that wait for earlier ones, and whether each task is complete.
    waiting: BTreeMap<usize, (Cliques, bool)>,
    completeness: Completeness,
}

impl<'a> OrderedOutput<'a> {
    pub fn new(stop: &'a Stop, limits: Limits, visitor: &'a mut Visitor<'a>) -> Self {
        let max = limits.max_count.unwrap_or(usize::MAX);
        let state = State { visitor, left: max, waiting: BTreeMap::new(), completeness: Completeness::All };
        Self { stop, max, next: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    pub fn collector(&self, task: usize) -> Collector<'_, 'a> {
        Collector { task, cliques: Cliques::default(), watch: Watch::new(self.stop), output: self }
    }

    fn is_next(&self, task: usize) -> bool {
        self.next.load(Ordering::Acquire) == task
    }

    /// Delivers the cliques that the next task has found so far.
    fn deliver(&self, cliques: &mut Cliques) {
        if let Ok(mut state) = self.state.lock() {
            state.deliver(cliques, self.stop);
        }
        cliques.clear();
    }

    /// Delivers the remaining cliques of a finished task and those that waited for it. A stopped task is the last whose
    /// cliques are delivered.
    pub fn finish(&self, mut collector: Collector, is_complete: bool) {
        // A panic of the visitor ends the search, and is resumed where the workers are joined.
        let Ok(mut state) = self.state.lock() else { return self.stop.now() };
        let state = &mut *state;
        state.waiting.insert(collector.task, (core::mem::take(&mut collector.cliques), is_complete));
        let mut next = self.next.load(Ordering::Relaxed);
        while state.completeness.is_complete()
            && let Some((mut cliques, is_complete)) = state.waiting.remove(&next)
        {
            state.deliver(&mut cliques, self.stop);
            if !is_complete && state.completeness.is_complete() {
                state.completeness = Completeness::TimedOut;
            }
            next += 1;
            self.next.store(next, Ordering::Release);
        }
    }

    /// The completeness of the whole search.
    pub fn end(self) -> Completeness {
        self.state.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).completeness
    }
}

impl State<'_> {
    fn deliver(&mut self, cliques: &mut Cliques, stop: &Stop) {
        if !self.completeness.is_complete() {
            return;
        }
        if cliques.len() > self.left {
            cliques.truncate(self.left);
            self.completeness = Completeness::LimitReached;
        }
        self.left -= cliques.len();
        if !cliques.is_empty() && (self.visitor)(cliques).is_break() {
            self.completeness = Completeness::Stopped;
        }
        if !self.completeness.is_complete() {
            stop.now();
        }
    }
}
