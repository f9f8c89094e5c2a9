//! Derives the topology of a graph from its edge entities.

use bevy_ecs::{entity::Entity, system::Local, world::World};
use connectome_components::{Adjacency, Coefficients, Edge, Graph, Normalization, Rows, Topology, attach_fields};

/// Rows and edges that one block of an aggregation goes through.
const BLOCK_WORK: usize = 4096;

/// Marks the end of an edge that is no node.
const NOT_A_NODE: u32 = u32::MAX;

/// What one derivation leaves to the next, so that a live graph does not allocate each tick.
#[derive(Default)]
pub struct Scratch {
    /// The node row of each entity index.
    row_of: Vec<u32>,
    /// Source and target row of each edge.
    ends: Vec<[u32; 2]>,
    weights: Vec<f32>,
    next: Vec<u32>,
    own_weights: Vec<f32>,
    inverse_roots: Vec<f32>,
}

/// Gives new nodes and edges their fields, and derives the graph's [`Topology`] anew if edges or rows have changed.
pub fn rebuild_topology(graph_entity: Entity) -> impl FnMut(&mut World, Local<Scratch>) {
    move |world, mut scratch| {
        let Some(graph) = world.get::<Graph>(graph_entity).copied() else { return };
        attach_fields(world, graph.nodes);
        attach_fields(world, graph.edges);
        let edge = world.register_component::<Edge>();
        let Some(mut topology) = world.get_mut::<Topology>(graph_entity) else { return };
        let mut topology = core::mem::take(&mut *topology);
        let nodes_changed = topology.nodes.update(world, &[graph.nodes]);
        let edges_changed = topology.edges.update(world, &[edge, graph.edges]);
        let fresh = topology.derived_at.is_some_and(|tick| !topology.edges.edges_changed_since(world, tick));
        if nodes_changed || edges_changed || !fresh {
            derive(&mut topology, world, &mut scratch);
            topology.derived_at = Some(world.read_change_tick());
            // Whatever is written from now on carries a later tick.
            world.increment_change_tick();
        }
        if let Some(mut place) = world.get_mut::<Topology>(graph_entity) {
            *place = topology;
        }
    }
}

fn derive(topology: &mut Topology, world: &World, scratch: &mut Scratch) {
    resolve_ends(topology, world, scratch);
    topology.version += 1;
    topology.dangling = scratch.ends.iter().filter(|ends| ends.contains(&NOT_A_NODE)).count();
    let Topology { nodes, incoming, outgoing, normalizations, .. } = topology;
    sort_edges(incoming, nodes, scratch, 1);
    sort_edges(outgoing, nodes, scratch, 0);
    incoming.coefficients.resize_with(normalizations.len(), Coefficients::default);
    outgoing.coefficients.resize_with(normalizations.len(), Coefficients::default);
    for (place, normalization) in normalizations.iter().enumerate() {
        match normalization {
            Normalization::Symmetric => {
                weigh_symmetrically(incoming, scratch);
                symmetric_coefficients(incoming, place, scratch);
                symmetric_coefficients(outgoing, place, scratch);
            }
            Normalization::Mean => mean_coefficients(incoming, outgoing, place),
        }
    }
}

/// Finds the rows of the ends of all edges.
fn resolve_ends(topology: &Topology, world: &World, scratch: &mut Scratch) {
    let nodes = topology.nodes.entities();
    let indices = nodes.iter().map(|node| node.index_u32() as usize + 1).max().unwrap_or(0);
    scratch.row_of.clear();
    scratch.row_of.resize(indices, NOT_A_NODE);
    for (row, node) in nodes.iter().enumerate() {
        scratch.row_of[node.index_u32() as usize] = row as u32;
    }
    let row_of = |entity: Entity| {
        let row = scratch.row_of.get(entity.index_u32() as usize).copied().unwrap_or(NOT_A_NODE);
        // The index of a dead node may have gone to another.
        if nodes.get(row as usize) == Some(&entity) { row } else { NOT_A_NODE }
    };
    scratch.ends.clear();
    scratch.weights.clear();
    for (edge, weight) in topology.edges.weighted_edges(world) {
        scratch.ends.push([row_of(edge.source), row_of(edge.target)]);
        scratch.weights.push(weight);
    }
}

