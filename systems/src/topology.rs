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
    /// The edges between two nodes, in the order of their rows.
    links: Vec<Link>,
    next: Vec<u32>,
    /// The weights of the edges, sorted as in an adjacency.
    weights: [Vec<f32>; 2],
    own_weights: Vec<f32>,
    inverse_roots: Vec<f32>,
}

/// An edge between two nodes.
struct Link {
    /// The rows of its source and its target.
    ends: [u32; 2],
    edge: u32,
    weight: f32,
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
    topology.dangling = topology.edges.len() - scratch.links.len();
    let Topology { nodes, incoming, outgoing, normalizations, .. } = topology;
    sort_edges(incoming, nodes, scratch, 1);
    sort_edges(outgoing, nodes, scratch, 0);
    incoming.coefficients.resize_with(normalizations.len(), Coefficients::default);
    outgoing.coefficients.resize_with(normalizations.len(), Coefficients::default);
    for (place, normalization) in normalizations.iter().enumerate() {
        match normalization {
            Normalization::Symmetric => {
                weigh_symmetrically(incoming, scratch);
                symmetric_coefficients(incoming, place, scratch, 1);
                symmetric_coefficients(outgoing, place, scratch, 0);
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
    let links = topology.edges.weighted_edges(world).enumerate().map(|(edge, (Edge { source, target }, weight))| {
        Link { ends: [row_of(*source), row_of(*target)], edge: edge as u32, weight }
    });
    scratch.links.clear();
    // A loop inside of the iterator goes from table to table only when one ends.
    links.filter(|link| !link.ends.contains(&NOT_A_NODE)).for_each(|link| scratch.links.push(link));
}

/// Sorts the edges by one end (0 for source, 1 for target), keeping their order: a counting sort.
fn sort_edges(adjacency: &mut Adjacency, nodes: &Rows, scratch: &mut Scratch, end: usize) {
    let Scratch { links, next, weights, .. } = scratch;
    let Adjacency { offsets, neighbours, edges, .. } = adjacency;
    let weights = &mut weights[end];
    offsets.clear();
    offsets.resize(nodes.len() + 1, 0);
    for link in &*links {
        offsets[link.ends[end] as usize + 1] += 1;
    }
    for row in 0..nodes.len() {
        offsets[row + 1] += offsets[row];
    }
    next.clear();
    next.extend_from_slice(&offsets[..nodes.len()]);
    neighbours.resize(links.len(), 0);
    edges.resize(links.len(), 0);
    weights.resize(links.len(), 0.0);
    for link in &*links {
        let place = next[link.ends[end] as usize] as usize;
        next[link.ends[end] as usize] += 1;
        neighbours[place] = link.ends[1 - end];
        edges[place] = link.edge;
        weights[place] = link.weight;
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
    let Scratch { weights: [_, weights], own_weights, inverse_roots, .. } = scratch;
    own_weights.clear();
    inverse_roots.clear();
    for row in 0..incoming.offsets.len() - 1 {
        let (mut own, mut others) = (1.0, 0.0);
        let entries = incoming.entries(row);
        for (neighbour, weight) in incoming.neighbours[entries.clone()].iter().zip(&weights[entries]) {
            if *neighbour as usize == row {
                own = *weight;
            } else {
                others += f64::from(*weight);
            }
        }
        let degree = others + f64::from(own);
        own_weights.push(own);
        inverse_roots.push(if degree > 0.0 { degree.sqrt().recip() as f32 } else { 0.0 });
    }
}

/// The coefficients of an adjacency sorted by `end`.
fn symmetric_coefficients(adjacency: &mut Adjacency, place: usize, scratch: &Scratch, end: usize) {
    let mut coefficients = core::mem::take(&mut adjacency.coefficients[place]);
    let Scratch { weights, own_weights, inverse_roots, .. } = scratch;
    let own = own_weights.iter().zip(inverse_roots).map(|(weight, root)| weight * root * root);
    coefficients.own.clear();
    coefficients.own.extend(own);
    coefficients.edges.clear();
    coefficients.edges.extend_from_slice(&weights[end]);
    for (row, root) in inverse_roots.iter().enumerate() {
        let entries = adjacency.entries(row);
        let neighbours = &adjacency.neighbours[entries.clone()];
        for (coefficient, neighbour) in coefficients.edges[entries].iter_mut().zip(neighbours) {
            let neighbour = *neighbour as usize;
            *coefficient = if neighbour == row { 0.0 } else { root * *coefficient * inverse_roots[neighbour] };
        }
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
