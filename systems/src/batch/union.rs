//! Disjoint unions of subgraphs.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{KeyOrder, Topology};
use core::iter::repeat_n;

use super::{Batch, BatchError};

/// Selects the rows of the nodes and edges of subgraphs.
pub(super) fn collect(
    corpus: &World,
    topology: &Topology,
    subgraphs: &[Entity],
    batch: &mut Batch,
) -> Result<(), BatchError> {
    for (index, subgraph) in subgraphs.iter().enumerate() {
        let row = topology.subgraphs.row_of(corpus, *subgraph).ok_or(BatchError::NoSubgraph(*subgraph))?;
        batch.subgraphs.rows.push(row as u32);
        append(topology, row, index as u32, batch)?;
    }
    Ok(())
}

fn append(topology: &Topology, subgraph: usize, index: u32, batch: &mut Batch) -> Result<(), BatchError> {
    let Topology { incoming, members, membership, node_order, .. } = topology;
    let members = &members.neighbors[members.entries(subgraph)];
    let Batch { nodes, edges, endpoints: batch_endpoints, subgraph_of, .. } = batch;
    let first_node = nodes.rows.len();
    if first_node + members.len() >= u32::MAX as usize {
        return Err(BatchError::TooLarge);
    }
    nodes.rows.extend_from_slice(members);
    subgraph_of.extend(repeat_n(index, members.len()));
    for (target, node) in (first_node as u32..).zip(members) {
        let entries = incoming.entries(*node as usize);
        for (source, edge) in incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]) {
            if membership.neighbors[membership.entries(*source as usize)] == [subgraph as u32] {
                edges.rows.push(*edge);
                batch_endpoints.push([(first_node + position(members, *source, node_order)) as u32, target]);
            }
        }
    }
    Ok(())
}

/// The index of a row among those of a subgraph, which contain it, in the order of their keys.
fn position(members: &[u32], row: u32, order: &KeyOrder) -> usize {
    // Mostly the nodes of a graph were spawned together and have consecutive rows.
    let guess = members.first().map_or(0, |first| row.wrapping_sub(*first) as usize);
    let rank = order.rank(row);
    if members.get(guess) == Some(&row) { guess } else { members.partition_point(|member| order.rank(*member) < rank) }
}
