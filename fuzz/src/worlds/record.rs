//! What a world ought to hold, in the order of birth.

use bevy_ecs::entity::{Entity, EntityHashMap};

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

impl Record {
    /// Puts others in the place of entities.
    pub fn replace(&mut self, replaced: &EntityHashMap<Entity>) {
        let Self { nodes, edges, subgraphs } = self;
        let nodes = nodes.iter_mut().map(|node| &mut node.entity);
        let edges = edges.iter_mut().flat_map(|edge| [&mut edge.entity, &mut edge.source, &mut edge.target]);
        let subgraphs = subgraphs.iter_mut().map(|subgraph| &mut subgraph.entity);
        for entity in nodes.chain(edges).chain(subgraphs) {
            *entity = replaced.get(entity).copied().unwrap_or(*entity);
        }
    }
}
