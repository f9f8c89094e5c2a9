//! Lists of cliques.

use super::Completeness;

/// A list of cliques, stored contiguously, each with its nodes in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cliques {
    /// The nodes of clique `i` are `nodes[offsets[i]..offsets[i + 1]]`; `[C + 1]`.
    offsets: Vec<usize>,
    nodes: Vec<u32>,
    pub(super) completeness: Completeness,
}

impl Cliques {
    /// Number of cliques.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes of clique `index`, in ascending order.
    pub fn get(&self, index: usize) -> Option<&[u32]> {
        self.nodes.get(*self.offsets.get(index)?..*self.offsets.get(index + 1)?)
    }

    /// The nodes of each clique, in the order of the search.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.array_windows().map(|[start, end]| &self.nodes[*start..*end])
    }

    /// Whether these are all, and if not, why.
    pub fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// Appends a clique of `node` and others, which `add` appends in ascending order.
    #[inline(always)]
    pub(super) fn push(&mut self, node: u32, add: impl FnOnce(&mut Vec<u32>)) {
        let start = self.nodes.len();
        add(&mut self.nodes);
        let next = self.nodes[start..].iter().position(|other| *other > node);
        match next {
            Some(next) => self.nodes.insert(start + next, node),
            None => self.nodes.push(node),
        }
        self.offsets.push(self.nodes.len());
    }

    /// Appends the cliques of another list.
    pub(super) fn append(&mut self, others: &Self) {
        let start = self.nodes.len();
        self.nodes.extend_from_slice(&others.nodes);
        self.offsets.extend(others.offsets[1..].iter().map(|offset| start + offset));
    }

    /// Total number of nodes of all cliques.
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn truncate(&mut self, cliques: usize) {
        if cliques < self.len() {
            self.offsets.truncate(cliques + 1);
            self.nodes.truncate(self.offsets[cliques]);
        }
    }

    pub(super) fn clear(&mut self) {
        self.truncate(0);
    }
}

impl Default for Cliques {
    fn default() -> Self {
        Self { offsets: vec![0], nodes: Vec::new(), completeness: Completeness::All }
    }
}
