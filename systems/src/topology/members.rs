//! Derives which nodes belong to which subgraph.

use bevy_ecs::world::World;
use connectome_components::{InGraph, Topology};

use super::{
    Scratch,
    sort::{add_up, cut_blocks, put},
};

/// Sorts the nodes by subgraph, and the other way round.
pub(super) fn derive(topology: &mut Topology, world: &World, scratch: &mut Scratch) {
    let Scratch { row_of, next: [next, _], .. } = scratch;
    let Topology { nodes, subgraphs, members, membership, .. } = topology;
    row_of.fill(subgraphs);
    members.offsets.clear();
    members.offsets.resize(subgraphs.len() + 1, 0);
    membership.offsets.clear();
    membership.offsets.resize(nodes.len() + 1, 0);
    membership.neighbours.clear();
    membership.edges.clear();
    // Without subgraphs nobody belongs to one, wherever nodes claim to be.
    let claims = nodes.components::<InGraph>(world).filter(|_| !subgraphs.is_empty());
    for (rows, claims) in claims {
        for (node, InGraph(subgraph)) in rows.zip(claims) {
            let subgraph = row_of.find(subgraphs, *subgraph);
            if subgraph != Topology::NO_ROW {
                members.offsets[subgraph as usize + 1] += 1;
                membership.offsets[node + 1] = 1;
                membership.neighbours.push(subgraph);
                membership.edges.push(node as u32);
            }
        }
    }
    add_up(&mut membership.offsets, next);
    let len = add_up(&mut members.offsets, next);
    members.neighbours.resize(len, 0);
    members.edges.resize(len, 0);
    for (subgraph, node) in membership.neighbours.iter().zip(&membership.edges) {
        put(members, next, *subgraph, *node, *node as usize);
    }
    cut_blocks(members, subgraphs);
    cut_blocks(membership, nodes);
}
