//! Signatures of neighborhoods.

use super::disjoint_union::DisjointUnion;
use crate::parallel::SplitRows;

/// A neighbor in a signature: its class, and the label of the edge to it if there are several labels.
pub(super) trait Token: Copy + Default + Ord + Into<u64> + Send + Sync {
    /// Writes the tokens of the neighbors, sorted.
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]);
}

/// The class.
impl Token for u32 {
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]) {
        for (token, neighbor) in tokens.iter_mut().zip(graph.neighbors(node)) {
            *token = classes[*neighbor as usize];
        }
        tokens.sort_unstable();
    }
}

/// The label of the edge, and the class.
impl Token for u64 {
    fn write(graph: &DisjointUnion, node: u32, classes: &[u32], tokens: &mut [Self]) {
        let neighbors = graph.neighbors(node).iter().zip(graph.edge_labels(node));
        for (token, (neighbor, label)) in tokens.iter_mut().zip(neighbors) {
            *token = Self::from(*label) << 32 | Self::from(classes[*neighbor as usize]);
        }
        tokens.sort_unstable();
    }
}

/// A hash of a signature.
pub(super) fn hash<T: Token>(tokens: &[T]) -> u64 {
    // The multiplier of Steele and Vigna's linear congruential generators with 64 bits.
    const MULTIPLIER: u64 = 0xd134_2543_de82_ef95;
    let mut hash = tokens.len() as u64;
    for token in tokens {
        hash = (hash.rotate_left(23) ^ (*token).into()).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 32;
    }
    hash
}

/// A node to compare with others of its class. Entries are sorted by class, then hash, then index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

impl Entry {
    /// The entry of the node with the signature at `index`.
    pub fn new(class: u32, hash: u64, index: u32) -> Self {
        Self(u128::from(class) << 96 | u128::from(hash) << 32 | u128::from(index))
    }

    pub fn class(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// Class and hash.
    pub fn key(self) -> u128 {
        self.0 >> 32
    }

    pub fn index(self) -> usize {
        self.0 as u32 as usize
    }
}

/// The tokens and entries of consecutive nodes.
pub(super) struct Signatures<'a, T> {
    pub tokens: &'a mut [T],
    pub entries: &'a mut [Entry],
    /// The start of the tokens of each node and the end of the last one, up to a common offset.
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
