//! A largest clique.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::Mutex;

use super::{
    Completeness,
    branch_and_bound::{Goal, MaximumSearch},
    degeneracy::{Degeneracy, degeneracy},
    limits::{Stop, Watch},
    ordered::{Numbers, Ordered},
    ordered_output::work_off,
};
use crate::{
    algorithms::{SimpleGraph, ordering::places},
    kernels::vectorize,
    parallel::Workers,
};

/// A largest clique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaximumClique {
    /// Its nodes in rising order; none if the graph has none.
    pub nodes: Vec<u32>,
    /// Whether it was proven that there is no larger one.
    pub completeness: Completeness,
}

/// A clique of most nodes; of several the same for any number of workers, unless `time` runs out: then it is the largest
/// that was found until then.
///
/// Branch and bound below each node in the reverse of a degeneracy order, so that the dense parts come first: the colors
/// that candidates need bound the size of cliques among them, and few candidates are given colors anew to save one. These
/// are the algorithms of Tomita et al. (MCS, 2010) and of San Segundo et al. (BBMCR, 2013), on sets of bits.
pub fn maximum_clique(graph: &SimpleGraph, workers: &Workers, time: Option<Duration>) -> MaximumClique {
    workers.install(|| search(graph, workers, time))
}

fn search(graph: &SimpleGraph, workers: &Workers, time: Option<Duration>) -> MaximumClique {
    let stop = Stop::new(time);
    let found = degeneracy(graph);
    let best = Best::new(greedy(graph, &found));
    let ordered = Ordered::new(graph, found, workers);
    let roots = ordered.len();
    work_off(
        workers,
        roots,
        || Bench::new(&ordered),
        |bench, task| {
            let goal = OfTask { best: &best, task: task as u32 + 1, watch: Watch::new(&stop) };
            bench.search(&ordered, roots - 1 - task, goal);
        },
    );
    let (size, task) = unpack(best.mark.load(Ordering::Relaxed));
    let (_, mut nodes) = best.clique.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if task > 0 && !stop.is_stopped() {
        // Which clique of the task was found first depends on what other tasks had found before. Now none has.
        let mut again = FirstOf { size, found: None, watch: Watch::new(&stop) };
        Bench::new(&ordered).search(&ordered, roots - task as usize, &mut again);
        nodes = again.found.unwrap_or(nodes);
    }
    nodes.sort_unstable();
    let completeness = if stop.is_stopped() { Completeness::TimedOut } else { Completeness::All };
    MaximumClique { nodes, completeness }
}

/// A clique that is there at once: the largest that comes of the last nodes of the order, adding the last neighbors first.
fn greedy(graph: &SimpleGraph, found: &Degeneracy) -> Vec<u32> {
    const STARTS: usize = 16;
    let places = places(&found.order);
    let mut largest = Vec::new();
    for start in found.order.iter().rev().take(STARTS) {
        let mut neighbors = graph.neighbors(*start).to_vec();
        neighbors.sort_unstable_by_key(|node| core::cmp::Reverse(places[*node as usize]));
        let mut clique = vec![*start];
        for node in neighbors {
            if clique.iter().all(|other| graph.has_edge(node, *other)) {
                clique.push(node);
            }
        }
        if clique.len() > largest.len() {
            largest = clique;
        }
        if largest.len() > found.degeneracy {
            break;
        }
    }
    largest
}

/// The largest clique so far, and the task that found it; 0 is what was there before all tasks.
struct Best {
    /// Larger for a larger clique, and for one of the same size from an earlier task: so in the end it does not depend on
    /// who was faster.
    mark: AtomicU64,
    clique: Mutex<(u64, Vec<u32>)>,
}

fn pack(size: usize, task: u32) -> u64 {
    (size as u64) << 32 | u64::from(u32::MAX - task)
}

fn unpack(mark: u64) -> (usize, u32) {
    ((mark >> 32) as usize, u32::MAX - mark as u32)
}

impl Best {
    fn new(clique: Vec<u32>) -> Self {
        let mark = pack(clique.len(), 0);
        Self { mark: AtomicU64::new(mark), clique: Mutex::new((mark, clique)) }
    }
}

/// A clique that is larger than those of other tasks, or as large as those of later ones.
struct OfTask<'a> {
    best: &'a Best,
    task: u32,
    watch: Watch<'a>,
}

impl Goal for OfTask<'_> {
    #[inline(always)]
    fn size(&self) -> usize {
        let (size, task) = unpack(self.best.mark.load(Ordering::Relaxed));
        if self.task < task { size } else { size + 1 }
    }

    fn reach(&mut self, clique: &[u32]) -> bool {
        let mark = pack(clique.len(), self.task);
        self.best.mark.fetch_max(mark, Ordering::Relaxed);
        if let Ok(mut best) = self.best.clique.lock()
            && mark > best.0
        {
            *best = (mark, clique.to_vec());
        }
        true
    }

    #[inline(always)]
    fn is_over(&mut self) -> bool {
        self.watch.is_over()
    }
}

/// The first clique of a size.
struct FirstOf<'a> {
    size: usize,
    found: Option<Vec<u32>>,
    watch: Watch<'a>,
}

impl Goal for &mut FirstOf<'_> {
    #[inline(always)]
    fn size(&self) -> usize {
        self.size
    }

    fn reach(&mut self, clique: &[u32]) -> bool {
        self.found = Some(clique.to_vec());
        false
    }

    #[inline(always)]
    fn is_over(&mut self) -> bool {
        self.watch.is_over()
    }
}

/// What a worker needs to search below any root: the more later neighbors, the wider the sets.
struct Bench {
    numbers: Numbers,
    narrow: MaximumSearch<[u64; 1]>,
    of_two: MaximumSearch<[u64; 2]>,
    of_four: MaximumSearch<[u64; 4]>,
    of_eight: MaximumSearch<[u64; 8]>,
    wide: MaximumSearch<Vec<u64>>,
}

impl Bench {
    fn new(graph: &Ordered) -> Self {
        let (narrow, of_two, of_four, of_eight, wide) = Default::default();
        Self { numbers: Numbers::new(graph), narrow, of_two, of_four, of_eight, wide }
    }

    fn search(&mut self, graph: &Ordered, root: usize, goal: impl Goal) {
        let later = graph.later(root).len();
        if later + 1 < goal.size() {
            return;
        }
        let numbers = &mut self.numbers;
        vectorize(
            #[inline(always)]
            || match later {
                0..=64 => self.narrow.search(graph, root, numbers, goal),
                65..=128 => self.of_two.search(graph, root, numbers, goal),
                129..=256 => self.of_four.search(graph, root, numbers, goal),
                257..=512 => self.of_eight.search(graph, root, numbers, goal),
                _ => self.wide.search(graph, root, numbers, goal),
            },
        );
    }
}
