//! What searches for cliques find.

use super::Completeness;

/// Cliques, one after the other in one list: each with its nodes in rising order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cliques {
    /// The nodes of clique `i` are `nodes[offsets[i]..offsets[i + 1]]`; `[C + 1]`.
    offsets: Vec<usize>,
    nodes: Vec<u32>,
    pub(super) completeness: Completeness,
}

impl Cliques {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes of one of them, in rising order.
    pub fn get(&self, number: usize) -> Option<&[u32]> {
        self.nodes.get(*self.offsets.get(number)?..*self.offsets.get(number + 1)?)
    }

    /// All, in the order of the search.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.array_windows().map(|[start, end]| &self.nodes[*start..*end])
    }

    /// Whether these are all, and if not, why.
    pub fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// Appends a clique: one node of it, and the others, which `add` appends in rising order.
    #[inline(always)]
    pub(super) fn push(&mut self, node: u32, add: impl FnOnce(&mut Vec<u32>)) {
        let start = self.nodes.len();
        add(&mut self.nodes);
        let place = self.nodes[start..].iter().position(|other| *other > node);
        match place {
            Some(place) => self.nodes.insert(start + place, node),
            None => self.nodes.push(node),
        }
        self.offsets.push(self.nodes.len());
    }

    /// Appends others.
    pub(super) fn append(&mut self, others: &Self) {
        let start = self.nodes.len();
        self.nodes.extend_from_slice(&others.nodes);
        self.offsets.extend(others.offsets[1..].iter().map(|offset| start + offset));
    }

    /// How many nodes stand in them together.
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
