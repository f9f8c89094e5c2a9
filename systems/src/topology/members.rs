//! Derives which nodes belong to which subgraph.

use bevy_ecs::world::World;
use connectome_components::{InSubgraph, Topology};

use super::{
    Scratch,
    sort::{add_up, cut_blocks, put},
};

/// Derives members and memberships.
pub(super) fn derive(topology: &mut Topology, world: &World, scratch: &mut Scratch) {
    let Scratch { row_of, next: [next, _], .. } = scratch;
    let Topology { nodes, subgraphs, members, membership, .. } = topology;
    row_of.fill(subgraphs);
    members.offsets.clear();
    members.offsets.resize(subgraphs.len() + 1, 0);
    membership.offsets.clear();
    membership.offsets.resize(nodes.len() + 1, 0);
    membership.neighbors.clear();
    membership.edges.clear();
    // Without subgraphs there are no members, whatever nodes claim.
    let claims = nodes.components::<InSubgraph>(world).filter(|_| !subgraphs.is_empty());
    for (rows, claims) in claims {
        for (node, InSubgraph(subgraph)) in rows.zip(claims) {
            let subgraph = row_of.find(*subgraph);
            if subgraph != Topology::NO_ROW {
                members.offsets[subgraph as usize + 1] += 1;
                membership.offsets[node + 1] = 1;
                membership.neighbors.push(subgraph);
                membership.edges.push(node as u32);
            }
        }
    }
    add_up(&mut membership.offsets, next);
    let len = add_up(&mut members.offsets, next);
    members.neighbors.resize(len, 0);
    members.edges.resize(len, 0);
    for (subgraph, node) in membership.neighbors.iter().zip(&membership.edges) {
        put(members, next, *subgraph, *node, *node as usize);
    }
    cut_blocks(members, subgraphs);
    cut_blocks(membership, nodes);
}
