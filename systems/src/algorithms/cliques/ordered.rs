//! A graph reordered by degeneracy, and neighborhoods as bit sets.

use super::{bits::Bits, degeneracy::Degeneracy};
use crate::{
    algorithms::{SimpleGraph, ordering::positions},
    parallel::Workers,
};

/// A graph whose nodes are identified by their position in a degeneracy order.
pub(super) struct Ordered {
    /// The node at each position.
    pub order: Vec<u32>,
    /// The neighbors of position `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: Vec<usize>,
    /// The start of the earlier neighbors of each position in `neighbors`; `[N]`.
    middles: Vec<usize>,
    /// For each position first the later neighbors, then the earlier ones.
    neighbors: Vec<u32>,
}

/// Number of nodes that a worker takes at a time.
const BLOCK: usize = 2048;

impl Ordered {
    pub fn new(graph: &SimpleGraph, found: Degeneracy, workers: &Workers) -> Self {
        let order = found.order;
        let positions = positions(&order);
        let nodes = order.len();
        let blocks = workers.map(nodes.div_ceil(BLOCK), |block| {
            let range = block * BLOCK..nodes.min((block + 1) * BLOCK);
            let size = order[range.clone()].iter().map(|node| graph.degree(*node)).sum();
            let (mut neighbors, mut laters) = (Vec::with_capacity(size), Vec::with_capacity(BLOCK));
            for (position, node) in range.clone().zip(&order[range]) {
                let start = neighbors.len();
                let all = graph.neighbors(*node).iter().map(|neighbor| positions[*neighbor as usize]);
                neighbors.extend(all);
                // Swaps each later neighbor with the first earlier one, which keeps the later ones sorted by node.
                let mut later = 0;
                let added = &mut neighbors[start..];
                for index in 0..added.len() {
                    let is_later = added[index] as usize > position;
                    added.swap(later, index);
                    later += usize::from(is_later);
                }
                laters.push((later, added.len()));
            }
            (neighbors, laters)
        });
        let mut neighbors = Vec::with_capacity(2 * graph.edge_count());
        let (mut offsets, mut middles) = (Vec::with_capacity(nodes + 1), Vec::with_capacity(nodes));
        offsets.push(0);
        let mut start = 0;
        for (block, laters) in blocks {
            neighbors.extend_from_slice(&block);
            for (later, all) in laters {
                middles.push(start + later);
                start += all;
                offsets.push(start);
            }
        }
        Self { order, offsets, middles, neighbors }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The neighbors after `position`, by ascending node; at most the degeneracy.
    #[inline(always)]
    pub fn later(&self, position: usize) -> &[u32] {
        &self.neighbors[self.offsets[position]..self.middles[position]]
    }

    /// The neighbors before `position`.
    #[inline(always)]
    pub fn earlier(&self, position: usize) -> &[u32] {
        &self.neighbors[self.middles[position]..self.offsets[position + 1]]
    }
}

/// For each position its index among the later neighbors of a root, plus one; 0 if it is none of them.
pub(super) struct LocalIndices(Vec<u32>);

impl LocalIndices {
    pub fn new(graph: &Ordered) -> Self {
        Self(vec![0; graph.len()])
    }

    /// Calls `work` with the indices of `members`.
    #[inline(always)]
    fn with(&mut self, members: &[u32], work: impl FnOnce(&[u32])) {
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
pub(super) fn read_later<B: Bits>(graph: &Ordered, root: usize, indices: &mut LocalIndices, rows: &mut Vec<B>) {
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
pub(super) fn read_all<B: Bits>(graph: &Ordered, root: usize, indices: &mut LocalIndices, rows: &mut Vec<B>) -> bool {
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
                for later in graph.later(*earlier as usize) {
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
        for later in graph.later(*member as usize) {
            let index = indices[*later as usize] as usize;
            if index != 0 {
                rows[one].insert(index - 1);
                rows[index - 1].insert(one);
            }
        }
    }
}
