//! Graphs, which are entities: they name the components of their nodes, edges and subgraphs.

use bevy_ecs::{
    component::{Component, ComponentId},
    entity::Entity,
    world::World,
};

use crate::{Edge, FieldError, GraphKey, GraphNode, Subgraph, Topology, field::check_storage, register_default};

/// A graph: its nodes are the entities with one component, its edges those with [`Edge`] and another, its subgraphs
/// those with a third.
///
/// Usually these are [`GraphNode`], [`Edge`] and [`Subgraph`] themselves. A game with several kinds of agents and of
/// relations makes one graph of each by naming its own components: `Graph::of::<Citizen, Friendship>(&mut world)`.
/// Edges between entities that are not nodes of the graph are dangling. All components must be in table storage, or
/// building a model on the graph is an error.
///
/// A *relation* is a graph whose edges lead from one kind of nodes to another:
/// `Graph::relation::<Author, Writes, Paper>(&mut world)`. A model of several kinds passes messages along as many of them as
/// it has; see `ModelBuilder::relation` in `connectome_systems`.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
#[require(Topology)]
pub struct Graph {
    /// The component that makes an entity a node of this graph, which receives messages.
    pub nodes: ComponentId,
    /// The component that makes an entity a source of messages: that of the nodes or, in a relation, of another kind.
    pub sources: ComponentId,
    /// The component that makes an [`Edge`] one of this graph.
    pub edges: ComponentId,
    /// The component that makes an entity a subgraph of this graph, for nodes to be [`InSubgraph`](crate::InSubgraph).
    pub subgraphs: ComponentId,
    /// Whether messages are sent from the target of each edge to its source.
    pub is_reversed: bool,
}

/// The component of edges that no entity has.
#[derive(Component, Clone, Default)]
struct NoEdge;

impl Graph {
    /// The graph of the entities with these components: nodes, edges and subgraphs.
    pub fn new(nodes: ComponentId, edges: ComponentId, subgraphs: ComponentId) -> Self {
        Self { nodes, sources: nodes, edges, subgraphs, is_reversed: false }
    }

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
        Self::relation::<N, E, N>(world)
    }

    /// Spawns the relation along whose edges, those with component `E`, the entities with component `S` send messages to those
    /// with component `T`; both get keys as in [`Graph::of`]. Its nodes are the latter.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use connectome_components::{Edge, Graph};
    ///
    /// #[derive(Component)]
    /// struct Author;
    /// #[derive(Component)]
    /// struct Paper;
    /// #[derive(Component)]
    /// struct Writes;
    ///
    /// let mut world = World::new();
    /// let writes = Graph::relation::<Author, Writes, Paper>(&mut world);
    /// let written_by = Graph::reversed(&mut world, writes).unwrap();
    /// let (author, paper) = (world.spawn(Author).id(), world.spawn(Paper).id());
    /// world.spawn((Edge { source: author, target: paper }, Writes));
    /// assert_eq!(world.component_id::<Author>(), Some(world.get::<Graph>(written_by).unwrap().nodes));
    /// ```
    pub fn relation<S: Component, E: Component, T: Component>(world: &mut World) -> Entity {
        let (sources, nodes) = (world.register_component::<S>(), world.register_component::<T>());
        let (edges, subgraphs) = (world.register_component::<E>(), world.register_component::<Subgraph>());
        // An error says that nodes have keys already, or that some exist without.
        let _ = world.try_register_required_components::<S, GraphKey>();
        let _ = world.try_register_required_components::<T, GraphKey>();
        world.spawn(Self { nodes, sources, edges, subgraphs, is_reversed: false }).id()
    }

    /// Spawns the graph along which messages are sent from the target of each edge of another graph to its source; none if
    /// the entity is no graph. No edges are added.
    pub fn reversed(world: &mut World, graph: Entity) -> Option<Entity> {
        let Self { nodes, sources, is_reversed, .. } = *world.get::<Self>(graph)?;
        let reversed = Self { nodes: sources, sources: nodes, is_reversed: !is_reversed, ..*world.get::<Self>(graph)? };
        Some(world.spawn(reversed).id())
    }

    /// A graph with the nodes and the subgraphs of this one, and without edges.
    pub fn without_edges(self, world: &mut World) -> Self {
        Self { sources: self.nodes, edges: register_default::<NoEdge>(world), is_reversed: false, ..self }
    }

    /// Whether it was made by [`Graph::without_edges`].
    pub fn is_without_edges(&self, world: &World) -> bool {
        world.component_id::<NoEdge>() == Some(self.edges)
    }

    /// Whether its edges lead from one kind of nodes to another.
    pub fn is_relation(&self) -> bool {
        self.sources != self.nodes
    }

    /// Checks that the graph's components are in table storage.
    ///
    /// # Errors
    /// If one of them is in sparse-set storage.
    pub fn check(&self, world: &World) -> Result<(), FieldError> {
        let components = [self.sources, self.nodes, self.edges, self.subgraphs];
        components.into_iter().try_for_each(|component| check_storage(world, component))
    }
}
