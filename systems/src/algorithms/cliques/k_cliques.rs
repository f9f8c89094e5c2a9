//! Cliques of a given size.

use core::ops::Range;

use super::{
    bits::Bits,
    ordered::{LocalIndices, Ordered, read_later},
    ordered_output::Sink,
};

/// The reusable buffers of one worker's searches for cliques of a given size, with bit sets `B`.
///
/// As in kClist (Danisch, Balalau and Sozio 2018) each clique is found once, from its first node in a degeneracy order,
/// in subgraphs that shrink with each node. Here the subgraph of a root is an adjacency matrix of bits, and the smaller
/// ones are sets of its rows.
pub(super) struct SizedSearch<B> {
    root: Option<u32>,
    /// The adjacency among the later neighbors of the root.
    rows: Vec<B>,
    /// For the root and each node of the path, the candidates that remain after it.
    levels: Vec<B>,
    /// The nodes after the root.
    path: Vec<u32>,
}

impl<B> Default for SizedSearch<B> {
    fn default() -> Self {
        let (rows, levels, path) = Default::default();
        Self { root: None, rows, levels, path }
    }
}

impl<B: Bits> SizedSearch<B> {
    /// Passes to `sink` the cliques of `size` nodes whose first is `root`; with `branches`, only those whose second is
    /// one of these later neighbors. Returns false if the sink stopped the search.
    #[inline(always)]
    pub fn search(
        &mut self,
        graph: &Ordered,
        root: u32,
        branches: Option<Range<usize>>,
        size: usize,
        indices: &mut LocalIndices,
        sink: &mut impl Sink,
    ) -> bool {
        let members = graph.later(root);
        if size == 0 || members.len() + 1 < size {
            return true;
        }
        let node = |index: usize| members[index];
        self.path.clear();
        let mut first = B::full(members.len());
        let branches = branches.unwrap_or(0..members.len());
        (0..branches.start).for_each(|earlier| first.remove(earlier));
        if size == 1 {
            if branches.start == 0 {
                sink.add(root, &B::empty(members.len()), node);
            }
            return true;
        }
        if size == 2 {
            (branches.end..members.len()).for_each(|later| first.remove(later));
            sink.add_each(root, &[], &first, node);
            return true;
        }
        if self.root != Some(root) {
            read_later(graph, root, indices, &mut self.rows);
            self.root = Some(root);
        }
        self.levels.clear();
        self.levels.push(first);
        self.search_levels(branches.end, root, size, node, sink)
    }

    /// Searches all levels; the first one only at branches below `end`.
    #[inline(always)]
    fn search_levels(
        &mut self,
        end: usize,
        root: u32,
        size: usize,
        node: impl Fn(usize) -> u32,
        sink: &mut impl Sink,
    ) -> bool {
        while let Some(level) = self.levels.last_mut() {
            let missing = size - 1 - self.path.len();
            let branch = if level.count() < missing { None } else { level.pop_first() };
            let is_first = self.path.is_empty();
            let Some(branch) = branch.filter(|branch| !is_first || *branch < end) else {
                self.levels.pop();
                self.path.pop();
                continue;
            };
            let rest = level.intersection(&self.rows[branch]);
            if sink.is_over() {
                return false;
            }
            self.path.push(node(branch));
            if missing == 2 {
                sink.add_each(root, &self.path, &rest, &node);
                self.path.pop();
            } else {
                self.levels.push(rest);
            }
        }
        true
    }
}
