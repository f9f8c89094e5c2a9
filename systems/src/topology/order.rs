//! The order of keys.

use bevy_ecs::{component::Component, entity::Entity, world::World};
use connectome_components::{Adjacency, EdgeWeight, GraphKey, KeyOrder, Rows};

/// Reusable buffers for sorting.
#[derive(Default)]
pub(super) struct Sorting {
    keys: Vec<GraphKey>,
    entries: Vec<Entry>,
}

/// An entry of an adjacency while it is sorted.
#[derive(Clone, Copy)]
struct Entry {
    rank: u32,
    neighbor: u32,
    edge: u32,
}

/// Orders rows by their keys; returns two entities with one key, if there are any.
pub(super) fn by_keys(order: &mut KeyOrder, rows: &Rows, world: &World, sorting: &mut Sorting) -> Option<[Entity; 2]> {
    let Sorting { keys, .. } = sorting;
    keys.clear();
    for (table, components) in rows.components::<GraphKey>(world) {
        keys.extend_from_slice(components);
        // Of entities that hooks have moved meanwhile.
        keys.resize(table.end, GraphKey::new(u64::MAX));
    }
    let permuted = !keys.is_sorted_by(|one, other| one < other);
    fill(order, permuted, rows.len(), 0..rows.len() as u32);
    if !permuted {
        return None;
    }
    // Stable and quick on rows that are almost sorted, as after a few despawns.
    order.rows.sort_by_key(|row| (keys[*row as usize], rows.entities()[*row as usize].index_u32()));
    derive_ranks(order);
    let same = order.rows.array_windows().find(|[one, other]| keys[*one as usize] == keys[*other as usize])?;
    Some(same.map(|row| rows.entities()[row as usize]))
}

/// Orders edges by the keys of target and source, as `incoming` does for each target.
pub(super) fn of_edges(order: &mut KeyOrder, nodes: &KeyOrder, incoming: &Adjacency, edges: &Rows) {
    let is_complete = incoming.len() == edges.len();
    let is_in_order = |sorted: &[u32]| is_complete && (0..).zip(sorted).all(|(row, edge)| row == *edge);
    match nodes.permutation() {
        None => fill(order, !is_in_order(&incoming.edges), edges.len(), incoming.edges.iter().copied()),
        Some(nodes) => {
            let lists = nodes.iter().flat_map(|node| &incoming.edges[incoming.entries(*node as usize)]);
            fill(order, true, edges.len(), lists.copied());
            if is_in_order(&order.rows) {
                *order = KeyOrder::default();
            }
        }
    }
    derive_ranks(order);
}

fn fill(order: &mut KeyOrder, permuted: bool, count: usize, rows: impl Iterator<Item = u32>) {
    order.is_permuted = permuted;
    order.rows.clear();
    order.ranks.clear();
    if permuted {
        order.rows.extend(rows);
        order.ranks.resize(count, KeyOrder::NO_RANK);
    }
}

fn derive_ranks(order: &mut KeyOrder) {
    for (rank, row) in (0..).zip(&order.rows) {
        order.ranks[*row as usize] = rank;
    }
}

/// Sorts the entries of each row by the rank of the neighbor; those of one neighbor by the keys of the edges, whose rows are
/// given, then by their weights, and then by the indices of their entities. Returns whether any were out of order or
/// parallel.
pub(super) fn sort_entries(
    adjacency: &mut Adjacency,
    neighbors: &KeyOrder,
    edges: &Rows,
    world: &World,
    sorting: &mut Sorting,
) -> bool {
    let tie = |edge: u32| {
        let index = edges.entities()[edge as usize].index_u32();
        let key = component::<GraphKey>(edges, world, edge).copied();
        let weight = component::<EdgeWeight>(edges, world, edge).map_or(1.0, |weight| weight.0);
        (key, in_total_order(weight), index)
    };
    match neighbors.permutation() {
        None => sort(adjacency, |row| row, tie, &mut sorting.entries),
        Some(_) => sort(adjacency, |row| neighbors.ranks[row as usize], tie, &mut sorting.entries),
    }
}

