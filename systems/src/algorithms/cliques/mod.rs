//! Cliques: sets of pairwise adjacent nodes.
//!
//! | result | function |
//! | --- | --- |
//! | all cliques of a size, or all maximal ones, which are contained in no larger clique | [`list_cliques`] |
//! | the same one by one, without a list | [`visit_cliques`] |
//! | their number | [`count_cliques`] |
//! | a clique of maximum size | [`maximum_clique`] |
//! | an upper bound on the size of cliques, by core numbers | [`degeneracy`] |
//! | cliques as entities of the world | [`find_cliques`], [`find_maximum_clique`] |
//!
//! Each clique is found from its first node in the order of [`degeneracy`], its root. A root has few later neighbors,
//! so their adjacency fits into a matrix of bits. Roots are distributed over the workers, and so are the branches of a
//! root with many later neighbors. Cliques are reported by their root in that order, which depends on the graph alone;
//! the nodes of each are in ascending order.
//!
//! ```
//! use connectome_systems::{Workers, algorithms::{SimpleGraph, cliques::{CliqueKind, Limits, count_cliques, list_cliques, maximum_clique}}};
//!
//! // Two triangles with a common edge, and a tail.
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
mod coloring;
mod degeneracy;
mod k_cliques;
mod limits;
mod list;
mod local_search;
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
    ordered_output::{Counter, OrderedOutput, Sink, run_tasks, split},
    search::Searches,
};
use crate::{algorithms::SimpleGraph, parallel::Workers};

/// The cliques to search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CliqueKind(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Maximal,
    OfSize(usize),
}

/// The requested size of cliques is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot search for cliques of {0} nodes; use a size of 1 to {max}", max = CliqueKind::MAX_NODES)]
pub struct SizeError(pub usize);

impl CliqueKind {
    /// The maximum of [`CliqueKind::of_size`]. A graph with one clique of twice as many nodes has more cliques of this
    /// size than there are atoms in the universe.
    pub const MAX_NODES: usize = 1024;

    /// Maximal cliques: those contained in no larger clique.
    pub fn maximal() -> Self {
        Self(Kind::Maximal)
    }

    /// All cliques of `size` nodes, those contained in larger ones too.
    ///
    /// # Errors
    /// If `size` is 0, or more than [`CliqueKind::MAX_NODES`].
    pub fn of_size(size: usize) -> Result<Self, SizeError> {
        if (1..=Self::MAX_NODES).contains(&size) { Ok(Self(Kind::OfSize(size))) } else { Err(SizeError(size)) }
    }
}

/// The number of cliques.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The number of cliques counted.
    pub count: u64,
    /// Whether these are all.
    pub completeness: Completeness,
}

/// Lists the cliques of a kind within `limits`, in the order of the search.
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

/// Passes the cliques of a kind to `visitor` one by one, in the order of the search, until it breaks.
///
/// The visitor is called by one worker at a time. Only cliques found out of order are stored until their turn.
pub fn visit_cliques(
    graph: &SimpleGraph,
    kind: CliqueKind,
    workers: &Workers,
    limits: Limits,
    mut visitor: impl FnMut(&[u32]) -> ControlFlow<()> + Send,
) -> Completeness {
    workers.install(|| stream(graph, kind, workers, limits, &mut |cliques| cliques.iter().try_for_each(&mut visitor)))
}

/// Counts the cliques of a kind without storing them, up to [`Limits::max_count`].
pub fn count_cliques(graph: &SimpleGraph, kind: CliqueKind, workers: &Workers, limits: Limits) -> Count {
    workers.install(|| count(graph, kind, workers, limits))
}

fn count(graph: &SimpleGraph, kind: CliqueKind, workers: &Workers, limits: Limits) -> Count {
    let stop = Stop::new(limits.time);
    let max = limits.max_count.map_or(u64::MAX, |max| max as u64);
    let graph = Ordered::new(graph, workers);
    let tasks = split(&graph);
    let total = AtomicU64::new(0);
    run_tasks(
        workers,
        tasks.len(),
        || Searches::new(&graph),
        |searches, task| {
            let mut counter = Counter::new(&stop);
            let _ = !counter.is_over() && searches.search(&graph, kind.0, &tasks[task], &mut counter);
            if total.fetch_add(counter.count, Ordering::Relaxed) + counter.count > max {
                stop.now();
            }
        },
    );
    let count = total.into_inner();
    if count > max {
        return Count { count: max, completeness: Completeness::LimitReached };
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
    let graph = Ordered::new(graph, workers);
    let tasks = split(&graph);
    let output = OrderedOutput::new(&stop, limits, visitor);
    run_tasks(
        workers,
        tasks.len(),
        || Searches::new(&graph),
        |searches, task| {
            let mut collector = output.collector(task);
            let is_complete = !collector.is_over() && searches.search(&graph, kind.0, &tasks[task], &mut collector);
            output.finish(collector, is_complete);
        },
    );
    output.end()
}
