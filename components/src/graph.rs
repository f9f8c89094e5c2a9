//! A graph as an entity: which nodes and edges of the world belong to it.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    world::World,
};

use crate::{Edge, FieldError, Node, Topology, field::check_storage};

/// The nodes of a graph are the entities with one component, its edges the entities with [`Edge`] and another.
///
/// Usually these are [`Node`] and [`Edge`] themselves. A game with several kinds of agents and of relations makes one
/// graph of each by naming its own components: `Graph::of::<Citizen, Friendship>(&mut world)`. Edges between entities
/// that are not the graph's nodes are dangling for it. Both components must be in table storage: a model on a graph of
/// others is refused.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[require(Topology)]
pub struct Graph {
    /// The component that makes an entity a node of this graph.
    pub nodes: ComponentId,
    /// The component that makes an [`Edge`] one of this graph.
    pub edges: ComponentId,
}

impl Graph {
    /// Spawns the graph of all [`Node`]s and [`Edge`]s of the world.
    pub fn spawn(world: &mut World) -> Entity {
        Self::of::<Node, Edge>(world)
    }

    /// Spawns the graph of the entities with component `N` and the edges with component `E`.
    pub fn of<N: Component, E: Component>(world: &mut World) -> Entity {
        let (nodes, edges) = (world.register_component::<N>(), world.register_component::<E>());
        world.spawn(Self { nodes, edges }).id()
    }

    /// Whether rows can be found by the graph's components.
    ///
    /// # Errors
    /// If one of them is in sparse-set storage.
    pub fn check(&self, world: &World) -> Result<(), FieldError> {
        check_storage(world, self.nodes)?;
        check_storage(world, self.edges)
    }
}
