//! What is around a node, as numbers to compare.

use super::disjoint_union::DisjointUnion;
use crate::parallel::SplitRows;

/// A neighbor as a node sees it: its class, and the label of the edge to it if edges differ.
pub(super) trait Token: Copy + Default + Ord + Into<u64> + Send + Sync {
    /// Writes one for each neighbor, smallest first.
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]);
}

/// Classes alone.
impl Token for u32 {
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]) {
        for (token, neighbor) in tokens.iter_mut().zip(graph.neighbors(node)) {
            *token = classes[*neighbor as usize];
        }
        tokens.sort_unstable();
    }
}

/// Labels of edges, and classes.
impl Token for u64 {
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]) {
        let seen = graph.neighbors(node).iter().zip(graph.edge_labels(node));
        for (token, (neighbor, label)) in tokens.iter_mut().zip(seen) {
            *token = Self::from(*label) << 32 | Self::from(classes[*neighbor as usize]);
        }
        tokens.sort_unstable();
    }
}

/// A number that is the same for the same tokens, and seldom for others.
pub(super) fn digest<T: Token>(tokens: &[T]) -> u64 {
    // The multiplier of Steele and Vigna's linear congruential generators with 64 bits.
    const MULTIPLIER: u64 = 0xd134_2543_de82_ef95;
    let mut digest = tokens.len() as u64;
    for token in tokens {
        digest = (digest.rotate_left(23) ^ (*token).into()).wrapping_mul(MULTIPLIER);
        digest ^= digest >> 32;
    }
    digest
}

/// A node to be told apart from others of its class. Entries are sorted by class, by digest, and by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

impl Entry {
    /// Of the node whose tokens stand at `place`.
    pub fn new(class: u32, digest: u64, place: u32) -> Self {
        Self(u128::from(class) << 96 | u128::from(digest) << 32 | u128::from(place))
    }

    pub fn class(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// Class and digest.
    pub fn kind(self) -> u128 {
        self.0 >> 32
    }

    pub fn place(self) -> usize {
        self.0 as u32 as usize
    }
}

/// The tokens and entries of consecutive places.
pub(super) struct Signatures<'a, T> {
    pub tokens: &'a mut [T],
    pub entries: &'a mut [Entry],
    /// Where the tokens of each place begin and those of the last one end, counted from wherever.
    pub offsets: &'a [usize],
}

impl<T: Token> SplitRows for Signatures<'_, T> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (tokens, other_tokens) = self.tokens.split_at_mut(self.offsets[rows] - self.offsets[0]);
        let (entries, other_entries) = self.entries.split_at_mut(rows);
        let (offsets, other_offsets) = (&self.offsets[..=rows], &self.offsets[rows..]);
        (
            Self { tokens, entries, offsets },
            Self { tokens: other_tokens, entries: other_entries, offsets: other_offsets },
        )
    }
}
