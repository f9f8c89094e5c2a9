//! Branch and bound for cliques of at least a given size that start at one root.

use super::{
    bits::{Bits, permute},
    coloring::Coloring,
    ordered::{LocalIndices, Ordered, read_later},
};

/// The cliques that a search looks for.
pub(super) trait Goal {
    /// The minimum number of nodes. It may grow during the search, but not shrink.
    fn size(&self) -> usize;

    /// Reports a clique of at least that size. Returns whether to continue.
    fn reach(&mut self, clique: &[u32]) -> bool;

    /// Whether to stop; called in each step of a search.
    fn is_over(&mut self) -> bool;
}

/// The reusable buffers of one worker's searches, with bit sets `B`.
pub(super) struct MaximumSearch<B> {
    /// The adjacency of the later neighbors of the root, in graph order.
    unsorted: Vec<B>,
    /// The remaining degree of each of these neighbors, and its index.
    degrees: Vec<u64>,
    /// Their indices in search order.
    order: Vec<u32>,
    transposed: Vec<B>,
    /// Their adjacency in search order.
    rows: Vec<B>,
    /// The nodes of the rows in search order.
    nodes: Vec<u32>,
    levels: Vec<Level<B>>,
    /// For each level the candidates to branch on, each with its color, by ascending color.
    branches: Vec<(u32, u32)>,
    /// Candidates of so few colors that there is no clique of the required size among them.
    coloring: Coloring<B>,
    path: Vec<u32>,
}

struct Level<B> {
    /// The nodes adjacent to all of the path that were not searched yet.
    candidates: B,
    /// The start of its entries in [`MaximumSearch::branches`].
    branches: usize,
}

impl<B> Default for MaximumSearch<B> {
    fn default() -> Self {
        let (unsorted, degrees, order, transposed, rows, nodes) = Default::default();
        let (levels, branches, coloring, path) = Default::default();
        Self { unsorted, degrees, order, transposed, rows, nodes, levels, branches, coloring, path }
    }
}

impl<B: Bits> MaximumSearch<B> {
    /// Reports cliques whose first node is `root` until none is left that reaches the goal.
    #[inline(always)]
    pub fn search(&mut self, graph: &Ordered, root: u32, indices: &mut LocalIndices, mut goal: impl Goal) {
        self.path.clear();
        self.path.push(root);
        if goal.size() <= 1 && !goal.reach(&self.path) {
            return;
        }
        if graph.later(root).is_empty() || goal.is_over() {
            return;
        }
        read_later(graph, root, indices, &mut self.unsorted);
        let Some(candidates) = self.sort(graph, root, goal.size()) else { return };
        self.levels.clear();
        self.branches.clear();
        self.open(candidates, goal.size());
        while let Some(level) = self.levels.last_mut() {
            let required = goal.size();
            let branch = self.branches[level.branches..].last();
            // Branches of lower colors are bounded even lower.
            let branch = branch.filter(|(_, color)| self.path.len() + *color as usize >= required);
            let Some(&(branch, _)) = branch else {
                self.branches.truncate(level.branches);
                self.levels.pop();
                self.path.pop();
                continue;
            };
            self.branches.pop();
            let candidates = level.candidates.intersection(&self.rows[branch as usize]);
            level.candidates.remove(branch as usize);
            self.path.push(self.nodes[branch as usize]);
            let count = candidates.count();
            if count == 0 && self.path.len() >= required && !goal.reach(&self.path) {
                return;
            }
            if count == 0 || self.path.len() + count < required {
                self.path.pop();
                continue;
            }
            if goal.is_over() {
                return;
            }
            self.open(candidates, required);
        }
    }

    /// Sorts the later neighbors of the root by the reverse of a degeneracy order, without those whose remaining degree
    /// is too small for a clique of `size`. Returns none if too few remain.
    #[inline(always)]
    fn sort(&mut self, graph: &Ordered, root: u32, size: usize) -> Option<B> {
        let members = graph.later(root);
        // The degree in the upper half and the member in the lower one, in words of as many bits as the rows have.
        self.degrees.clear();
        self.degrees.resize(members.len().next_multiple_of(64), u64::MAX);
        for (member, (degree, row)) in (0..).zip(self.degrees.iter_mut().zip(&self.unsorted)) {
            *degree = (row.count() as u64) << 32 | member;
        }
        // The root and the member itself are in such a clique, too.
        let needed = (size.saturating_sub(2) as u64) << 32;
        if self.degrees[..members.len()].iter().filter(|degree| **degree >= needed).count() + 1 < size {
            return None;
        }
        self.order.clear();
        let mut is_dense = false;
        for _ in members {
            let least = self.degrees.iter().fold(u64::MAX, |least, degree| least.min(*degree));
            let next = least as u32;
            // A removed member stays larger than all others when its neighbors are removed.
            self.degrees[next as usize] = u64::MAX;
            for (degrees, word) in self.degrees.chunks_exact_mut(64).zip(self.unsorted[next as usize].words()) {
                for (bit, degree) in degrees.iter_mut().enumerate() {
                    *degree -= (word >> bit & 1) << 32;
                }
            }
            is_dense |= least >= needed;
            if is_dense {
                self.order.push(next);
            }
        }
        if self.order.len() + 1 < size {
            return None;
        }
        self.order.reverse();
        self.nodes.clear();
        self.nodes.extend(self.order.iter().map(|member| members[*member as usize]));
        permute(&self.unsorted, &self.order, &mut self.transposed, &mut self.rows);
        let mut candidates = B::empty(members.len());
        (0..self.order.len()).for_each(|member| candidates.insert(member));
        Some(candidates)
    }

    /// Opens a level with these candidates, in search of cliques of at least `size` nodes.
    ///
    /// Greedy coloring gives adjacent candidates different colors, so candidates of `c` colors contain no clique of
    /// more than `c` nodes. Branching on candidates of the first colors, which are too few for a clique of the required
    /// size, is not needed, nor on those that the [`Coloring`] absorbs: such a clique has a node of a later color.
    #[inline(always)]
    fn open(&mut self, candidates: B, size: usize) {
        let start = self.branches.len();
        let needed = size.saturating_sub(self.path.len()).max(1);
        self.coloring.clear();
        let mut uncolored = candidates.clone();
        let mut color = 1;
        while !uncolored.is_empty() {
            let mut class = uncolored.clone();
            class.words_mut().fill(0);
            let mut rest = uncolored.clone();
            let before = self.branches.len();
            while let Some(member) = rest.pop_first() {
                uncolored.remove(member);
                if color >= needed {
                    if self.coloring.absorb(&self.rows, member) {
                        continue;
                    }
                    self.branches.push((member as u32, color as u32));
                } else {
                    class.insert(member);
                }
                rest.subtract(&self.rows[member]);
            }
            if color < needed {
                self.coloring.push(class);
                color += 1;
            } else if self.branches.len() > before {
                color += 1;
            }
        }
        self.levels.push(Level { candidates, branches: start });
    }
}
