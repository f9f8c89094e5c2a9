//! Sorts edges by their endpoints, and cuts the rows into blocks.

use connectome_components::{Adjacency, Rows, Topology};

/// Rows and edges in one block of an aggregation.
const BLOCK_WORK: usize = 4096;

/// Sorts the edges by target into `incoming` and by source into `outgoing`, keeping their order: two counting sorts
/// that go through the edges together.
pub(super) fn by_ends(
    endpoints: &[[u32; 2]],
    nodes: &Rows,
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    next: &mut [Vec<u32>; 2],
) {
    for adjacency in [&mut *incoming, &mut *outgoing] {
        adjacency.offsets.clear();
        adjacency.offsets.resize(nodes.len() + 1, 0);
    }
    let live = || endpoints.iter().enumerate().filter(|(_, [source, _])| *source != Topology::NO_ROW);
    for (_, [source, target]) in live() {
        incoming.offsets[*target as usize + 1] += 1;
        outgoing.offsets[*source as usize + 1] += 1;
    }
    let [next_in, next_out] = next;
    for (adjacency, next) in [(&mut *incoming, &mut *next_in), (&mut *outgoing, &mut *next_out)] {
        let len = add_up(&mut adjacency.offsets, next);
        adjacency.neighbors.resize(len, 0);
        adjacency.edges.resize(len, 0);
    }
    for (edge, [source, target]) in live() {
        put(incoming, next_in, *target, *source, edge);
        put(outgoing, next_out, *source, *target, edge);
    }
    cut_blocks(incoming, nodes);
    cut_blocks(outgoing, nodes);
}

/// Turns counts, each at the index after its row, into offsets; returns the number of entries.
pub(super) fn add_up(offsets: &mut [u32], next: &mut Vec<u32>) -> usize {
    next.clear();
    let mut sum = 0;
    for offset in offsets.iter_mut() {
        sum += *offset;
        *offset = sum;
    }
    next.extend_from_slice(offsets);
    sum as usize
}

/// Writes the next entry of `row`.
#[inline]
pub(super) fn put(adjacency: &mut Adjacency, next: &mut [u32], row: u32, neighbor: u32, edge: usize) {
    let next = &mut next[row as usize];
    let place = *next as usize;
    *next += 1;
    adjacency.neighbors[place] = neighbor;
    adjacency.edges[place] = edge as u32;
}

/// Partitions the rows into blocks of about equal work that do not cross tables.
pub(super) fn cut_blocks(adjacency: &mut Adjacency, rows: &Rows) {
    let Adjacency { offsets, blocks, .. } = adjacency;
    blocks.clear();
    blocks.push(0);
    for (_, rows) in rows.tables() {
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
