//! The interface of graphs to algorithms.

use core::ops::Range;

use connectome_components::Topology;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::parallel::Workers;

/// A graph whose nodes are indexed from 0 and whose edges have an order.
///
/// Results are in the order of the nodes or edges, for any number of workers. The parallel iterators run in the current
/// rayon pool: within [`Workers::install`] that of the workers.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{ParallelGraph, SimpleGraph}};
///
/// let path = SimpleGraph::new(3, [[0, 1], [1, 2]]);
/// let workers = Workers::new(2)?;
/// assert_eq!(path.par_map_nodes(&workers, |node| path.degree(node)), [1, 2, 1]);
/// assert_eq!(path.par_filter_nodes(&workers, |node| path.degree(node) == 1), [0, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ParallelGraph: Sync {
    /// Number of nodes.
    fn node_count(&self) -> usize;

    /// Source and target of each edge, in order, without dangling edges; both endpoints are less than the number of
    /// nodes.
    fn edges(&self) -> impl Iterator<Item = [u32; 2]>;

    /// The same edges in the same order, in parallel.
    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]>;

    /// The nodes, in order.
    fn nodes(&self) -> Range<u32> {
        0..self.node_count() as u32
    }

    /// The nodes, in order, in parallel.
    fn par_nodes(&self) -> rayon::range::Iter<u32> {
        self.nodes().into_par_iter()
    }

    /// Maps each node in parallel; the results are in the order of the nodes.
    fn par_map_nodes<R: Send>(&self, workers: &Workers, map: impl Fn(u32) -> R + Sync) -> Vec<R> {
        workers.map(self.node_count(), |node| map(node as u32))
    }

    /// The nodes for which `predicate` is true, in order.
    fn par_filter_nodes(&self, workers: &Workers, predicate: impl Fn(u32) -> bool + Sync) -> Vec<u32> {
        let matches = self.par_map_nodes(workers, predicate);
        self.nodes().zip(matches).filter_map(|(node, matches)| matches.then_some(node)).collect()
    }
}

/// Nodes are identified by row. Those of a relation between two kinds have no edges among themselves.
impl ParallelGraph for Topology {
    fn node_count(&self) -> usize {
        self.nodes.len()
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.endpoints_within().iter().copied().filter(|endpoints| *endpoints != [Self::NO_ROW; 2])
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.endpoints_within().par_iter().copied().filter(|endpoints| *endpoints != [Self::NO_ROW; 2])
    }
}
