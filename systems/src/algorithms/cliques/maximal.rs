//! Cliques that are part of no larger one.

use core::ops::Range;

use super::{
    bits::Bits,
    ordered::{Numbers, Ordered, read_all},
    ordered_output::Sink,
};

/// What one worker needs to find the maximal cliques of one root after the other, in sets of kind `B`.
///
/// This is the algorithm of Bron and Kerbosch (1973) with the pivots of Tomita, Tanaka and Takahashi (2006), below each
/// node in a degeneracy order (Eppstein, Löffler and Strash 2010), without recursion: a clique may be as large as the graph.
pub(super) struct MaximalSearch<B> {
    /// Whose rows these are.
    root: Option<usize>,
    /// Whether no earlier neighbor of the root is joined to all later ones; else no clique is maximal.
    is_open: bool,
    /// Over the later neighbors of the root: the neighbors of each of them, then those of earlier neighbors of the root.
    rows: Vec<B>,
    /// Who makes cliques not maximal: those joined to all of the path who were searched before. Of each level of the search
    /// its own, one after the other.
    excluded: Vec<u32>,
    levels: Vec<Level<B>>,
    /// The numbers of those who come after the root on the way to the level that is searched.
    path: Vec<u32>,
}

/// A step of the search: the path as it is, and who may be added to it.
struct Level<B> {
    /// Who is joined to all of the path and was not searched yet.
    candidates: B,
    /// Those of them by whom the search goes on; all maximal cliques contain one.
    branches: B,
    /// The candidates that an excluded one is joined to.
    covered: B,
    /// Where its own begin in [`MaximalSearch::excluded`].
    excluded: usize,
}

impl<B> Default for MaximalSearch<B> {
    fn default() -> Self {
        let (rows, excluded, levels, path) = Default::default();
        Self { root: None, is_open: false, rows, excluded, levels, path }
    }
}

impl<B: Bits> MaximalSearch<B> {
    /// Gives `sink` the maximal cliques whose first node is `root`, or those among them by which the search
    /// goes on from these later neighbors. Returns false if the sink wanted no more.
    #[inline(always)]
    pub fn search(
        &mut self,
        graph: &Ordered,
        root: usize,
        branches: Option<Range<usize>>,
        numbers: &mut Numbers,
        sink: &mut impl Sink,
    ) -> bool {
        let members = graph.later(root);
        let node = |number: usize| graph.order[members[number] as usize];
        if members.is_empty() {
            if graph.earlier(root).is_empty() {
                sink.add(graph.order[root], &B::empty(0), node);
            }
            return true;
        }
        // Branches of one root come one after the other.
        if self.root != Some(root) {
            self.is_open = read_all(graph, root, numbers, &mut self.rows);
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
                    level.leave(branch, &self.rows, &mut self.excluded);
                }
                if !range.contains(&branch) {
                    level.branches.remove(branch);
                }
            }
        }
        self.go_on(graph.order[root], B::empty(members.len()), node, sink)
    }

    /// Searches all levels that are open. `clique` is the path as a set.
    #[inline(always)]
    fn go_on(&mut self, root: u32, mut clique: B, node: impl Fn(usize) -> u32, sink: &mut impl Sink) -> bool {
        while let Some(level) = self.levels.last_mut() {
            let Some(branch) = level.branches.pop_first() else {
                self.excluded.truncate(level.excluded);
                self.levels.pop();
                if let (Some(branch), Some(level)) = (self.path.pop(), self.levels.last_mut()) {
                    clique.remove(branch as usize);
                    level.leave(branch as usize, &self.rows, &mut self.excluded);
                }
                continue;
            };
            let candidates = level.candidates.common(&self.rows[branch]);
            if candidates.is_empty() {
                if !level.covered.contains(branch) {
                    clique.insert(branch);
                    sink.add(root, &clique, &node);
                    clique.remove(branch);
                }
                level.leave(branch, &self.rows, &mut self.excluded);
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
                level.leave(branch, &self.rows, &mut self.excluded);
            }
        }
        true
    }

    /// Opens a level with these candidates, and with those of the `inherited` excluded ones who are joined to `branch` and
    /// to a candidate. Returns false if one of them is joined to all candidates: then there is no maximal clique.
    #[inline(always)]
    fn open(&mut self, candidates: B, inherited: Range<usize>, branch: Option<usize>) -> bool {
        let start = self.excluded.len();
        let size = candidates.count();
        let (mut most, mut pivot) = (0, None);
        let mut covered = candidates.clone();
        covered.words_mut().fill(0);
        for place in inherited {
            let excluded = self.excluded[place];
            let row = &self.rows[excluded as usize];
            if branch.is_some_and(|branch| !row.contains(branch)) {
                continue;
            }
            let common = row.common(&candidates);
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
        // The pivot is who is joined to most candidates: none of these need be searched, since a clique of the pivot's
        // neighbors alone could be added to by the pivot.
        let mut rest = candidates.clone();
        while most + 1 < size
            && let Some(candidate) = rest.pop_first()
        {
            let count = self.rows[candidate].count_common(&candidates);
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
    /// All cliques with `branch` were found: from now on it is excluded.
    #[inline(always)]
    fn leave(&mut self, branch: usize, rows: &[B], excluded: &mut Vec<u32>) {
        self.candidates.remove(branch);
        self.covered.add(&rows[branch]);
        excluded.push(branch as u32);
    }
}
