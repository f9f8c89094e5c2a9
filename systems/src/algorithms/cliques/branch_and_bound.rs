//! Branch and bound for cliques of at least a given size that start at one root.

use super::{
    bits::Bits,
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
    /// The same in search order.
    rows: Vec<B>,
    /// The nodes of the rows in search order.
    nodes: Vec<u32>,
    levels: Vec<Level<B>>,
    /// For each level the candidates to branch on, each with its color, by ascending color.
    branches: Vec<(u32, u32)>,
    /// The color classes of the first colors, which are too few for a clique of the required size.
    classes: Vec<B>,
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
        let (unsorted, rows, nodes, levels, branches, classes, path) = Default::default();
        Self { unsorted, rows, nodes, levels, branches, classes, path }
    }
}

impl<B: Bits> MaximumSearch<B> {
    /// Reports cliques whose first node is `root` until none is left that reaches the goal.
    #[inline(always)]
    pub fn search(&mut self, graph: &Ordered, root: usize, indices: &mut LocalIndices, mut goal: impl Goal) {
        self.path.clear();
        self.path.push(graph.order[root]);
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
    fn sort(&mut self, graph: &Ordered, root: usize, size: usize) -> Option<B> {
        let members = graph.later(root);
        let mut left = B::full(members.len());
        let mut degrees: Vec<u32> = self.unsorted.iter().map(|row| row.count() as u32).collect();
        let mut order = Vec::with_capacity(members.len());
        let mut is_dense = false;
        while !left.is_empty() {
            let (mut least, mut next) = (u32::MAX, 0);
            left.for_each(
                #[inline(always)]
                |member| {
                    if degrees[member] < least {
                        (least, next) = (degrees[member], member);
                    }
                },
            );
            left.remove(next);
            left.intersection(&self.unsorted[next]).for_each(
                #[inline(always)]
                |neighbor| degrees[neighbor] -= 1,
            );
            // Plus the root and the member itself.
            is_dense |= least as usize + 2 >= size;
            if is_dense {
                order.push(next);
            }
        }
        if order.len() + 1 < size {
            return None;
        }
        order.reverse();
        self.nodes.clear();
        self.nodes.extend(order.iter().map(|member| graph.order[members[*member] as usize]));
        self.rows.clear();
        for one in &order {
            let mut row = B::empty(members.len());
            for (index, other) in order.iter().enumerate() {
                if self.unsorted[*one].contains(*other) {
                    row.insert(index);
                }
            }
            self.rows.push(row);
        }
        let mut candidates = B::empty(members.len());
        (0..order.len()).for_each(|member| candidates.insert(member));
        Some(candidates)
    }

    /// Opens a level with these candidates, in search of cliques of at least `size` nodes.
    ///
    /// Greedy coloring gives adjacent candidates different colors, so candidates of `c` colors contain no clique of
    /// more than `c` nodes. Branching on candidates of the first colors, which are too few for a clique of the required
    /// size, is not needed: such a clique has a node of a later color.
    #[inline(always)]
    fn open(&mut self, candidates: B, size: usize) {
        let start = self.branches.len();
        let needed = size.saturating_sub(self.path.len()).max(1);
        self.classes.clear();
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
                    if self.recolor(member) {
                        continue;
                    }
                    self.branches.push((member as u32, color as u32));
                } else {
                    class.insert(member);
                }
                rest.subtract(&self.rows[member]);
            }
            if color < needed {
                self.classes.push(class);
                color += 1;
            } else if self.branches.len() > before {
                color += 1;
            }
        }
        self.levels.push(Level { candidates, branches: start });
    }

    /// Gives `member` one of the first colors, if it is free or the only neighbor that has it can take another of them.
    #[inline(always)]
    fn recolor(&mut self, member: usize) -> bool {
        for one in 0..self.classes.len() {
            let conflicts = self.classes[one].intersection(&self.rows[member]);
            let Some(conflict) = conflicts.first() else {
                self.classes[one].insert(member);
                return true;
            };
            if conflicts.count() > 1 {
                continue;
            }
            for other in one + 1..self.classes.len() {
                if self.classes[other].intersection_count(&self.rows[conflict]) == 0 {
                    self.classes[one].remove(conflict);
                    self.classes[one].insert(member);
                    self.classes[other].insert(conflict);
                    return true;
                }
            }
        }
        false
    }
}
