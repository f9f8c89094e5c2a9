//! What a world ought to hold, in the order of birth.

use bevy_ecs::entity::Entity;

use super::recipe::Body;

/// A node that lives.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub entity: Entity,
    pub body: Body,
    pub label: u32,
    /// Its subgraph, by index.
    pub subgraph: Option<usize>,
    pub disabled: bool,
}

/// An edge that lives; its endpoints need not.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub entity: Entity,
    pub source: Entity,
    pub target: Entity,
    pub weight: Option<f32>,
    pub disabled: bool,
}

/// A subgraph.
#[derive(Clone, Copy, Debug)]
pub struct Subgraph {
    pub entity: Entity,
    pub disabled: bool,
}

/// Everything of a graph.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub subgraphs: Vec<Subgraph>,
}
