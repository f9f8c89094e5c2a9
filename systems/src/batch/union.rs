//! Disjoint unions of subgraphs.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::Topology;
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
    let Topology { incoming, members, membership, endpoints, .. } = topology;
    let members = &members.neighbors[members.entries(subgraph)];
    let Batch { nodes, edges, endpoints: batch_endpoints, subgraph_of, .. } = batch;
    let first_node = nodes.rows.len();
    if first_node + members.len() >= u32::MAX as usize {
        return Err(BatchError::TooLarge);
    }
    nodes.rows.extend_from_slice(members);
    subgraph_of.extend(repeat_n(index, members.len()));
    let first_edge = edges.rows.len();
    for node in members {
        let entries = incoming.entries(*node as usize);
        let incoming = incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]);
        let inside = incoming.filter(|(source, _)| {
            let subgraph_of_source = &membership.neighbors[membership.entries(**source as usize)];
            subgraph_of_source == [subgraph as u32]
        });
        edges.rows.extend(inside.map(|(_, edge)| *edge));
    }
    let added_edges = &mut edges.rows[first_edge..];
    added_edges.sort_unstable();
    for edge in added_edges {
        batch_endpoints.push(endpoints[*edge as usize].map(|end| (first_node + position(members, end)) as u32));
    }
    Ok(())
}

/// The index of a row in the ascending rows that contain it.
fn position(members: &[u32], row: u32) -> usize {
    // Mostly the nodes of a graph were spawned together and have consecutive rows.
    let guess = members.first().map_or(0, |first| (row - first) as usize);
    if members.get(guess) == Some(&row) { guess } else { members.partition_point(|member| *member < row) }
}
