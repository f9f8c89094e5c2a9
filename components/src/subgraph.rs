//! Parts of a graph that are read out one by one.

use bevy_ecs::{component::Component, entity::Entity};

/// Marks an entity as a subgraph: a part of a graph with a readout of its own. In a batch it is one of its disjoint
/// graphs, in a game a squad or a room.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subgraph;

/// The subgraph that a node belongs to.
///
/// A node without this component, or whose entity here is dead or no subgraph of the graph, belongs to none. Change it
/// in place to move the node.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[component(summary_tick)]
pub struct InSubgraph(pub Entity);
