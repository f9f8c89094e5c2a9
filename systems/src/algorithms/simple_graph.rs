//! Simple graphs.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::ParallelGraph;

/// An undirected graph without self-loops and parallel edges, in compressed sparse rows (CSR).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimpleGraph {
    /// The neighbors of node `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: Vec<usize>,
    /// Those of each node in ascending order; each edge has two entries.
    neighbors: Vec<u32>,
}

impl SimpleGraph {
    /// The graph of `nodes` nodes in which two nodes are adjacent if there is an edge in either direction. Self-loops
    /// and edges with an endpoint that is no node are skipped.
    pub fn new(nodes: usize, edges: impl IntoIterator<Item = [u32; 2]>) -> Self {
        let is_inner = |[one, other]: &[u32; 2]| one != other && ((*one).max(*other) as usize) < nodes;
        let edges: Vec<[u32; 2]> = edges.into_iter().filter(is_inner).collect();
        let mut offsets = vec![0; nodes + 1];
        for end in edges.iter().flatten() {
            offsets[*end as usize + 1] += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        let mut next = offsets.clone();
        let mut neighbors = vec![0; 2 * edges.len()];
        for [one, other] in edges {
            for (node, neighbor) in [(one, other), (other, one)] {
                neighbors[next[node as usize]] = neighbor;
                next[node as usize] += 1;
            }
        }
        let mut count = 0;
        for node in 0..nodes {
            let (start, end) = (offsets[node], next[node]);
            neighbors[start..end].sort_unstable();
            offsets[node] = count;
            for index in start..end {
                if count == offsets[node] || neighbors[count - 1] != neighbors[index] {
                    neighbors[count] = neighbors[index];
                    count += 1;
                }
            }
        }
        offsets[nodes] = count;
        neighbors.truncate(count);
        neighbors.shrink_to_fit();
        Self { offsets, neighbors }
    }

    /// The simple graph of another: without directions, self-loops and parallel edges.
    pub fn of(graph: &impl ParallelGraph) -> Self {
        Self::new(graph.node_count(), graph.edges())
    }

    /// Number of edges, each counted once.
    pub fn edge_count(&self) -> usize {
        self.neighbors.len() / 2
    }

    /// The nodes adjacent to `node`, in ascending order.
    ///
    /// # Panics
    /// If there is no such node.
    #[inline]
    pub fn neighbors(&self, node: u32) -> &[u32] {
        &self.neighbors[self.offsets[node as usize]..self.offsets[node as usize + 1]]
    }

    /// Number of neighbors.
    ///
    /// # Panics
    /// If there is no such node.
    #[inline]
    pub fn degree(&self, node: u32) -> usize {
        self.neighbors(node).len()
    }

    /// Whether two nodes are adjacent.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn has_edge(&self, one: u32, other: u32) -> bool {
        self.neighbors(one).binary_search(&other).is_ok()
    }

    /// The start of the neighbors of each node and the end of the last ones, and the neighbors of all.
    pub(super) fn sparse_rows(&self) -> (&[usize], &[u32]) {
        (&self.offsets, &self.neighbors)
    }

    /// The neighbors of `node` with a higher index.
    fn later(&self, node: u32) -> &[u32] {
        let neighbors = self.neighbors(node);
        &neighbors[neighbors.partition_point(|neighbor| *neighbor < node)..]
    }
}

/// Each edge once, from the lower to the higher node, in ascending order.
impl ParallelGraph for SimpleGraph {
    fn node_count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.nodes().flat_map(|node| self.later(node).iter().map(move |later| [node, *later]))
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        let of_node = |node| self.later(node).iter().map(move |later| [node, *later]);
        self.nodes().into_par_iter().flat_map_iter(of_node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_loops_duplicates_and_dangling_edges_are_skipped() {
        let graph = SimpleGraph::new(4, [[2, 0], [0, 2], [1, 1], [0, 1], [2, 0], [3, 4], [u32::MAX, 0]]);
        assert_eq!(graph.neighbors(0), [1, 2]);
        assert_eq!(graph.neighbors(1), [0]);
        assert_eq!(graph.neighbors(2), [0]);
        assert_eq!(graph.neighbors(3), []);
        assert_eq!(graph.edges().collect::<Vec<_>>(), [[0, 1], [0, 2]]);
        assert_eq!(graph.par_edges().collect::<Vec<_>>(), [[0, 1], [0, 2]]);
        assert_eq!(graph.edge_count(), 2);
        assert!(graph.has_edge(2, 0) && !graph.has_edge(1, 2));
        assert_eq!(SimpleGraph::of(&graph), graph);
    }

    #[test]
    fn a_graph_may_be_empty() {
        for graph in [SimpleGraph::new(0, [[0, 0]]), SimpleGraph::default()] {
            assert_eq!((graph.node_count(), graph.edge_count(), graph.edges().count()), (0, 0, 0));
        }
    }
}
