//! What algorithms ask of a graph.

use core::ops::Range;

use connectome_components::Topology;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::parallel::Workers;

/// A graph whose nodes are numbered from 0 and whose edges have an order.
///
/// Whatever is collected here comes in the order of the nodes or edges, for any number of workers. The parallel iterators
/// run where rayon is told to: within [`Workers::install`] by those workers.
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
    /// How many nodes there are.
    fn node_count(&self) -> usize;

    /// Source and target of each edge, in their order. Dangling edges are left out; both endpoints are less than the number
    /// of nodes.
    fn edges(&self) -> impl Iterator<Item = [u32; 2]>;

    /// The same edges in the same order, in parallel.
    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]>;

    /// The nodes in their order.
    fn nodes(&self) -> Range<u32> {
        0..self.node_count() as u32
    }

    /// The nodes in their order, in parallel.
    fn par_nodes(&self) -> rayon::range::Iter<u32> {
        self.nodes().into_par_iter()
    }

    /// What `map` makes of each node, in their order.
    fn par_map_nodes<R: Send>(&self, workers: &Workers, map: impl Fn(u32) -> R + Sync) -> Vec<R> {
        workers.map(self.node_count(), |node| map(node as u32))
    }

    /// The nodes that `keep` says yes to, in their order.
    fn par_filter_nodes(&self, workers: &Workers, keep: impl Fn(u32) -> bool + Sync) -> Vec<u32> {
        let kept = self.par_map_nodes(workers, keep);
        self.nodes().zip(kept).filter_map(|(node, kept)| kept.then_some(node)).collect()
    }
}

/// The graph of the world, by the rows of its nodes and of its edges.
impl ParallelGraph for Topology {
    fn node_count(&self) -> usize {
        self.nodes.len()
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.endpoints.iter().copied().filter(|endpoints| *endpoints != [Self::NO_ROW; 2])
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.endpoints.par_iter().copied().filter(|endpoints| *endpoints != [Self::NO_ROW; 2])
    }
}
