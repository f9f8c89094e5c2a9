//! The order of keys.

use bevy_ecs::{component::Component, entity::Entity, world::World};
use connectome_components::{Adjacency, EdgeWeight, GraphKey, KeyOrder, Rows};

/// Orders rows by their keys, for which there is a buffer; returns two entities with one key, if there are any.
pub(super) fn by_keys(
    order: &mut KeyOrder,
    rows: &Rows,
    world: &World,
    keys: &mut Vec<GraphKey>,
) -> Option<[Entity; 2]> {
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

/// Sorts parallel edges, which lie side by side, by their keys, then by their weights, and then by the indices of their
/// entities. Returns whether there may be any.
pub(super) fn sort_parallel(adjacency: &mut Adjacency, edges: &Rows, world: &World) -> bool {
    let Adjacency { offsets, neighbors, edges: listed, .. } = adjacency;
    // Of all rows at once, which takes one instruction for many entries.
    let following = neighbors.get(1..).unwrap_or(&[]);
    let repeated: u32 = neighbors.iter().zip(following).map(|(one, other)| u32::from(one == other)).sum();
    if repeated == 0 {
        return false;
    }
    let tie = |edge: &u32| {
        let index = edges.entities()[*edge as usize].index_u32();
        let key = component::<GraphKey>(edges, world, *edge).copied();
        let weight = component::<EdgeWeight>(edges, world, *edge).map_or(1.0, |weight| weight.0);
        (key, in_total_order(weight), index)
    };
    for row in offsets.array_windows::<2>() {
        let mut start = row[0] as usize;
        for parallel in neighbors[start..row[1] as usize].chunk_by(|one, other| one == other) {
            let end = start + parallel.len();
            listed[start..end].sort_unstable_by_key(tie);
            start = end;
        }
    }
    true
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
