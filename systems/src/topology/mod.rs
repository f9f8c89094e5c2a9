//! Derivation of the topology of a graph from its entities.

mod coefficients;
mod dangling;
mod hops;
mod keys;
mod levels;
mod members;
mod order;
mod sort;
mod ticks;

use bevy_ecs::{change_detection::Tick, entity::Entity, system::Local, world::World};
use connectome_components::{Edge, Graph, GraphKey, HugePages, Rows, Sources, Topology, attach_fields, attach_keys};

use crate::{error::StepFault, parallel::Workers};
use coefficients::Degrees;
pub use dangling::despawn_dangling_edges;
pub use keys::key_by;

/// Reusable buffers, so that updates of a topology do not allocate.
#[derive(Default)]
pub struct Scratch {
    row_of: RowOf,
    /// The same of the sources of a relation.
    row_of_source: RowOf,
    /// The index of the next entry of each row while entries are sorted.
    next: [Vec<u32>; 2],
    /// The edges by their sources.
    by_source: Vec<u32>,
    degrees: Degrees,
    levels: levels::Scratch,
    keys: Vec<GraphKey>,
    huge_pages: HugePages,
}

/// A system that updates the [`Topology`] of a graph; see [`update_topology`].
pub fn rebuild_topology(graph: Entity) -> impl FnMut(&mut World, Local<Scratch>) {
    move |world, mut scratch| update_topology(world, graph, &mut scratch)
}

/// The same for several graphs, at the begin of a step, which has no fault yet.
pub(crate) fn rebuild_topologies(graphs: Vec<Entity>, fault: StepFault) -> impl FnMut(&mut World, Local<Scratch>) {
    move |world, mut scratch| {
        fault.take();
        // All fields first: attaching those of one graph may move rows of another.
        graphs.iter().for_each(|graph| attach_all_fields(world, *graph));
        graphs.iter().for_each(|graph| update_topology(world, *graph, &mut scratch));
    }
}

/// Attaches keys to new nodes and subgraphs of a graph, and fields to these and to new edges.
pub(crate) fn attach_all_fields(world: &mut World, graph: Entity) {
    let Some(graph) = world.get::<Graph>(graph).copied() else { return };
    let Graph { nodes, sources, edges, subgraphs, .. } = graph;
    [nodes, sources, subgraphs].into_iter().for_each(|marker| attach_keys(world, marker));
    [nodes, sources, edges, subgraphs].into_iter().for_each(|marker| attach_fields(world, marker));
}

/// Attaches keys and fields to new entities, and derives the graph's [`Topology`] again if edges,
/// memberships, keys or rows have changed.
pub fn update_topology(world: &mut World, graph_entity: Entity, scratch: &mut Scratch) {
    attach_all_fields(world, graph_entity);
    let Some(graph) = world.get::<Graph>(graph_entity).copied() else { return };
    let edge = world.register_component::<Edge>();
    let Some(mut topology) = world.get_mut::<Topology>(graph_entity) else { return };
    let mut topology = core::mem::take(&mut *topology);
    let nodes_changed = topology.nodes.update(world, &[graph.nodes]);
    let mut other_sources = topology.other_sources.take().filter(|_| graph.is_relation());
    if graph.is_relation() {
        other_sources.get_or_insert_default();
    }
    let sources_changed = other_sources.as_mut().is_some_and(|sources| sources.rows.update(world, &[graph.sources]));
    let edges_changed = topology.edges.update(world, &[edge, graph.edges]);
    let subgraphs_changed = topology.subgraphs.update(world, &[graph.subgraphs]);
    let Topology { nodes, edges, subgraphs, node_order, subgraph_order, same_keys, derived_at, .. } = &mut topology;
    for (changed, rows) in [(nodes_changed, &*nodes), (edges_changed, edges), (subgraphs_changed, subgraphs)] {
        if changed {
            scratch.huge_pages.request(world, rows);
        }
    }
    if let Some(sources) = other_sources.as_ref().filter(|_| sources_changed) {
        scratch.huge_pages.request(world, &sources.rows);
    }
    let since = |changed: &dyn Fn(Tick) -> bool| derived_at.is_none_or(changed);
    let nodes_changed = nodes_changed || since(&|tick| nodes.keys_changed_since(world, tick));
    let subgraphs_changed = subgraphs_changed || since(&|tick| subgraphs.keys_changed_since(world, tick));
    let rewired = since(&|tick| edges.edges_changed_since(world, tick) || edges.keys_changed_since(world, tick));
    let moved = since(&|tick| nodes.memberships_changed_since(world, tick));
    let keys_changed = |sources: &Sources| since(&|tick| sources.rows.keys_changed_since(world, tick));
    let sources_changed = sources_changed || other_sources.as_ref().is_some_and(keys_changed);
    let derive_edges = nodes_changed || sources_changed || edges_changed || rewired;
    let derive_members = nodes_changed || subgraphs_changed || moved;
    if nodes_changed || sources_changed || subgraphs_changed {
        let of_nodes = order::by_keys(node_order, nodes, world, &mut scratch.keys);
        let of_sources = other_sources
            .as_mut()
            .and_then(|Sources { rows, order }| order::by_keys(order, rows, world, &mut scratch.keys));
        let of_subgraphs = order::by_keys(subgraph_order, subgraphs, world, &mut scratch.keys);
        *same_keys = of_nodes.or(of_sources).or(of_subgraphs);
    }
    topology.other_sources = other_sources;
    if derive_edges {
        let workers = world.get_resource::<Workers>().cloned().unwrap_or_default();
        derive(&mut topology, graph.is_reversed, world, scratch, &workers);
    }
    if derive_members {
        members::derive(&mut topology, world, scratch);
    }
    if derive_edges || derive_members {
        topology.version += 1;
        topology.derived_at = Some(world.read_change_tick());
        // So that later writes have a later tick.
        world.increment_change_tick();
        ticks::watch(world);
    }
    if let Some(mut component) = world.get_mut::<Topology>(graph_entity) {
        *component = topology;
    }
}

