//! Brings the graph of a world to hold a batch.

use bevy_ecs::{
    change_detection::DetectChangesMut,
    component::{Component, ComponentId},
    entity::Entity,
    world::World,
};
use connectome_components::{Edge, EdgeWeight, Graph, InSubgraph, Rows, attach_fields, insert_default};

use super::{Batch, BatchError};

/// In no subgraph.
const NOWHERE: InSubgraph = InSubgraph(Entity::PLACEHOLDER);

/// Not wired yet.
const LOOSE: Edge = Edge { source: Entity::PLACEHOLDER, target: Entity::PLACEHOLDER };

impl Batch {
    /// Brings a graph of a training world to hold exactly this batch: as many nodes, edges and subgraphs, wired and
    /// weighed as here, and in the batch's fields its numbers.
    ///
    /// Row `i` of every column of the nodes is node `i` of the batch, and so for edges and subgraphs. The entities are
    /// those of the batch before, as far as they suffice; which of them stands for which row means nothing. Only what is
    /// missing is spawned, and the last rows that are too many are despawned, so there are exactly as many as in the batch.
    /// All nodes are given an [`InSubgraph`], which names no subgraph where there is none, and edges without weights the
    /// weight 1 if others have had one: so all stay in one table.
    ///
    /// New nodes, edges and subgraphs are given the graph's component by [`insert_default`]: a component of the user's
    /// must have been told to [`register_default`](connectome_components::register_default). Fields that the batch does
    /// not fill are 0 for new entities and keep what they held for others. Writing fields leaves their change ticks alone;
    /// edges and memberships that differ are marked as changed, and the topology follows in the next run of the graph's
    /// schedules.
    ///
    /// # Errors
    /// If the entity is no graph of this world, the batch has fields of another graph or world, or the graph's components
    /// cannot be made: then nothing is changed. If hooks or observers despawn or move what is loaded.
    pub fn load(&self, world: &mut World, graph: Entity) -> Result<(), BatchError> {
        let graph = world.get::<Graph>(graph).copied().ok_or(BatchError::NoGraph(graph))?;
        graph.check(world)?;
        self.buffers.iter().try_for_each(|buffer| buffer.check(world, &graph))?;
        let edge = world.register_component::<Edge>();
        let subgraphs = Kind { marker: graph.subgraphs, component: graph.subgraphs, count: self.subgraphs.rows.len() };
        let nodes = Kind { marker: graph.nodes, component: graph.nodes, count: self.nodes.rows.len() };
        let edges = Kind { marker: graph.edges, component: edge, count: self.endpoints.len() };
        for kind in [&subgraphs, &nodes, &edges] {
            kind.mark(world, &[])?;
        }

        let subgraphs = subgraphs.resize(world, |world| world.spawn_empty().id())?;
        let nodes = nodes.resize(world, |world| world.spawn(NOWHERE).id()).and_then(|rows| {
            // Nodes of the user's own may be there already.
            nodes.complete(world, rows, NOWHERE)
        })?;
        let mut edge_rows = edges.resize(world, |world| world.spawn(LOOSE).id())?;
        let had_weights = edge_rows.components::<EdgeWeight>(world).any(|(_, weights)| !weights.is_empty());
        if had_weights || !self.weights.is_empty() {
            edge_rows = edges.complete(world, edge_rows, EdgeWeight(1.0))?;
        }

        self.place_nodes(world, &nodes, &subgraphs)?;
        self.wire_edges(world, &edge_rows, &nodes)?;
        let written = self.buffers.iter().all(|buffer| buffer.write(world));
        written.then_some(()).ok_or(BatchError::Disturbed)
    }

    fn place_nodes(&self, world: &mut World, nodes: &Rows, subgraphs: &Rows) -> Result<(), BatchError> {
        let mut query = world.query::<&mut InSubgraph>();
        let mut places = query.iter_many_mut(world, nodes.entities());
        for number in &self.subgraph_of {
            let subgraph = subgraphs.entities().get(*number as usize);
            let Some(Ok(mut place)) = places.fetch_next() else { return Err(BatchError::Disturbed) };
            place.set_if_neq(subgraph.copied().map_or(NOWHERE, InSubgraph));
        }
        Ok(())
    }

    fn wire_edges(&self, world: &mut World, edges: &Rows, nodes: &Rows) -> Result<(), BatchError> {
        let node = |number: u32| nodes.entities().get(number as usize).copied().ok_or(BatchError::Disturbed);
        let mut query = world.query::<(&mut Edge, Option<&mut EdgeWeight>)>();
        let mut places = query.iter_many_mut(world, edges.entities());
        for (number, [source, target]) in self.endpoints.iter().enumerate() {
            let Some(Ok((mut edge, weight))) = places.fetch_next() else { return Err(BatchError::Disturbed) };
            edge.set_if_neq(Edge { source: node(*source)?, target: node(*target)? });
            if let Some(mut weight) = weight {
                weight.set_if_neq(EdgeWeight(self.weights.get(number).copied().unwrap_or(1.0)));
            }
        }
        Ok(())
    }
}

/// The nodes, the edges or the subgraphs of a graph, and how many there are to be.
struct Kind {
    /// What makes them the graph's.
    marker: ComponentId,
    /// What they must carry beside it; the marker itself if nothing.
    component: ComponentId,
    count: usize,
}

impl Kind {
    /// Makes entities the graph's. Only an edge may carry what it needs already.
    fn mark(&self, world: &mut World, entities: &[Entity]) -> Result<(), BatchError> {
        if world.component_id::<Edge>() == Some(self.marker) {
            return Ok(());
        }
        Ok(insert_default(world, entities, self.marker)?)
    }

    /// Spawns what is missing and despawns what is too much, from the last row on.
    fn resize(&self, world: &mut World, spawn: impl Fn(&mut World) -> Entity) -> Result<Rows, BatchError> {
        let mut rows = Rows::default();
        rows.update(world, &[self.marker, self.component]);
        for entity in rows.entities().iter().skip(self.count).rev() {
            // What is dead already was despawned with another, by a hook of the user's.
            _ = world.try_despawn(*entity);
        }
        let new: Vec<Entity> = (rows.len()..self.count).map(|_| spawn(world)).collect();
        self.mark(world, &new)?;
        attach_fields(world, self.marker);
        self.update(world, rows)
    }

    /// Gives a component to those that lack it.
    fn complete<C: Component + Copy>(&self, world: &mut World, rows: Rows, component: C) -> Result<Rows, BatchError> {
        let lacking = without::<C>(world, &rows);
        if lacking.is_empty() {
            return Ok(rows);
        }
        for entity in lacking {
            if let Ok(mut entity) = world.get_entity_mut(entity) {
                entity.insert(component);
            }
        }
        self.update(world, rows)
    }

    fn update(&self, world: &World, mut rows: Rows) -> Result<Rows, BatchError> {
        rows.update(world, &[self.marker, self.component]);
        if rows.len() == self.count { Ok(rows) } else { Err(BatchError::Disturbed) }
    }
}

/// The entities of tables without a component.
fn without<C: Component>(world: &World, rows: &Rows) -> Vec<Entity> {
    let pieces = rows.components::<C>(world).filter(|(_, components)| components.is_empty());
    pieces.flat_map(|(piece, _)| &rows.entities()[piece]).copied().collect()
}
