//! Edit distances between graphs.

use bevy_ecs::{
    component::Component,
    entity::{Entity, MapEntities},
};
use serde::{Deserialize, Serialize};

/// Two graphs to compare; the result is an [`EditDistance`] on the same entity.
#[derive(Component, MapEntities, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct GraphPair {
    /// The entities of two [`Graph`](crate::Graph)s: the one that is edited, and the result of the edits.
    #[entities]
    pub graphs: [Entity; 2],
}

/// Bounds on the minimum cost of the edits from the first graph of a [`GraphPair`] to the second. The system
/// `compare_graphs` writes it when a graph has changed, and removes it when one of them was despawned.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct EditDistance {
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
}

impl EditDistance {
    /// Whether the bounds are equal.
    pub fn is_exact(&self) -> bool {
        self.lower == self.upper
    }
}
