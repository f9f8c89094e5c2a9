//! Subgraphs, each with a readout.

use bevy_ecs::{
    component::Component,
    entity::{Entity, MapEntities},
};
use serde::{Deserialize, Serialize};

use crate::GraphKey;

/// Marks an entity as a subgraph, whose nodes readouts aggregate. In a batch it is one of the disjoint graphs, in a
/// game a squad or a room.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[require(GraphKey)]
pub struct Subgraph;

/// The subgraph that a node belongs to.
///
/// A node without this component, or whose entity here is dead or not a subgraph of the graph, is in none. Change it
/// in place to move the node.
#[derive(Component, MapEntities, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[component(summary_tick)]
pub struct InSubgraph(#[entities] pub Entity);