/// An integer that is ordered as `f32::total_cmp` does.
fn in_total_order(number: f32) -> u32 {
    let bits = number.to_bits();
    if number.is_sign_negative() { !bits } else { bits | 1 << 31 }
}

fn component<'w, T: Component>(rows: &'w Rows, world: &'w World, row: u32) -> Option<&'w T> {
    let row = row as usize;
    let (table, components) = rows.components::<T>(world).find(|(table, _)| table.contains(&row))?;
    components.get(row - table.start)
}

fn sort<K: Ord>(
    adjacency: &mut Adjacency,
    rank: impl Fn(u32) -> u32,
    tie: impl Fn(u32) -> K,
    buffer: &mut Vec<Entry>,
) -> bool {
    /// Number of rows that are checked at once: mostly all of them are sorted.
    const GROUP: usize = 64;
    let mut found = false;
    let Adjacency { offsets, neighbors, edges, .. } = adjacency;
    for group in 0..(offsets.len() - 1).div_ceil(GROUP) {
        let offsets = &offsets[group * GROUP..];
        let offsets = &offsets[..offsets.len().min(GROUP + 1)];
        if !has_descents(offsets, neighbors, &rank) {
            continue;
        }
        found = true;
        for row in offsets.array_windows::<2>() {
            let entries = row[0] as usize..row[1] as usize;
            let (neighbors, edges) = (&mut neighbors[entries.clone()], &mut edges[entries]);
            let sorted = neighbors.array_windows().zip(edges.array_windows()).all(|(neighbors, edges)| {
                let [first, second] = neighbors.map(&rank);
                let [one, other]: [u32; 2] = *edges;
                first < second || first == second && tie(one) < tie(other)
            });
            if !sorted {
                sort_row(neighbors, edges, &rank, &tie, buffer);
            }
        }
    }
    found
}

/// Whether there is an entry in these rows before which, in its row, comes another of the same or a greater rank.
fn has_descents(offsets: &[u32], neighbors: &[u32], rank: impl Fn(u32) -> u32) -> bool {
    let [Some(first), Some(end)] = [offsets.first(), offsets.last()].map(|offset| offset.map(|it| *it as usize)) else {
        return false;
    };
    let descends = |before: u32, after: u32| u32::from(rank(before) >= rank(after));
    let listed = &neighbors[first..end];
    // In all rows together, which takes one instruction for many entries, and then from row to row.
    let following = listed.get(1..).unwrap_or(&[]);
    let all: u32 = listed.iter().zip(following).map(|(before, after)| descends(*before, *after)).sum();
    let starts = offsets.array_windows::<2>().filter(|[start, next]| start < next).map(|[start, _]| *start as usize);
    let between: u32 = starts.skip(1).map(|start| descends(neighbors[start - 1], neighbors[start])).sum();
    all > between
}

/// Sorts the entries of one row.
fn sort_row<K: Ord>(
    neighbors: &mut [u32],
    edges: &mut [u32],
    rank: impl Fn(u32) -> u32,
    tie: impl Fn(u32) -> K,
    buffer: &mut Vec<Entry>,
) {
    let pairs = neighbors.iter().zip(&*edges);
    buffer.clear();
    buffer.extend(pairs.map(|(&neighbor, &edge)| Entry { rank: rank(neighbor), neighbor, edge }));
    buffer.sort_unstable_by(|one, other| one.rank.cmp(&other.rank).then_with(|| tie(one.edge).cmp(&tie(other.edge))));
    for (entry, (neighbor, edge)) in buffer.iter().zip(neighbors.iter_mut().zip(edges)) {
        (*neighbor, *edge) = (entry.neighbor, entry.edge);
    }
}
