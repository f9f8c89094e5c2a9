//! Counting sorts of edges by their endpoints, and partitions of rows into blocks.

use connectome_components::{Adjacency, KeyOrder, Rows, Topology};

/// Number of rows and edges in one block of an aggregation.
const BLOCK_WORK: usize = 4096;

/// Sorts the edges by target into `incoming` and by source into `outgoing`, by stable counting sorts, and those of one row by
/// the rank of the other end; returns whether parallel edges are possible, which stay in the order of their rows.
///
/// Edges that lie in this order, as those that were spawned so, take one pass; others take three. `sources` and `targets` are
/// rows with the order of their keys.
pub(super) fn by_endpoints(
    endpoints: &[[u32; 2]],
    [sources, targets]: [(&Rows, &KeyOrder); 2],
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    next: &mut [Vec<u32>; 2],
    by_source: &mut Vec<u32>,
) -> bool {
    for (adjacency, (rows, _)) in [(&mut *incoming, targets), (&mut *outgoing, sources)] {
        adjacency.offsets.clear();
        adjacency.offsets.resize(rows.len() + 1, 0);
    }
    let edges = || endpoints.iter().enumerate().filter(|(_, [source, _])| *source != Topology::NO_ROW);
    for (_, [source, target]) in edges() {
        incoming.offsets[*target as usize + 1] += 1;
        outgoing.offsets[*source as usize + 1] += 1;
    }
    let [next_in, next_out] = next;
    for (adjacency, next) in [(&mut *incoming, &mut *next_in), (&mut *outgoing, &mut *next_out)] {
        let len = prefix_sums(&mut adjacency.offsets, next);
        adjacency.neighbors.resize(len, 0);
        adjacency.edges.resize(len, 0);
    }
    let is_permuted = [sources, targets].iter().any(|(_, order)| order.is_permuted);
    let is_sorted = !is_permuted && endpoints.is_sorted_by(|one, other| (one[1], one[0]) < (other[1], other[0]));
    if is_sorted {
        for (edge, [source, target]) in edges() {
            push(incoming, next_in, *target, *source, edge);
            push(outgoing, next_out, *source, *target, edge);
        }
    } else {
        by_source.resize(outgoing.len(), 0);
        for (edge, [source, _]) in edges() {
            let next = &mut next_out[*source as usize];
            by_source[*next as usize] = edge as u32;
            *next += 1;
        }
        for source in in_order(sources) {
            for edge in &by_source[outgoing.entries(source)] {
                push(incoming, next_in, endpoints[*edge as usize][1], source as u32, *edge as usize);
            }
        }
        next_out.copy_from_slice(&outgoing.offsets);
        for target in in_order(targets) {
            let entries = incoming.entries(target);
            for (source, edge) in incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]) {
                push(outgoing, next_out, *source, target as u32, *edge as usize);
            }
        }
    }
    derive_blocks(incoming, targets.0);
    derive_blocks(outgoing, sources.0);
    !is_sorted
}

/// Rows in the order of their keys.
fn in_order<'a>((rows, order): (&Rows, &'a KeyOrder)) -> impl Iterator<Item = usize> + use<'a> {
    let permutation = order.permutation();
    (0..rows.len()).map(move |rank| permutation.map_or(rank, |rows| rows[rank] as usize))
}

/// Turns counts, each at the index after its row, into offsets, and copies them to `next`; returns the number of
/// entries.
pub(super) fn prefix_sums(offsets: &mut [u32], next: &mut Vec<u32>) -> usize {
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
pub(super) fn push(adjacency: &mut Adjacency, next: &mut [u32], row: u32, neighbor: u32, edge: usize) {
    let next = &mut next[row as usize];
    let entry = *next as usize;
    *next += 1;
    adjacency.neighbors[entry] = neighbor;
    adjacency.edges[entry] = edge as u32;
}

/// Partitions the rows into blocks of about equal work that do not cross tables.
pub(super) fn derive_blocks(adjacency: &mut Adjacency, rows: &Rows) {
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
