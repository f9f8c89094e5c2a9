//! The nodes of a directed acyclic graph, level by level.

use bevy_ecs::entity::Entity;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// The direction in which a network passes through a directed acyclic graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Direction {
    /// Along the edges: from nodes without incoming edges, such as the leaves of a term whose edges lead from child to
    /// parent.
    #[default]
    Forward,
    /// Against the edges: from nodes without outgoing edges, such as the root of that term.
    Reverse,
}

impl Direction {
    /// The other direction.
    pub fn opposite(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

/// The nodes by levels: 0 for a node without predecessors, 1 + the greatest level of its predecessors for another.
///
/// Nodes of one level do not depend on each other. It is derived with the [`Topology`](crate::Topology), for each
/// [`Direction`] that a model requires, in `O(N + E)`, and takes 4 bytes for each node and each level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The direction: predecessors are sources of incoming edges, or targets of outgoing ones.
    pub direction: Direction,
    /// The rows of the nodes, level by level, each level in the order of keys, `[N]`; empty if there is a cycle.
    pub rows: Vec<u32>,
    /// The nodes of level `l` are `rows[offsets[l]..offsets[l + 1]]`; one more than there are levels.
    pub offsets: Vec<u32>,
    /// Whether [`Levels::rows`] are all rows in their order: then a level is a range of rows.
    pub is_sorted: bool,
    /// Whether the rows of each level ascend.
    pub is_ascending: bool,
    /// The cycle because of which there are no levels, if there is one.
    pub cycle: Option<Cycle>,
}

/// A cycle of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Its nodes along the edges: the first [`Cycle::MAX_NODES`] of them.
    pub nodes: Vec<Entity>,
    /// Number of its nodes; 1 for a self-loop.
    pub length: usize,
}

impl Cycle {
    /// How many nodes of a long cycle are kept.
    pub const MAX_NODES: usize = 8;
}

impl Levels {
    /// Number of levels; 0 for a graph without nodes.
    pub fn count(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Where the rows of a level are in [`Levels::rows`].
    ///
    /// # Panics
    /// If there is no such level.
    #[inline]
    pub fn range(&self, level: usize) -> Range<usize> {
        self.offsets[level] as usize..self.offsets[level + 1] as usize
    }
}
