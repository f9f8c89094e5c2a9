//! Components of nodes.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

use crate::GraphKey;

/// Marks an entity as a node. A graph has all entities with this component, or with one of your own
/// (see [`Graph`](crate::Graph)).
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[require(GraphKey)]
pub struct GraphNode;

/// The class of a node, counted from 0.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[repr(transparent)]
pub struct ClassLabel(pub u32);

/// The color of a node after color refinement, counted from 0: refinement does not distinguish nodes of one graph with
/// the same color. Written by the system `refine_colors`.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[repr(transparent)]
pub struct NodeColor(pub u32);

/// The split that a row belongs to. It is data, not a marker component, so that all nodes stay in one table.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[repr(u8)]
pub enum Split {
    /// In no split; its label is never read.
    #[default]
    Unused = 0,
    /// For training.
    Train,
    /// For early stopping and the selection of the epoch.
    Validation,
    /// For the reported metrics.
    Test,
}

impl Split {
    /// The splits that are measured, in the order of reports.
    pub const MEASURED: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name, as reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}
