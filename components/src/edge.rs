//! Edges, which are entities: any number may connect two nodes, and each may carry data.

use bevy_ecs::{
    component::Component,
    entity::{Entity, MapEntities},
};
use serde::{Deserialize, Serialize};

/// A directed edge, along which messages are sent from `source` to `target`.
///
/// Parallel edges may carry a [`GraphKey`](crate::GraphKey), which orders them; see there.
///
/// The endpoints are plain entities: bevy's relationships are one-to-many and slow to despawn on hubs. Change them in
/// place to rewire the edge. An edge with an endpoint that is dead or not a node is *dangling*: it carries no messages,
/// counts in no degree, and is counted in [`Topology::dangling`](crate::Topology::dangling).
#[derive(Component, MapEntities, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[component(summary_tick)]
pub struct Edge {
    /// The node that sends messages.
    #[entities]
    pub source: Entity,
    /// The node that receives them.
    #[entities]
    pub target: Entity,
}

/// The weight of an edge; 1 without this component.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[component(summary_tick)]
pub struct EdgeWeight(pub f32);

/// The kind of an edge, counted from 0, for algorithms that distinguish kinds; 0 without this component.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[repr(transparent)]
pub struct EdgeKind(pub u32);

/// The position of an edge among those of its kind at its target, counted from 0, where their order counts: which child of
/// an expression the source is. 0 without this component.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[repr(transparent)]
pub struct EdgePosition(pub u32);
