//! The parts of the topology of a sample around its seeds.

use connectome_components::{Adjacency, Coefficients, KeyOrder, Topology};

/// The most hops around the seeds within which rows are told apart; beyond, all rows are one.
const MAX_HOPS: usize = 16;

/// Derives [`Topology::hops`]: the nodes within one hop more are those up to the last source of an edge that ends within
/// the hops so far. So they hold whatever the rows of the graph are; they are as few as can be where rows are in the
/// order of their hops, as in a sample that was loaded.
///
/// There are none if there are no seeds, or if edges are dangling, nodes are not in the order of their keys, or edges are
/// not in that of the hops of their targets. Costs a copy of the edges within all hops but the last, for each of them.
pub(super) fn derive(topology: &mut Topology) {
    let mut hops = core::mem::take(&mut topology.hops);
    let count = fill(topology, &mut hops);
    hops.truncate(count);
    topology.hops = hops;
}

/// Writes the first of `hops`; returns how many there are.
fn fill(topology: &Topology, hops: &mut Vec<Topology>) -> usize {
    let Topology { seeds, nodes, other_sources, node_order, incoming, dangling, .. } = topology;
    let Some(seeds) = seeds.filter(|seeds| *seeds > 0) else { return 0 };
    if other_sources.is_some() || *dangling > 0 || node_order.is_permuted {
        return 0;
    }
    let (all, mut within, mut count) = (nodes.len(), seeds as usize, 0);
    while within < all && count < MAX_HOPS {
        let entries = incoming.offsets[within] as usize;
        if incoming.edges[..entries].iter().any(|edge| *edge as usize >= entries) {
            return 0;
        }
        let last = incoming.neighbors[..entries].iter().max().map_or(0, |source| *source as usize + 1);
        // Nodes that no hop reaches are beyond the last one.
        let is_last = last <= within || count + 1 == MAX_HOPS;
        let following = if is_last { all } else { last };
        if hops.len() == count {
            hops.push(Topology::default());
        }
        restrict(topology, [within, following, entries], &mut hops[count]);
        within = following;
        count += 1;
    }
    count
}

/// The part with the edges that end at the first `targets` nodes, which are `edges` and start at the first `sources`.
fn restrict(all: &Topology, [targets, sources, edges]: [usize; 3], part: &mut Topology) {
    let Topology { endpoints, edge_order, normalizations, incoming, outgoing, .. } = part;
    copy(&all.endpoints[..edges], endpoints);
    copy(&all.normalizations, normalizations);
    edge_order.is_permuted = all.edge_order.is_permuted;
    if edge_order.is_permuted {
        let KeyOrder { rows, ranks, .. } = &all.edge_order;
        copy(&rows[..edges], &mut edge_order.rows);
        copy(&ranks[..edges], &mut edge_order.ranks);
    }
    copy(&all.incoming.offsets[..=targets], &mut incoming.offsets);
    copy(&all.incoming.neighbors[..edges], &mut incoming.neighbors);
    copy(&all.incoming.edges[..edges], &mut incoming.edges);
    incoming.coefficients.resize_with(all.incoming.coefficients.len(), Coefficients::default);
    for (part, all) in incoming.coefficients.iter_mut().zip(&all.incoming.coefficients) {
        copy(&all.edges[..edges], &mut part.edges);
        copy(&all.self_loop[..targets], &mut part.self_loop);
    }
    copy_blocks(&all.incoming, targets, incoming);
    restrict_outgoing(&all.outgoing, [targets, sources], outgoing);
    (part.orders_edges, part.version, part.derived_at) = (all.orders_edges, all.version, all.derived_at);
}

/// The outgoing edges of the first `sources` nodes to the first `targets`.
fn restrict_outgoing(all: &Adjacency, [targets, sources]: [usize; 2], part: &mut Adjacency) {
    part.coefficients.resize_with(all.coefficients.len(), Coefficients::default);
    for (part, all) in part.coefficients.iter_mut().zip(&all.coefficients) {
        part.edges.clear();
        copy(&all.self_loop[..sources], &mut part.self_loop);
    }
    [&mut part.offsets, &mut part.neighbors, &mut part.edges].into_iter().for_each(Vec::clear);
    part.offsets.push(0);
    for row in 0..sources {
        let entries = all.entries(row);
        // They are in the order of their targets.
        let kept = all.neighbors[entries.clone()].partition_point(|target| (*target as usize) < targets);
        let kept = entries.start..entries.start + kept;
        part.neighbors.extend_from_slice(&all.neighbors[kept.clone()]);
        part.edges.extend_from_slice(&all.edges[kept.clone()]);
        for (part, all) in part.coefficients.iter_mut().zip(&all.coefficients) {
            part.edges.extend_from_slice(&all.edges[kept.clone()]);
        }
        part.offsets.push(part.neighbors.len() as u32);
    }
    copy_blocks(all, sources, part);
}

/// The blocks of the first rows.
fn copy_blocks(all: &Adjacency, rows: usize, part: &mut Adjacency) {
    part.blocks.clear();
    part.blocks.extend(all.blocks.iter().copied().take_while(|boundary| *boundary < rows));
    part.blocks.push(rows);
}

fn copy<T: Copy>(from: &[T], to: &mut Vec<T>) {
    to.clear();
    to.extend_from_slice(from);
}
