//! Derivation of the members of subgraphs.

use bevy_ecs::world::World;
use connectome_components::{InSubgraph, Topology};

use super::{
    Scratch,
    sort::{derive_blocks, prefix_sums, push},
};

/// Derives members and memberships.
pub(super) fn derive(topology: &mut Topology, world: &World, scratch: &mut Scratch) {
    let Scratch { row_of, next: [next, _], .. } = scratch;
    let Topology { nodes, subgraphs, node_order, members, membership, .. } = topology;
    row_of.fill(subgraphs);
    members.offsets.clear();
    members.offsets.resize(subgraphs.len() + 1, 0);
    membership.offsets.clear();
    membership.offsets.resize(nodes.len() + 1, 0);
    membership.neighbors.clear();
    membership.edges.clear();
    // Skips the nodes of a graph without subgraphs.
    let components = nodes.components::<InSubgraph>(world).filter(|_| !subgraphs.is_empty());
    for (rows, components) in components {
        for (node, InSubgraph(subgraph)) in rows.zip(components) {
            let subgraph = row_of.find(*subgraph);
            if subgraph != Topology::NO_ROW {
                members.offsets[subgraph as usize + 1] += 1;
                membership.offsets[node + 1] = 1;
                membership.neighbors.push(subgraph);
                membership.edges.push(node as u32);
            }
        }
    }
    prefix_sums(&mut membership.offsets, next);
    let len = prefix_sums(&mut members.offsets, next);
    members.neighbors.resize(len, 0);
    members.edges.resize(len, 0);
    for rank in 0..nodes.len() {
        let node = node_order.permutation().map_or(rank, |nodes| nodes[rank] as usize);
        for subgraph in &membership.neighbors[membership.entries(node)] {
            push(members, next, *subgraph, node as u32, node);
        }
    }
    derive_blocks(members, subgraphs);
    derive_blocks(membership, nodes);
}
