//! Edges are entities of their own, so that there may be any number between two nodes and each may carry data.

use bevy_ecs::{component::Component, entity::Entity};
use serde::{Deserialize, Serialize};

/// A directed edge, along which messages go from `source` to `target`.
///
/// The endpoints are plain entities: bevy's relationships are one-to-many and slow to tear down on hubs. Change them in place
/// to rewire the edge. An edge one of whose endpoints is dead or no node is *dangling*: it carries no messages, does not
/// count in any degree, and is counted in [`Topology::dangling`](crate::Topology::dangling).
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(summary_tick)]
pub struct Edge {
    /// Where messages come from.
    pub source: Entity,
    /// Where they go to.
    pub target: Entity,
}

/// The weight of an edge; 1 where there is none.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[component(summary_tick)]
pub struct EdgeWeight(pub f32);

/// The kind of an edge, counted from 0, for algorithms that distinguish kinds; 0 where there is none.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(transparent)]
pub struct EdgeKind(pub u32);
