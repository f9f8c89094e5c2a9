//! Cliques of one size.

use core::ops::Range;

use super::{
    bits::Bits,
    ordered::{Numbers, Ordered, read_later},
    ordered_output::Sink,
};

/// What one worker needs to find the cliques of one size below one root after the other, in sets of kind `B`.
///
/// As in kClist (Danisch, Balalau and Sozio 2018) each clique is found once, from its first node in a degeneracy order, in
/// a subgraph that gets smaller by each node; here the subgraph of a root is a matrix of bits, and one that is smaller is a
/// set of its rows.
pub(super) struct SizedSearch<B> {
    root: Option<usize>,
    /// The neighbors of each of the later neighbors of the root among them.
    rows: Vec<B>,
    /// For the root and each node of the path who may still come after it.
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
    /// Gives `sink` the cliques of `size` nodes whose first is `root`, or those among them whose second is one
    /// of these later neighbors. Returns false if the sink wanted no more.
    #[inline(always)]
    pub fn search(
        &mut self,
        graph: &Ordered,
        root: usize,
        branches: Option<Range<usize>>,
        size: usize,
        numbers: &mut Numbers,
        sink: &mut impl Sink,
    ) -> bool {
        let members = graph.later(root);
        if size == 0 || members.len() + 1 < size {
            return true;
        }
        let node = |number: usize| graph.order[members[number] as usize];
        let root_node = graph.order[root];
        self.path.clear();
        let mut first = B::full(members.len());
        let branches = branches.unwrap_or(0..members.len());
        (0..branches.start).for_each(|earlier| first.remove(earlier));
        if size == 1 {
            if branches.start == 0 {
                sink.add(root_node, &B::empty(members.len()), node);
            }
            return true;
        }
        if size == 2 {
            (branches.end..members.len()).for_each(|later| first.remove(later));
            sink.add_each(root_node, &[], &first, node);
            return true;
        }
        if self.root != Some(root) {
            read_later(graph, root, numbers, &mut self.rows);
            self.root = Some(root);
        }
        self.levels.clear();
        self.levels.push(first);
        self.go_on(branches.end, root_node, size, node, sink)
    }

    /// Goes through all levels; in the first one only by branches below `end`.
    #[inline(always)]
    fn go_on(&mut self, end: usize, root: u32, size: usize, node: impl Fn(usize) -> u32, sink: &mut impl Sink) -> bool {
        while let Some(level) = self.levels.last_mut() {
            let wanted = size - 1 - self.path.len();
            let branch = if level.count() < wanted { None } else { level.pop_first() };
            let is_first = self.path.is_empty();
            let Some(branch) = branch.filter(|branch| !is_first || *branch < end) else {
                self.levels.pop();
                self.path.pop();
                continue;
            };
            let rest = level.common(&self.rows[branch]);
            if sink.is_over() {
                return false;
            }
            self.path.push(node(branch));
            if wanted == 2 {
                sink.add_each(root, &self.path, &rest, &node);
                self.path.pop();
            } else {
                self.levels.push(rest);
            }
        }
        true
    }
}
