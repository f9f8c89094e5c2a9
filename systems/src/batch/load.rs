//! Loading of batches into the graph of a world.

use bevy_ecs::{
    component::{Component, ComponentId, Mutable},
    entity::Entity,
    world::World,
};
use connectome_components::{
    Edge, EdgeWeight, Graph, GraphKey, InSubgraph, Rows, Topology, attach_fields, insert_default, table_components,
    table_components_mut,
};

use super::{Batch, BatchError, column::AnyBuffer};
use crate::parallel::Workers;

/// Rows between two passes of the gate of a lesson in slices.
const SLICE: usize = 2048;

/// The membership of a node in no subgraph.
const NO_SUBGRAPH: InSubgraph = InSubgraph(Entity::PLACEHOLDER);

/// An edge whose endpoints are not set yet.
const UNCONNECTED: Edge = Edge { source: Entity::PLACEHOLDER, target: Entity::PLACEHOLDER };

impl Batch {
    /// Loads this batch into a graph of a training world, which then has exactly its nodes, edges and subgraphs, with
    /// their endpoints, weights and fields.
    ///
    /// Row `i` of every column of the nodes is node `i` of the batch, and likewise for edges and subgraphs. The
    /// entities of the previous batch are reused, in any order; missing ones are spawned, and surplus ones are
    /// despawned from the last row on. To keep all in one table, all nodes get an [`InSubgraph`], a placeholder for
    /// those in no subgraph, and edges without weights get the weight 1 if others have one. If edges are parallel, all
    /// edges get keys, so that these stay in the order of the batch.
    ///
    /// New nodes, edges and subgraphs get the graph's component by [`insert_default`]: call
    /// [`register_default`](connectome_components::register_default) for a component of your own. Fields that the batch
    /// does not carry are 0 for new entities and unchanged for others. Change ticks of fields are not updated; edges
    /// and memberships of a table in which one differs are marked as changed, and the next run of a schedule of the graph
    /// updates the topology.
    ///
    /// # Errors
    /// If the entity is no graph of this world, the batch has fields of another graph or world or has left values in the corpus
    /// ([`Extract::load`](super::Extract::load)), or the graph's components cannot be inserted; the world is unchanged then.
    /// If hooks or observers despawn or move loaded entities.
    pub fn load(&self, world: &mut World, graph: Entity) -> Result<(), BatchError> {
        self.load_from(None, world, graph)
    }

    /// [`Batch::load`], with the corpus if values were left there.
    pub(super) fn load_from(&self, corpus: Option<&World>, world: &mut World, graph: Entity) -> Result<(), BatchError> {
        let entity = graph;
        let graph = world.get::<Graph>(entity).copied().ok_or(BatchError::NoGraph(entity))?;
        graph.check(world)?;
        self.buffers.iter().try_for_each(|buffer| buffer.check(world, &graph))?;
        if corpus.is_none() && self.buffers.iter().any(AnyBuffer::is_left) {
            return Err(BatchError::Left);
        }
        if self.sources.is_some() != graph.is_relation() {
            return Err(BatchError::OtherKinds(entity));
        }
        let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
        let edge = world.register_component::<Edge>();
        let subgraphs = Kind { marker: graph.subgraphs, component: graph.subgraphs, count: self.subgraphs.rows.len() };
        let nodes = Kind { marker: graph.nodes, component: graph.nodes, count: self.nodes.rows.len() };
        let edges = Kind { marker: graph.edges, component: edge, count: self.endpoints.len() };
        let sources =
            self.sources.map(|count| Kind { marker: graph.sources, component: graph.sources, count: count as usize });
        for kind in [&subgraphs, &nodes, &edges].into_iter().chain(&sources) {
            kind.mark(world, &[])?;
        }

        let subgraphs = subgraphs.resize(world, &workers, |world| world.spawn(GraphKey::default()).id())?;
        let nodes = nodes
            .resize(world, &workers, |world| world.spawn((NO_SUBGRAPH, GraphKey::default())).id())
            .and_then(|rows| {
                // Nodes spawned by the user may lack it.
                nodes.complete(world, rows, NO_SUBGRAPH)
            })?;
        let spawn_source = |world: &mut World| world.spawn((NO_SUBGRAPH, GraphKey::default())).id();
        let sources = sources.map(|sources| sources.resize(world, &workers, spawn_source)).transpose()?;
        // Without keys parallel edges would be ordered by the indices of entities, and these by what was loaded before.
        let has_parallels = self.endpoints.array_windows().any(|[one, other]| one == other);
        let mut edge_rows = edges.resize(world, &workers, |world| match has_parallels {
            true => world.spawn((UNCONNECTED, GraphKey::new(0))).id(),
            false => world.spawn(UNCONNECTED).id(),
        })?;
        let had_weights = edge_rows.components::<EdgeWeight>(world).any(|(_, weights)| !weights.is_empty());
        if had_weights || !self.weights.is_empty() {
            edge_rows = edges.complete(world, edge_rows, EdgeWeight(1.0))?;
        }
        let had_keys = edge_rows.components::<GraphKey>(world).any(|(_, keys)| !keys.is_empty());
        if had_keys || has_parallels {
            edge_rows = edges.complete(world, edge_rows, GraphKey::new(0))?;
        }

        if let Some(mut topology) = world.get_mut::<Topology>(entity) {
            topology.set_seeds(self.seeds);
        }
        workers.pass_gate();
        self.assign_subgraphs(world, &nodes, &subgraphs)?;
        let ends = [sources.as_ref().unwrap_or(&nodes), &nodes];
        let ends = if graph.is_reversed { [ends[1], ends[0]] } else { ends };
        self.connect_edges(world, &edge_rows, (ends, graph.is_reversed), &workers)?;
        workers.pass_gate();
        self.write_fields(corpus, world)
    }

