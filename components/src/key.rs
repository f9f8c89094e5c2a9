//! Keys, which order the nodes and subgraphs of a graph, and parallel edges.

use bevy_ecs::component::Component;
use core::sync::atomic::{AtomicU64, Ordering};
use serde::{Deserialize, Serialize};

/// The next key of an entity that was given none.
static NEXT: AtomicU64 = AtomicU64::new(GraphKey::GIVEN);

/// The place of a node or a subgraph in the order in which numbers are summed; optional for edges.
///
/// Floating-point sums depend on the order of their terms. Rows of tables change their order with the history of a
/// world, so sums follow keys: a node sums over its incoming edges by the key of the source; sums over all nodes or
/// subgraphs follow their keys, and those over all edges the keys of target and source. Parallel edges are ordered by
/// keys of their own if they have any, then by their weights, then by the indices of their entities.
///
/// By default it is the order of birth: later entities have greater keys, and an entity that is spawned again comes
/// last among its kind; an edge, which needs no key, takes its place again. Where entities are created again and have to be
/// the same, as in a saved game, in rollback, or on another peer, spawn them with a key of your own, as
/// `(GraphNode, GraphKey::new(7))`. Given keys come before those of birth. Keys of the nodes of one graph are distinct,
/// and so are those of its subgraphs.
///
/// A clone gets a key of its own, and a key that is read by serde stays the same. Nodes and subgraphs with a marker of
/// your own that lack a key when a schedule runs get one then, in the order of their indices.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[serde(from = "u64", into = "u64")]
#[component(summary_tick, clone_behavior = Ignore)]
#[repr(transparent)]
pub struct GraphKey(u64);

impl GraphKey {
    /// Given keys are below.
    const GIVEN: u64 = 1 << 63;

    /// A given key; of the number the lower 63 bits count.
    pub const fn new(number: u64) -> Self {
        Self(number & (Self::GIVEN - 1))
    }

    /// The number of a given key; none for a key of birth, whose number depends on all that the process has spawned.
    pub const fn given(self) -> Option<u64> {
        if self.0 < Self::GIVEN { Some(self.0) } else { None }
    }

    /// The key as an integer of the same order.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The key of [`GraphKey::to_bits`], perhaps of another process: entities born from now on have greater keys.
    pub fn from_bits(bits: u64) -> Self {
        if bits >= Self::GIVEN {
            NEXT.fetch_max(bits.saturating_add(1), Ordering::Relaxed);
        }
        Self(bits)
    }
}

impl From<u64> for GraphKey {
    fn from(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

impl From<GraphKey> for u64 {
    fn from(key: GraphKey) -> Self {
        key.to_bits()
    }
}

/// The next key in the order of birth.
impl Default for GraphKey {
    fn default() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The rows of a kind of entities in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOrder {
    /// Whether the order of keys differs from that of rows; otherwise the rest is empty.
    pub is_permuted: bool,
    /// The rows in the order of keys, without dangling edges.
    pub rows: Vec<u32>,
    /// The place of each row in this order; [`KeyOrder::NO_RANK`] for a dangling edge.
    pub ranks: Vec<u32>,
}

impl KeyOrder {
    /// In [`KeyOrder::ranks`], for a row that is in no sum.
    pub const NO_RANK: u32 = u32::MAX;

    /// The rows in the order of keys; none if all rows are in this order.
    #[inline]
    pub fn permutation(&self) -> Option<&[u32]> {
        self.is_permuted.then_some(&self.rows)
    }

    /// All rows in the order of keys, of which there are `count`.
    pub fn in_order(&self, count: usize) -> Vec<u32> {
        self.permutation().map_or_else(|| (0..count as u32).collect(), <[u32]>::to_vec)
    }

    /// The place of a row in the order of keys.
    #[inline(always)]
    pub fn rank(&self, row: u32) -> u32 {
        if self.is_permuted { self.ranks[row as usize] } else { row }
    }
}
