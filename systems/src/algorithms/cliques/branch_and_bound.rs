//! Branch and bound for cliques of at least some size, below one root.

use super::{
    bits::Bits,
    ordered::{Numbers, Ordered, read_later},
};

/// Which cliques are worth finding.
pub(super) trait Goal {
    /// The fewest nodes of a clique that is worth it. It may rise while the search goes on, but not fall.
    fn size(&self) -> usize;

    /// Takes a clique that is worth it. Returns whether to go on.
    fn reach(&mut self, clique: &[u32]) -> bool;

    /// Whether to stop; asked for each step of a search.
    fn is_over(&mut self) -> bool;
}

/// What one worker needs to search below one root after the other, in sets of kind `B`.
pub(super) struct MaximumSearch<B> {
    /// The rows of the later neighbors of the root, in their order in the graph.
    unsorted: Vec<B>,
    /// The same in the order of the search.
    rows: Vec<B>,
    /// The nodes of the rows in the order of the search.
    nodes: Vec<u32>,
    levels: Vec<Level<B>>,
    /// For each level who is to be added to the path, each with its color, in rising order of these.
    branches: Vec<(u32, u32)>,
    /// Who has each of the colors that are too few for a clique that is worth it.
    classes: Vec<B>,
    path: Vec<u32>,
}

struct Level<B> {
    /// Who is joined to all of the path and was not searched yet.
    candidates: B,
    /// Where its own begin in [`MaximumSearch::branches`].
    branches: usize,
}

impl<B> Default for MaximumSearch<B> {
    fn default() -> Self {
        let (unsorted, rows, nodes, levels, branches, classes, path) = Default::default();
        Self { unsorted, rows, nodes, levels, branches, classes, path }
    }
}

impl<B: Bits> MaximumSearch<B> {
    /// Looks for cliques whose first node is `root` until there are none left that are worth it.
    #[inline(always)]
    pub fn search(&mut self, graph: &Ordered, root: usize, numbers: &mut Numbers, mut goal: impl Goal) {
        self.path.clear();
        self.path.push(graph.order[root]);
        if goal.size() <= 1 && !goal.reach(&self.path) {
            return;
        }
        if graph.later(root).is_empty() || goal.is_over() {
            return;
        }
        read_later(graph, root, numbers, &mut self.unsorted);
        let Some(candidates) = self.sort(graph, root, goal.size()) else { return };
        self.levels.clear();
        self.branches.clear();
        self.open(candidates, goal.size());
        while let Some(level) = self.levels.last_mut() {
            let wanted = goal.size();
            let branch = self.branches[level.branches..].last();
            // Those with fewer colors are worth no more.
            let branch = branch.filter(|(_, color)| self.path.len() + *color as usize >= wanted);
            let Some(&(branch, _)) = branch else {
                self.branches.truncate(level.branches);
                self.levels.pop();
                self.path.pop();
                continue;
            };
            self.branches.pop();
            let candidates = level.candidates.common(&self.rows[branch as usize]);
            level.candidates.remove(branch as usize);
            self.path.push(self.nodes[branch as usize]);
            let count = candidates.count();
            if count == 0 && self.path.len() >= wanted && !goal.reach(&self.path) {
                return;
            }
            if count == 0 || self.path.len() + count < wanted {
                self.path.pop();
                continue;
            }
            if goal.is_over() {
                return;
            }
            self.open(candidates, wanted);
        }
    }

    /// Puts those who have neighbors enough for a clique of `size` into the order of the search: over and over the one with
    /// the fewest neighbors left is taken away, and the last comes first. Returns None if there are too few.
    #[inline(always)]
    fn sort(&mut self, graph: &Ordered, root: usize, size: usize) -> Option<B> {
        let members = graph.later(root);
        let mut left = B::full(members.len());
        let mut degrees: Vec<u32> = self.unsorted.iter().map(|row| row.count() as u32).collect();
        let mut order = Vec::with_capacity(members.len());
        let mut is_dense = false;
        while !left.is_empty() {
            let (mut fewest, mut next) = (u32::MAX, 0);
            left.for_each(
                #[inline(always)]
                |member| {
                    if degrees[member] < fewest {
                        (fewest, next) = (degrees[member], member);
                    }
                },
            );
            left.remove(next);
            left.common(&self.unsorted[next]).for_each(
                #[inline(always)]
                |neighbor| degrees[neighbor] -= 1,
            );
            // With the root and itself.
            is_dense |= fewest as usize + 2 >= size;
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
            for (place, other) in order.iter().enumerate() {
                if self.unsorted[*one].contains(*other) {
                    row.insert(place);
                }
            }
            self.rows.push(row);
        }
        let mut candidates = B::empty(members.len());
        (0..order.len()).for_each(|member| candidates.insert(member));
        Some(candidates)
    }

    /// Opens a level with these candidates. Cliques are worth it from `size` nodes on.
    ///
    /// Neighbors get different colors, so among candidates of `c` colors there is no clique of more than `c`. Those who
    /// get one of the first colors, too few for a clique that is worth it, need not be added to the path: another with a
    /// later color has to be.
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

    /// Finds one of the first colors for `member`, if a neighbor who alone has it among its neighbors can take another
    /// of them.
    #[inline(always)]
    fn recolor(&mut self, member: usize) -> bool {
        for one in 0..self.classes.len() {
            let rivals = self.classes[one].common(&self.rows[member]);
            let Some(rival) = rivals.first() else {
                self.classes[one].insert(member);
                return true;
            };
            if rivals.count() > 1 {
                continue;
            }
            for other in one + 1..self.classes.len() {
                if self.classes[other].count_common(&self.rows[rival]) == 0 {
                    self.classes[one].remove(rival);
                    self.classes[one].insert(member);
                    self.classes[other].insert(rival);
                    return true;
                }
            }
        }
        false
    }
}
