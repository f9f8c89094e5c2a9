//! Graphs, which are entities: they name the components of their nodes, edges and subgraphs.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    world::World,
};

use crate::{Edge, FieldError, GraphKey, GraphNode, Subgraph, Topology, field::check_storage};

/// A graph: its nodes are the entities with one component, its edges those with [`Edge`] and another, its subgraphs
/// those with a third.
///
/// Usually these are [`GraphNode`], [`Edge`] and [`Subgraph`] themselves. A game with several kinds of agents and of
/// relations makes one graph of each by naming its own components: `Graph::of::<Citizen, Friendship>(&mut world)`.
/// Edges between entities that are not nodes of the graph are dangling. All components must be in table storage, or
/// building a model on the graph is an error.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[require(Topology)]
pub struct Graph {
    /// The component that makes an entity a node of this graph.
    pub nodes: ComponentId,
    /// The component that makes an [`Edge`] one of this graph.
    pub edges: ComponentId,
    /// The component that makes an entity a subgraph of this graph, for nodes to be [`InSubgraph`](crate::InSubgraph).
    pub subgraphs: ComponentId,
}

impl Graph {
    /// Spawns the graph of all [`GraphNode`]s, [`Edge`]s and [`Subgraph`]s of the world.
    pub fn spawn(world: &mut World) -> Entity {
        Self::of::<GraphNode, Edge>(world)
    }

    /// Spawns the graph of the entities with component `N` and the edges with component `E`; its subgraphs are the
    /// entities with [`Subgraph`].
    ///
    /// From now on nodes are born with a [`GraphKey`], unless there were entities with `N` before: then they get it when a
    /// schedule runs.
    pub fn of<N: Component, E: Component>(world: &mut World) -> Entity {
        let (nodes, edges) = (world.register_component::<N>(), world.register_component::<E>());
        let subgraphs = world.register_component::<Subgraph>();
        // An error says that nodes have keys already, or that some exist without.
        let _ = world.try_register_required_components::<N, GraphKey>();
        world.spawn(Self { nodes, edges, subgraphs }).id()
    }

    /// Checks that the graph's components are in table storage.
    ///
    /// # Errors
    /// If one of them is in sparse-set storage.
    pub fn check(&self, world: &World) -> Result<(), FieldError> {
        [self.nodes, self.edges, self.subgraphs].into_iter().try_for_each(|component| check_storage(world, component))
    }
}
