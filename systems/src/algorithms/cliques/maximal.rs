//! Maximal cliques, which are contained in no larger one.

use core::ops::Range;

use super::{
    bits::Bits,
    ordered::{LocalIndices, Ordered, read_all},
    ordered_output::Sink,
};

/// The reusable buffers of one worker's searches for maximal cliques, with bit sets `B`.
///
/// This is the algorithm of Bron and Kerbosch (1973) with the pivots of Tomita, Tanaka and Takahashi (2006), started at
/// each node of a degeneracy order (Eppstein, Löffler and Strash 2010). It does not recurse, because a clique may be as
/// large as the graph.
pub(super) struct MaximalSearch<B> {
    /// The root of the rows.
    root: Option<u32>,
    /// Whether no earlier neighbor of the root is adjacent to all later ones; otherwise no clique is maximal.
    is_open: bool,
    /// Sets of later neighbors of the root: those adjacent to each later neighbor, then those adjacent to each earlier
    /// one.
    rows: Vec<B>,
    /// The nodes adjacent to all of the path that were searched before, which make cliques not maximal; level by level.
    excluded: Vec<u32>,
    levels: Vec<Level<B>>,
    /// The local indices of the nodes after the root that lead to the current level.
    path: Vec<u32>,
}

/// A level of the search: the nodes that may extend the path.
struct Level<B> {
    /// The nodes adjacent to all of the path that were not searched yet.
    candidates: B,
    /// The candidates to branch on; every maximal clique contains one.
    branches: B,
    /// The candidates that an excluded node is adjacent to.
    covered: B,
    /// The start of its entries in [`MaximalSearch::excluded`].
    excluded: usize,
}

impl<B> Default for MaximalSearch<B> {
    fn default() -> Self {
        let (rows, excluded, levels, path) = Default::default();
        Self { root: None, is_open: false, rows, excluded, levels, path }
    }
}

impl<B: Bits> MaximalSearch<B> {
    /// Passes to `sink` the maximal cliques whose first node is `root`; with `branches`, only those found from these
    /// later neighbors. Returns false if the sink stopped the search.
    #[inline(always)]
    pub fn search(
        &mut self,
        graph: &Ordered,
        root: u32,
        branches: Option<Range<usize>>,
        indices: &mut LocalIndices,
        sink: &mut impl Sink,
    ) -> bool {
        let members = graph.later(root);
        let node = |index: usize| members[index];
        if members.is_empty() {
            if graph.earlier(root).is_empty() {
                sink.add(root, &B::empty(0), node);
            }
            return true;
        }
        // The branches of one root are searched one after the other and share the rows.
        if self.root != Some(root) {
            self.is_open = read_all(graph, root, indices, &mut self.rows);
            self.root = Some(root);
        }
        if !self.is_open {
            return true;
        }
        self.levels.clear();
        self.path.clear();
        self.excluded.clear();
        self.excluded.extend(members.len() as u32..self.rows.len() as u32);
        let all = 0..self.excluded.len();
        if !self.open(B::full(members.len()), all, None) {
            return true;
        }
        if let (Some(range), Some(level)) = (branches, self.levels.last_mut()) {
            let mut branches = level.branches.clone();
            while let Some(branch) = branches.pop_first() {
                if branch < range.start {
                    level.exclude(branch, &self.rows, &mut self.excluded);
                }
                if !range.contains(&branch) {
                    level.branches.remove(branch);
                }
            }
        }
        self.search_levels(root, B::empty(members.len()), node, sink)
    }

    /// Searches all open levels. `clique` is the path as a set.
    #[inline(always)]
    fn search_levels(&mut self, root: u32, mut clique: B, node: impl Fn(usize) -> u32, sink: &mut impl Sink) -> bool {
        while let Some(level) = self.levels.last_mut() {
            let Some(branch) = level.branches.pop_first() else {
                self.excluded.truncate(level.excluded);
                self.levels.pop();
                if let (Some(branch), Some(level)) = (self.path.pop(), self.levels.last_mut()) {
                    clique.remove(branch as usize);
                    level.exclude(branch as usize, &self.rows, &mut self.excluded);
                }
                continue;
            };
            let candidates = level.candidates.intersection(&self.rows[branch]);
            if candidates.is_empty() {
                if !level.covered.contains(branch) {
                    clique.insert(branch);
                    sink.add(root, &clique, &node);
                    clique.remove(branch);
                }
                level.exclude(branch, &self.rows, &mut self.excluded);
                continue;
            }
            if sink.is_over() {
                return false;
            }
            let inherited = level.excluded..self.excluded.len();
            if self.open(candidates, inherited, Some(branch)) {
                self.path.push(branch as u32);
                clique.insert(branch);
            } else if let Some(level) = self.levels.last_mut() {
                level.exclude(branch, &self.rows, &mut self.excluded);
            }
        }
        true
    }

    /// Opens a level with these candidates, and with those of the `inherited` excluded nodes that are adjacent to
    /// `branch` and to a candidate. Returns false if one of them is adjacent to all candidates: then no clique is
    /// maximal.
    #[inline(always)]
    fn open(&mut self, candidates: B, inherited: Range<usize>, branch: Option<usize>) -> bool {
        let start = self.excluded.len();
        let size = candidates.count();
        let (mut most, mut pivot) = (0, None);
        let mut covered = candidates.clone();
        covered.words_mut().fill(0);
        for index in inherited {
            let excluded = self.excluded[index];
            let row = &self.rows[excluded as usize];
            if branch.is_some_and(|branch| !row.contains(branch)) {
                continue;
            }
            let common = row.intersection(&candidates);
            let count = common.count();
            if count == 0 {
                continue;
            }
            if count == size {
                self.excluded.truncate(start);
                return false;
            }
            covered.add(&common);
            self.excluded.push(excluded);
            if count > most {
                (most, pivot) = (count, Some(excluded as usize));
            }
        }
        // The pivot is adjacent to the most candidates. These need no branch: a clique of neighbors of the pivot alone
        // could be extended by the pivot.
        let mut rest = candidates.clone();
        while most + 1 < size
            && let Some(candidate) = rest.pop_first()
        {
            let count = self.rows[candidate].intersection_count(&candidates);
            if count > most {
                (most, pivot) = (count, Some(candidate));
            }
        }
        let mut branches = candidates.clone();
        if let Some(pivot) = pivot {
            branches.subtract(&self.rows[pivot]);
        }
        self.levels.push(Level { candidates, branches, covered, excluded: start });
        true
    }
}

impl<B: Bits> Level<B> {
    /// Excludes `branch`, all of whose cliques were found.
    #[inline(always)]
    fn exclude(&mut self, branch: usize, rows: &[B], excluded: &mut Vec<u32>) {
        self.candidates.remove(branch);
        self.covered.add(&rows[branch]);
        excluded.push(branch as u32);
    }
}
