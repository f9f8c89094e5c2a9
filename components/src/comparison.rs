//! How unlike two graphs are.

use bevy_ecs::{component::Component, entity::Entity};

/// Asks how unlike two graphs are; the answer stands beside it, in [`EditDistance`].
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphPair {
    /// The entities of two [`Graph`](crate::Graph)s: the one that is changed, and the one that it is to become.
    pub graphs: [Entity; 2],
}

/// What it costs at least to make the first graph of a [`GraphPair`] into the second, as far as it is known. The system
/// `compare_graphs` writes it when a graph has changed, and takes it away when one of them is gone.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct EditDistance {
    /// It is no less.
    pub lower: f64,
    /// It is no more.
    pub upper: f64,
}

impl EditDistance {
    /// Whether the bounds have met.
    pub fn is_exact(&self) -> bool {
        self.lower == self.upper
    }
}
