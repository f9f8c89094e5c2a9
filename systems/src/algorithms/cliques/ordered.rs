//! A graph with a degeneracy order, and neighborhoods as bit sets.

use super::{
    bits::Bits,
    degeneracy::{Degeneracy, degeneracy},
};
use crate::{
    algorithms::{ParallelGraph, SimpleGraph, ordering::positions},
    parallel::{Blocks, SplitRows, Workers},
};

/// A graph whose neighbors are divided into those before and after a node in a degeneracy order.
pub(super) struct Ordered<'g> {
    pub found: Degeneracy,
    /// The neighbors of node `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: &'g [usize],
    /// For each node first the later neighbors, then the earlier ones.
    neighbors: Vec<u32>,
    /// The number of later neighbors of each node; `[N]`.
    later_counts: Vec<u32>,
}

/// Number of nodes that a worker takes at a time.
const BLOCK: usize = 512;

impl<'g> Ordered<'g> {
    pub fn new(graph: &'g SimpleGraph, workers: &Workers) -> Self {
        let (offsets, neighbors) = graph.sparse_rows();
        // A single worker computes the order; another one can copy the neighbors.
        let (found, mut neighbors) = workers.join(|| degeneracy(graph), || neighbors.to_vec());
        let positions = positions(&found.order);
        let nodes = graph.node_count();
        let mut later_counts = vec![0; nodes];
        let output = Neighbors { offsets, neighbors: &mut neighbors, later_counts: &mut later_counts };
        let blocks = Blocks::Uniform { start: 0, rows: nodes, size: BLOCK };
        let cost = 1 + 2 * graph.edge_count() / nodes.max(1);
        workers.for_each_block(blocks, cost, output, |rows, mut output| {
            let lengths = offsets[rows.start..=rows.end].array_windows().map(|[start, end]| end - start);
            for ((position, length), count) in positions[rows].iter().zip(lengths).zip(output.later_counts) {
                let (all, rest) = output.neighbors.split_at_mut(length);
                // Swaps each later neighbor with the first earlier one, which keeps the later ones sorted by node.
                let mut later = 0;
                for index in 0..all.len() {
                    let is_later = positions[all[index] as usize] > *position;
                    all.swap(later, index);
                    later += usize::from(is_later);
                }
                *count = later as u32;
                output.neighbors = rest;
            }
        });
        Self { found, offsets, neighbors, later_counts }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.found.order.len()
    }

    /// The node at a position.
    #[inline(always)]
    pub fn node(&self, position: usize) -> u32 {
        self.found.order[position]
    }

    /// The neighbors after `node`, in ascending order; at most the degeneracy.
    #[inline(always)]
    pub fn later(&self, node: u32) -> &[u32] {
        &self.neighbors[self.offsets[node as usize]..][..self.later_counts[node as usize] as usize]
    }

    /// The neighbors before `node`.
    #[inline(always)]
    pub fn earlier(&self, node: u32) -> &[u32] {
        let all = &self.neighbors[self.offsets[node as usize]..self.offsets[node as usize + 1]];
        &all[self.later_counts[node as usize] as usize..]
    }
}

/// The neighbors of consecutive nodes, and how many of each are later ones.
struct Neighbors<'a> {
    /// The start of the neighbors of each node and the end of the last ones, up to a common offset.
    offsets: &'a [usize],
    neighbors: &'a mut [u32],
    later_counts: &'a mut [u32],
}

impl SplitRows for Neighbors<'_> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (neighbors, other_neighbors) = self.neighbors.split_at_mut(self.offsets[rows] - self.offsets[0]);
        let (later_counts, other_counts) = self.later_counts.split_at_mut(rows);
        (
            Self { offsets: &self.offsets[..=rows], neighbors, later_counts },
            Self { offsets: &self.offsets[rows..], neighbors: other_neighbors, later_counts: other_counts },
        )
    }
}

/// For each node its index among the later neighbors of a root, plus one; 0 if it is none of them.
pub(super) struct LocalIndices(Vec<u32>);

impl LocalIndices {
    pub fn new(graph: &Ordered) -> Self {
        Self(vec![0; graph.len()])
    }

    /// Calls `work` with the indices of `members`.
    #[inline(always)]
    pub fn with(&mut self, members: &[u32], work: impl FnOnce(&[u32])) {
        for (index, member) in (1..).zip(members) {
            self.0[*member as usize] = index;
        }
        work(&self.0);
        for member in members {
            self.0[*member as usize] = 0;
        }
    }
}

/// Writes the adjacency among the later neighbors of `root` to `rows`, a set of local indices for each.
#[inline(always)]
pub(super) fn read_later<B: Bits>(graph: &Ordered, root: u32, indices: &mut LocalIndices, rows: &mut Vec<B>) {
    let members = graph.later(root);
    rows.clear();
    rows.resize(members.len(), B::empty(members.len()));
    indices.with(
        members,
        #[inline(always)]
        |indices| add_inner(graph, members, indices, rows),
    );
}

/// As [`read_later`], followed by a row for each earlier neighbor of the root that is adjacent to some of its later
/// ones. Returns false if one is adjacent to all of them; the rows are unspecified then.
#[inline(always)]
pub(super) fn read_all<B: Bits>(graph: &Ordered, root: u32, indices: &mut LocalIndices, rows: &mut Vec<B>) -> bool {
    let members = graph.later(root);
    rows.clear();
    rows.resize(members.len(), B::empty(members.len()));
    let mut is_open = true;
    indices.with(
        members,
        #[inline(always)]
        |indices| {
            // A later neighbor of the root that is adjacent to an earlier one is a later neighbor of that one too.
            for earlier in graph.earlier(root) {
                let mut row = B::empty(members.len());
                let mut found = 0;
                for later in graph.later(*earlier) {
                    let index = indices[*later as usize];
                    if index != 0 {
                        row.insert(index as usize - 1);
                        found += 1;
                    }
                }
                if found == members.len() {
                    is_open = false;
                    return;
                }
                if found != 0 {
                    rows.push(row);
                }
            }
            add_inner(graph, members, indices, rows);
        },
    );
    is_open
}

#[inline(always)]
fn add_inner<B: Bits>(graph: &Ordered, members: &[u32], indices: &[u32], rows: &mut [B]) {
    for (one, member) in members.iter().enumerate() {
        for later in graph.later(*member) {
            let index = indices[*later as usize] as usize;
            if index != 0 {
                rows[one].insert(index - 1);
                rows[index - 1].insert(one);
            }
        }
    }
}
