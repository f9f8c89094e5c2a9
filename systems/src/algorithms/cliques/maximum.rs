//! Maximum cliques.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::Mutex;

use super::{
    Completeness,
    branch_and_bound::{Goal, MaximumSearch},
    degeneracy::Degeneracy,
    limits::{Stop, Watch},
    local_search,
    ordered::{LocalIndices, Ordered},
    ordered_output::run_tasks,
};
use crate::{
    algorithms::{SimpleGraph, ordering::positions},
    kernels::vectorize,
    parallel::Workers,
};

/// A clique of maximum size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaximumClique {
    /// Its nodes in ascending order; empty for the empty graph.
    pub nodes: Vec<u32>,
    /// [`Completeness::All`] if it was proven that there is no larger one.
    pub completeness: Completeness,
}

/// Finds a clique of maximum size, the same for any number of workers; if `time` runs out, the largest found so far.
///
/// A tabu search finds a first clique. Branch and bound from each node in the reverse of a degeneracy order, which
/// visits dense regions first, finds a larger one or proves that there is none. The number of colors of a greedy
/// coloring of the candidates bounds the size of cliques among them; recoloring single candidates lowers the bound, and
/// so does unit propagation. These are the algorithms of Tomita et al. (MCS, 2010), San Segundo et al. (BBMCR, 2013) and
/// Li and Quan (MaxCLQ, 2010), on bit sets.
pub fn maximum_clique(graph: &SimpleGraph, workers: &Workers, time: Option<Duration>) -> MaximumClique {
    workers.install(|| search(graph, workers, time))
}

fn search(graph: &SimpleGraph, workers: &Workers, time: Option<Duration>) -> MaximumClique {
    let stop = Stop::new(time);
    let ordered = Ordered::new(graph, workers);
    let first = greedy(graph, &ordered.found);
    // Only nodes of at least this core number are in a larger clique.
    let is_lower = |node: &u32| (ordered.found.cores[*node as usize] as usize) < first.len();
    let start = ordered.found.order.partition_point(is_lower);
    let best = Best::new(local_search::improve(&ordered, start, first, &stop));
    let roots = ordered.len();
    run_tasks(
        workers,
        roots,
        || Searches::new(&ordered),
        |searches, task| {
            let goal = OfTask { best: &best, task: task as u32 + 1, watch: Watch::new(&stop) };
            searches.search(&ordered, ordered.node(roots - 1 - task), goal);
        },
    );
    let (size, task) = unpack(best.mark.load(Ordering::Relaxed));
    let (_, mut nodes) = best.clique.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if task > 0 && !stop.is_stopped() {
        // Which clique of the task was found first depends on what other tasks had found by then. Searching again with
        // the final size does not.
        let mut again = FirstOf { size, found: None, watch: Watch::new(&stop) };
        Searches::new(&ordered).search(&ordered, ordered.node(roots - task as usize), &mut again);
        nodes = again.found.unwrap_or(nodes);
    }
    nodes.sort_unstable();
    let completeness = if stop.is_stopped() { Completeness::TimedOut } else { Completeness::All };
    MaximumClique { nodes, completeness }
}

/// A large clique: the largest found greedily from each of the last nodes of the order, adding the last neighbors
/// first.
fn greedy(graph: &SimpleGraph, found: &Degeneracy) -> Vec<u32> {
    const STARTS: usize = 16;
    let positions = positions(&found.order);
    let mut largest = Vec::new();
    for start in found.order.iter().rev().take(STARTS) {
        let mut neighbors = graph.neighbors(*start).to_vec();
        neighbors.sort_unstable_by_key(|node| core::cmp::Reverse(positions[*node as usize]));
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

/// The largest clique so far and the task that found it; task 0 is the first clique.
struct Best {
    /// Larger for a larger clique, and for one of the same size from an earlier task, so that the result does not
    /// depend on timing.
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

/// Cliques that are larger than the best one, or as large if that is of a later task.
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

/// The reusable buffers of one worker: the more later neighbors a root has, the wider the sets.
struct Searches {
    indices: LocalIndices,
    narrow: MaximumSearch<[u64; 1]>,
    of_two: MaximumSearch<[u64; 2]>,
    of_four: MaximumSearch<[u64; 4]>,
    of_eight: MaximumSearch<[u64; 8]>,
    wide: MaximumSearch<Vec<u64>>,
}

impl Searches {
    fn new(graph: &Ordered) -> Self {
        let (narrow, of_two, of_four, of_eight, wide) = Default::default();
        Self { indices: LocalIndices::new(graph), narrow, of_two, of_four, of_eight, wide }
    }

    fn search(&mut self, graph: &Ordered, root: u32, goal: impl Goal) {
        let later = graph.later(root).len();
        if later + 1 < goal.size() {
            return;
        }
        let indices = &mut self.indices;
        vectorize(
            #[inline(always)]
            || match later {
                0..=64 => self.narrow.search(graph, root, indices, goal),
                65..=128 => self.of_two.search(graph, root, indices, goal),
                129..=256 => self.of_four.search(graph, root, indices, goal),
                257..=512 => self.of_eight.search(graph, root, indices, goal),
                _ => self.wide.search(graph, root, indices, goal),
            },
        );
    }
}
