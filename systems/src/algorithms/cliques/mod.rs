//! Cliques: sets of nodes that are all joined to each other.
//!
//! | question | function |
//! | --- | --- |
//! | all cliques of a size, or all maximal ones: those that are part of no larger clique | [`list_cliques`] |
//! | the same one by one, without a list of all | [`visit_cliques`] |
//! | how many there are | [`count_cliques`] |
//! | a largest one | [`maximum_clique`] |
//! | how large one may be at most, and where | [`degeneracy`] |
//! | the same as entities of the world | [`find_cliques`], [`find_maximum_clique`] |
//!
//! Each clique is found from the node of it that comes first in the order of [`degeneracy`], and from the few neighbors
//! that come after that, whose adjacency fits into a matrix of bits. The searches below the nodes are shared by the workers;
//! below a node with many later neighbors so are its branches. Cliques come in the order of these searches, which the
//! graph alone determines: by their first node in that order, and the nodes of each are given in rising order.
//!
//! ```
//! use connectome_systems::{Workers, algorithms::{SimpleGraph, cliques::{CliqueKind, Limits, count_cliques, list_cliques, maximum_clique}}};
//!
//! // Two triangles side by side, and a tail.
//! let graph = SimpleGraph::new(5, [[0, 1], [1, 2], [2, 0], [2, 3], [1, 3], [3, 4]]);
//! let workers = Workers::new(2)?;
//! let maximal = list_cliques(&graph, CliqueKind::maximal(), &workers, Limits::default());
//! let mut sorted: Vec<&[u32]> = maximal.iter().collect();
//! sorted.sort();
//! assert_eq!(sorted, [vec![0, 1, 2], vec![1, 2, 3], vec![3, 4]]);
//! assert_eq!(count_cliques(&graph, CliqueKind::of_size(3)?, &workers, Limits::default()).count, 2);
//! assert_eq!(maximum_clique(&graph, &workers, None).nodes.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod branch_and_bound;
mod degeneracy;
mod k_cliques;
mod limits;
mod list;
mod maximal;
mod maximum;
mod ordered;
mod ordered_output;
mod search;
mod system;

use core::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

pub use degeneracy::{Degeneracy, degeneracy};
pub use limits::{Completeness, Limits};
pub use list::Cliques;
pub use maximum::{MaximumClique, maximum_clique};
pub use system::{find_cliques, find_maximum_clique};

use self::{
    limits::Stop,
    ordered::Ordered,
    ordered_output::{Counter, Sink, Turns, split, work_off},
    search::Bench,
};
use crate::{algorithms::SimpleGraph, parallel::Workers};

/// Which cliques are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CliqueKind(Question);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    Maximal,
    OfSize(usize),
}

/// Cliques of a size were asked for that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot look for cliques of {0} nodes; ask for 1 to {max}", max = CliqueKind::MAX_NODES)]
pub struct SizeError(pub usize);

impl CliqueKind {
    /// The most nodes of cliques that are asked for by their size. A graph with one clique of twice as many has more
    /// cliques of this size than there are atoms in the universe.
    pub const MAX_NODES: usize = 1024;

    /// Those that are part of no larger clique.
    pub fn maximal() -> Self {
        Self(Question::Maximal)
    }

    /// All of `size` nodes, those that are part of larger ones too.
    ///
    /// # Errors
    /// If `size` is 0, or more than [`CliqueKind::MAX_NODES`].
    pub fn of_size(size: usize) -> Result<Self, SizeError> {
        if (1..=Self::MAX_NODES).contains(&size) { Ok(Self(Question::OfSize(size))) } else { Err(SizeError(size)) }
    }
}

/// How many cliques there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// So many were counted.
    pub count: u64,
    /// Whether these are all.
    pub completeness: Completeness,
}

/// All cliques of a kind, as far as `limits` allow, in the order of the search.
pub fn list_cliques(graph: &SimpleGraph, kind: CliqueKind, workers: &Workers, limits: Limits) -> Cliques {
    let mut all = Cliques::default();
    let mut append = |cliques: &Cliques| {
        all.append(cliques);
        ControlFlow::Continue(())
    };
    let completeness = workers.install(|| stream(graph, kind, workers, limits, &mut append));
    all.completeness = completeness;
    all
}

/// Shows the cliques of a kind to `visitor` one by one, in the order of the search, until it breaks off.
///
/// The visitor is called by one worker at a time. Cliques that were found before their turn wait for it; no others are kept.
pub fn visit_cliques(
    graph: &SimpleGraph,
    kind: CliqueKind,
    workers: &Workers,
    limits: Limits,
    mut visitor: impl FnMut(&[u32]) -> ControlFlow<()> + Send,
) -> Completeness {
    workers.install(|| stream(graph, kind, workers, limits, &mut |cliques| cliques.iter().try_for_each(&mut visitor)))
}

/// Counts the cliques of a kind without keeping them; up to [`Limits::max_count`] if that is given.
pub fn count_cliques(graph: &SimpleGraph, kind: CliqueKind, workers: &Workers, limits: Limits) -> Count {
    workers.install(|| count(graph, kind, workers, limits))
}

fn count(graph: &SimpleGraph, kind: CliqueKind, workers: &Workers, limits: Limits) -> Count {
    let stop = Stop::new(limits.time);
    let most = limits.max_count.map_or(u64::MAX, |most| most as u64);
    let graph = Ordered::new(graph, degeneracy(graph), workers);
    let tasks = split(&graph);
    let total = AtomicU64::new(0);
    work_off(
        workers,
        tasks.len(),
        || Bench::new(&graph),
        |bench, task| {
            let mut counter = Counter::new(&stop);
            let _ = !counter.is_over() && bench.search(&graph, kind.0, &tasks[task], &mut counter);
            if total.fetch_add(counter.count, Ordering::Relaxed) + counter.count > most {
                stop.now();
            }
        },
    );
    let count = total.into_inner();
    if count > most {
        return Count { count: most, completeness: Completeness::LimitReached };
    }
    let completeness = if stop.is_stopped() { Completeness::TimedOut } else { Completeness::All };
    Count { count, completeness }
}

fn stream(
    graph: &SimpleGraph,
    kind: CliqueKind,
    workers: &Workers,
    limits: Limits,
    visitor: &mut ordered_output::Visitor,
) -> Completeness {
    let stop = Stop::new(limits.time);
    let graph = Ordered::new(graph, degeneracy(graph), workers);
    let tasks = split(&graph);
    let turns = Turns::new(&stop, limits, visitor);
    work_off(
        workers,
        tasks.len(),
        || Bench::new(&graph),
        |bench, task| {
            let mut lister = turns.lister(task);
            let is_whole = !lister.is_over() && bench.search(&graph, kind.0, &tasks[task], &mut lister);
            turns.finish(lister, is_whole);
        },
    );
    turns.end()
}
