//! What a node may carry beside its fields.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

/// Marks an entity as a node. A graph takes all entities with this component, or with one of the user's own
/// (see [`Graph`](crate::Graph)).
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphNode;

/// The class of a node, counted from 0.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(transparent)]
pub struct ClassLabel(pub u32);

/// What color refinement calls a node, counted from 0: nodes of one graph with the same color cannot be told apart by
/// their neighbors, those neighbors' neighbors and so on. Written by the system `refine_colors`.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NodeColor(pub u32);

/// Which part of the data a node belongs to. It is data and no marker component, so that all nodes stay in one table.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Split {
    /// In none: its label is never read.
    #[default]
    Unused = 0,
    /// The loss is taken here.
    Train,
    /// The epoch to keep is chosen here.
    Validation,
    /// The accuracy to report is measured here.
    Test,
}