/// Derives endpoints, adjacencies, coefficients and levels; a lesson in slices may wait between them.
fn derive(topology: &mut Topology, is_reversed: bool, world: &World, scratch: &mut Scratch, workers: &Workers) {
    let Scratch { row_of, row_of_source, next, by_source, degrees, levels, .. } = scratch;
    row_of.fill(&topology.nodes);
    let row_of_source = match &topology.other_sources {
        Some(sources) => {
            row_of_source.fill(&sources.rows);
            &*row_of_source
        }
        None => row_of,
    };
    let Topology { nodes, other_sources, edges, node_order, edge_order, orders_edges, .. } = topology;
    let Topology { endpoints, incoming, outgoing, .. } = topology;
    endpoints.clear();
    endpoints.reserve(edges.len());
    for (_, edges) in edges.components::<Edge>(world) {
        endpoints.extend(edges.iter().map(|Edge { source, target }| {
            let [source, target] = if is_reversed { [target, source] } else { [source, target] };
            let endpoints = [row_of_source.find(*source), row_of.find(*target)];
            if endpoints.contains(&Topology::NO_ROW) { [Topology::NO_ROW; 2] } else { endpoints }
        }));
    }
    workers.pass_gate();
    let targets = (&*nodes, &*node_order);
    let sources = other_sources.as_ref().map_or(targets, |sources| (&sources.rows, &sources.order));
    let has_parallels = sort::by_endpoints(endpoints, [sources, targets], incoming, outgoing, next, by_source);
    workers.pass_gate();
    // Of the outgoing edges only those can be parallel that are among the incoming ones.
    if has_parallels && order::sort_parallel(incoming, edges, world) {
        order::sort_parallel(outgoing, edges, world);
    }
    if *orders_edges {
        order::of_edges(edge_order, node_order, incoming, edges);
    }
    topology.dangling = endpoints.len() - incoming.len();
    workers.pass_gate();
    coefficients::derive(topology, world, degrees);
    workers.pass_gate();
    levels::derive(topology, levels);
    hops::derive(topology);
}

/// The row of each entity.
#[derive(Default)]
struct RowOf {
    /// By the index of the entity: its generation, because the index of a dead entity may be reused, and its row.
    rows: Vec<(u32, u32)>,
}

impl RowOf {
    fn fill(&mut self, rows: &Rows) {
        let indices = rows.entities().iter().map(|entity| entity.index_u32() as usize + 1).max().unwrap_or(0);
        self.rows.clear();
        self.rows.resize(indices, (0, Topology::NO_ROW));
        for (row, entity) in rows.entities().iter().enumerate() {
            self.rows[entity.index_u32() as usize] = (entity.generation().to_bits(), row as u32);
        }
    }

    /// The row of `entity`, or [`Topology::NO_ROW`].
    #[inline]
    fn find(&self, entity: Entity) -> u32 {
        match self.rows.get(entity.index_u32() as usize) {
            Some((generation, row)) if *generation == entity.generation().to_bits() => *row,
            _ => Topology::NO_ROW,
        }
    }
}