/// Sorts the edges by one end (0 for source, 1 for target), keeping their order: a counting sort.
fn sort_edges(adjacency: &mut Adjacency, nodes: &Rows, scratch: &mut Scratch, end: usize) {
    let live = || scratch.ends.iter().enumerate().filter(|(_, ends)| !ends.contains(&NOT_A_NODE));
    let offsets = &mut adjacency.offsets;
    offsets.clear();
    offsets.resize(nodes.len() + 1, 0);
    for (_, ends) in live() {
        offsets[ends[end] as usize + 1] += 1;
    }
    for row in 0..nodes.len() {
        offsets[row + 1] += offsets[row];
    }
    let count = offsets[nodes.len()] as usize;
    scratch.next.clear();
    scratch.next.extend_from_slice(&offsets[..nodes.len()]);
    adjacency.neighbours.resize(count, 0);
    adjacency.edges.resize(count, 0);
    for (edge, ends) in live() {
        let place = &mut scratch.next[ends[end] as usize];
        adjacency.neighbours[*place as usize] = ends[1 - end];
        adjacency.edges[*place as usize] = edge as u32;
        *place += 1;
    }
    cut_blocks(adjacency, nodes);
}

/// Cuts the rows into blocks of about equal work that do not cross from table to table.
fn cut_blocks(adjacency: &mut Adjacency, nodes: &Rows) {
    let Adjacency { offsets, blocks, .. } = adjacency;
    blocks.clear();
    blocks.push(0);
    for (_, rows) in nodes.tables() {
        let mut work = 0;
        for row in rows.clone() {
            work += 1 + (offsets[row + 1] - offsets[row]) as usize;
            if work >= BLOCK_WORK || row + 1 == rows.end {
                blocks.push(row + 1);
                work = 0;
            }
        }
    }
}

/// The weight of each node's self-loop, and one over the root of its degree.
fn weigh_symmetrically(incoming: &Adjacency, scratch: &mut Scratch) {
    let Scratch { weights, own_weights, inverse_roots, .. } = scratch;
    own_weights.clear();
    inverse_roots.clear();
    for row in 0..incoming.offsets.len() - 1 {
        let (mut own, mut others) = (1.0, 0.0);
        for entry in incoming.entries(row) {
            let weight = weights[incoming.edges[entry] as usize];
            if incoming.neighbours[entry] as usize == row {
                own = weight;
            } else {
                others += f64::from(weight);
            }
        }
        let degree = others + f64::from(own);
        own_weights.push(own);
        inverse_roots.push(if degree > 0.0 { degree.sqrt().recip() as f32 } else { 0.0 });
    }
}

fn symmetric_coefficients(adjacency: &mut Adjacency, place: usize, scratch: &Scratch) {
    let mut coefficients = core::mem::take(&mut adjacency.coefficients[place]);
    let Scratch { weights, own_weights, inverse_roots, .. } = scratch;
    let own = own_weights.iter().zip(inverse_roots).map(|(weight, root)| weight * root * root);
    coefficients.own.clear();
    coefficients.own.extend(own);
    coefficients.edges.clear();
    for row in 0..inverse_roots.len() {
        coefficients.edges.extend(adjacency.entries(row).map(|entry| {
            let neighbour = adjacency.neighbours[entry] as usize;
            let weight = weights[adjacency.edges[entry] as usize];
            if neighbour == row { 0.0 } else { inverse_roots[row] * weight * inverse_roots[neighbour] }
        }));
    }
    adjacency.coefficients[place] = coefficients;
}

fn mean_coefficients(incoming: &mut Adjacency, outgoing: &mut Adjacency, place: usize) {
    let [mut forth, mut back] =
        [&mut *incoming, &mut *outgoing].map(|adjacency| core::mem::take(&mut adjacency.coefficients[place]));
    for coefficients in [&mut forth, &mut back] {
        coefficients.own.clear();
        coefficients.edges.clear();
    }
    for row in 0..incoming.offsets.len() - 1 {
        let count = incoming.entries(row).len();
        let share = 1.0 / (1 + count) as f32;
        forth.own.push(share);
        back.own.push(share);
        forth.edges.extend(core::iter::repeat_n(share, count));
    }
    back.edges.extend(outgoing.neighbours.iter().map(|target| forth.own[*target as usize]));
    incoming.coefficients[place] = forth;
    outgoing.coefficients[place] = back;
}