    /// Writes the fields of the batch that was loaded last.
    ///
    /// # Errors
    /// If the graph does not have its rows any more.
    pub(crate) fn write_fields(&self, corpus: Option<&World>, world: &mut World) -> Result<(), BatchError> {
        let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
        let mut written = self.buffers.iter().map(|buffer| {
            let origins = buffer.domain().of_kinds([&self.nodes, &self.edges, &self.subgraphs]);
            buffer.write(world, &workers, corpus.map(|corpus| (corpus, &origins.rows[..])))
        });
        written.all(|written| written).then_some(()).ok_or(BatchError::Disturbed)
    }

    fn assign_subgraphs(&self, world: &mut World, nodes: &Rows, subgraphs: &Rows) -> Result<(), BatchError> {
        write_components(world, nodes, |row| {
            let subgraph = subgraphs.entities().get(*self.subgraph_of.get(row)? as usize);
            Some(subgraph.copied().map_or(NO_SUBGRAPH, InSubgraph))
        })
    }

    fn connect_edges(
        &self,
        world: &mut World,
        edges: &Rows,
        ([sources, targets], is_reversed): ([&Rows; 2], bool),
        workers: &Workers,
    ) -> Result<(), BatchError> {
        let [sources, targets] = [sources, targets].map(Rows::entities);
        write_components(world, edges, |row| {
            if row.is_multiple_of(SLICE) {
                workers.pass_gate();
            }
            let [source, target] = *self.endpoints.get(row)?;
            let [source, target] = if is_reversed { [target, source] } else { [source, target] };
            Some(Edge { source: *sources.get(source as usize)?, target: *targets.get(target as usize)? })
        })?;
        write_components(world, edges, |row| Some(EdgeWeight(self.weights.get(row).copied().unwrap_or(1.0))))?;
        write_components(world, edges, |row| Some(GraphKey::new(row as u64)))
    }
}

/// Writes the component of each row, in the tables that have it; those of a table in which none differs are not marked as
/// changed.
///
/// # Errors
/// If there is none for a row.
fn write_components<C: Component<Mutability = Mutable> + PartialEq>(
    world: &mut World,
    rows: &Rows,
    component: impl Fn(usize) -> Option<C>,
) -> Result<(), BatchError> {
    for (table, rows) in rows.tables() {
        let is_same = |(row, known): (usize, &C)| component(row).is_some_and(|component| component == *known);
        if rows.clone().zip(table_components::<C>(world, *table)).all(is_same) {
            continue;
        }
        for (row, known) in rows.clone().zip(table_components_mut::<C>(world, *table)) {
            *known = component(row).ok_or(BatchError::Disturbed)?;
        }
    }
    Ok(())
}

/// The nodes, the edges or the subgraphs of a graph, and their required number.
struct Kind {
    /// The component that marks them.
    marker: ComponentId,
    /// Another component that they need; the marker itself if none.
    component: ComponentId,
    count: usize,
}

impl Kind {
    /// Inserts the marker into entities. If it is [`Edge`], they have it already.
    fn mark(&self, world: &mut World, entities: &[Entity]) -> Result<(), BatchError> {
        if world.component_id::<Edge>() == Some(self.marker) {
            return Ok(());
        }
        Ok(insert_default(world, entities, self.marker)?)
    }

    /// Spawns missing entities, and despawns surplus ones from the last row on.
    fn resize(
        &self,
        world: &mut World,
        workers: &Workers,
        spawn: impl Fn(&mut World) -> Entity,
    ) -> Result<Rows, BatchError> {
        let mut rows = Rows::default();
        rows.update(world, &[self.marker, self.component]);
        for entity in rows.entities().iter().skip(self.count).rev() {
            // A hook may have despawned it with another one.
            _ = world.try_despawn(*entity);
        }
        let spawn = |row: usize| {
            if row.is_multiple_of(SLICE) {
                workers.pass_gate();
            }
            spawn(world)
        };
        let new: Vec<Entity> = (rows.len()..self.count).map(spawn).collect();
        self.mark(world, &new)?;
        attach_fields(world, self.marker);
        self.update(world, rows)
    }

    /// Inserts a component where it is missing.
    fn complete<C: Component + Copy>(&self, world: &mut World, rows: Rows, component: C) -> Result<Rows, BatchError> {
        let missing = without::<C>(world, &rows);
        if missing.is_empty() {
            return Ok(rows);
        }
        for entity in missing {
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
    let tables = rows.components::<C>(world).filter(|(_, components)| components.is_empty());
    tables.flat_map(|(table, _)| &rows.entities()[table]).copied().collect()
}
