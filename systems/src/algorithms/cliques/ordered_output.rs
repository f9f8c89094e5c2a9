//! Searches that are cut into tasks, whose cliques come out in the order of the tasks.

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

/// A part of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// The places of the roots: each clique is found from its first node in the degeneracy order.
    pub roots: Range<usize>,
    /// Of a single root with many later neighbors, only the cliques by which the search goes on from these of them.
    pub branches: Option<Range<usize>>,
}

/// Cuts the roots of a graph into tasks, by the graph alone.
///
/// Dense parts make roots uneven: one with many later neighbors is a task for each few of them.
pub(super) fn split(graph: &Ordered) -> Vec<Task> {
    const WORK: usize = 2048;
    const MANY: usize = 32;
    const FEW: usize = 4;
    let mut tasks = Vec::new();
    let (mut start, mut work) = (0, 0);
    for root in 0..graph.len() {
        let later = graph.later(root).len();
        if later > MANY {
            tasks.extend((start < root).then_some(Task { roots: start..root, branches: None }));
            let branches = (0..later).step_by(FEW).map(|first| first..later.min(first + FEW));
            tasks.extend(branches.map(|branches| Task { roots: root..root + 1, branches: Some(branches) }));
            (start, work) = (root + 1, 0);
            continue;
        }
        work += 1 + graph.earlier(root).len() + later * later;
        if work >= WORK {
            tasks.push(Task { roots: start..root + 1, branches: None });
            (start, work) = (root + 1, 0);
        }
    }
    tasks.extend((start < graph.len()).then_some(Task { roots: start..graph.len(), branches: None }));
    tasks
}

/// Lets each worker make itself a `bench` and take tasks in their order until there are none left.
pub(super) fn work_off<S>(
    workers: &Workers,
    tasks: usize,
    bench: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut bench = bench();
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(&mut bench, task);
        }
    };
    match workers.count().min(tasks) {
        0 => {}
        1 => workers.install(take),
        takers => workers.install(|| (0..takers).into_par_iter().with_max_len(1).for_each(|_| take())),
    }
}

/// Where a search puts the cliques that it finds.
pub(super) trait Sink {
    /// Takes the clique of `root` and of the nodes whose numbers are in `others`; nodes rise with their numbers.
    fn add<B: Bits>(&mut self, root: u32, others: &B, node: impl Fn(usize) -> u32);

    /// Takes the cliques of `root`, of `others`, which rise, and of each single one of the later nodes whose number is in
    /// `last`.
    fn add_each<B: Bits>(&mut self, root: u32, others: &[u32], last: &B, node: impl Fn(usize) -> u32);

    /// Whether to stop; asked for each step of a search.
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

/// Keeps the cliques of one task until its turn has come.
pub(super) struct Lister<'a, 'v> {
    task: usize,
    cliques: Cliques,
    watch: Watch<'a>,
    turns: &'a Turns<'v>,
}

impl Sink for Lister<'_, '_> {
    #[inline(always)]
    fn add<B: Bits>(&mut self, root: u32, others: &B, node: impl Fn(usize) -> u32) {
        self.cliques.push(
            root,
            #[inline(always)]
            |nodes| others.for_each(|number| nodes.push(node(number))),
        );
    }

    #[inline(always)]
    fn add_each<B: Bits>(&mut self, root: u32, others: &[u32], last: &B, node: impl Fn(usize) -> u32) {
        last.for_each(
            #[inline(always)]
            |number| {
                self.cliques.push(
                    root,
                    #[inline(always)]
                    |nodes| {
                        nodes.extend_from_slice(others);
                        nodes.push(node(number));
                    },
                );
            },
        );
    }

    #[inline(always)]
    fn is_over(&mut self) -> bool {
        const FULL: usize = 1 << 16;
        if self.cliques.size() >= FULL && self.turns.is_turn_of(self.task) {
            self.turns.deliver(&mut self.cliques);
        }
        // One more than wanted shows that there are more.
        self.cliques.len() > self.turns.most || self.watch.is_over()
    }
}

/// Who is shown cliques, some at a time, and says whether to go on.
pub(super) type Visitor<'a> = dyn FnMut(&Cliques) -> ControlFlow<()> + Send + 'a;

/// Brings what tasks find to a visitor, in the order of the tasks and one at a time.
pub(super) struct Turns<'a> {
    stop: &'a Stop,
    most: usize,
    /// The task whose cliques come next.
    turn: AtomicUsize,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    visitor: &'a mut Visitor<'a>,
    /// How many cliques may still come.
    left: usize,
    /// What tasks found whose turn has not come.
    waiting: BTreeMap<usize, (Cliques, bool)>,
    completeness: Completeness,
}

impl<'a> Turns<'a> {
    pub fn new(stop: &'a Stop, limits: Limits, visitor: &'a mut Visitor<'a>) -> Self {
        let most = limits.max_count.unwrap_or(usize::MAX);
        let state = State { visitor, left: most, waiting: BTreeMap::new(), completeness: Completeness::All };
        Self { stop, most, turn: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    pub fn lister(&self, task: usize) -> Lister<'_, 'a> {
        Lister { task, cliques: Cliques::default(), watch: Watch::new(self.stop), turns: self }
    }

    fn is_turn_of(&self, task: usize) -> bool {
        self.turn.load(Ordering::Acquire) == task
    }

    /// Hands over what the task whose turn it is has found so far.
    fn deliver(&self, cliques: &mut Cliques) {
        if let Ok(mut state) = self.state.lock() {
            state.deliver(cliques, self.stop);
        }
        cliques.clear();
    }

    /// Hands over what is left when a task has ended, and what waited for it. A task that was stopped is the last whose
    /// cliques come.
    pub fn finish(&self, mut lister: Lister, is_whole: bool) {
        // A visitor that panicked ends the search; its panic goes on where the workers are waited for.
        let Ok(mut state) = self.state.lock() else { return self.stop.now() };
        let state = &mut *state;
        state.waiting.insert(lister.task, (core::mem::take(&mut lister.cliques), is_whole));
        let mut turn = self.turn.load(Ordering::Relaxed);
        while state.completeness.is_complete()
            && let Some((mut cliques, is_whole)) = state.waiting.remove(&turn)
        {
            state.deliver(&mut cliques, self.stop);
            if !is_whole && state.completeness.is_complete() {
                state.completeness = Completeness::TimedOut;
            }
            turn += 1;
            self.turn.store(turn, Ordering::Release);
        }
    }

    /// How the search ended.
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
