//! The disjoint union of subgraphs.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::Topology;
use core::iter::repeat_n;

use super::{Batch, BatchError};

/// Chooses the rows of the subgraphs' nodes and edges.
pub(super) fn collect(
    corpus: &World,
    topology: &Topology,
    subgraphs: &[Entity],
    batch: &mut Batch,
) -> Result<(), BatchError> {
    for (number, subgraph) in subgraphs.iter().enumerate() {
        let row = topology.subgraphs.row_of(corpus, *subgraph).ok_or(BatchError::NoSubgraph(*subgraph))?;
        batch.subgraphs.rows.push(row as u32);
        append(topology, row, number as u32, batch)?;
    }
    Ok(())
}

fn append(topology: &Topology, subgraph: usize, number: u32, batch: &mut Batch) -> Result<(), BatchError> {
    let Topology { incoming, members, membership, endpoints, .. } = topology;
    let members = &members.neighbors[members.entries(subgraph)];
    let Batch { nodes, edges, endpoints: batch_ends, subgraph_of, .. } = batch;
    let first_node = nodes.rows.len();
    if first_node + members.len() >= u32::MAX as usize {
        return Err(BatchError::TooLarge);
    }
    nodes.rows.extend_from_slice(members);
    subgraph_of.extend(repeat_n(number, members.len()));
    let first_edge = edges.rows.len();
    for node in members {
        let entries = incoming.entries(*node as usize);
        let links = incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]);
        let inside = links.filter(|(source, _)| {
            let place = &membership.neighbors[membership.entries(**source as usize)];
            place == [subgraph as u32]
        });
        edges.rows.extend(inside.map(|(_, edge)| *edge));
    }
    let own_edges = &mut edges.rows[first_edge..];
    own_edges.sort_unstable();
    for edge in own_edges {
        batch_ends.push(endpoints[*edge as usize].map(|end| (first_node + position(members, end)) as u32));
    }
    Ok(())
}

/// The index of a row among the ascending rows that contain it.
fn position(members: &[u32], row: u32) -> usize {
    // Mostly a graph's nodes were spawned together and have consecutive rows.
    let run = members.first().map_or(0, |first| (row - first) as usize);
    if members.get(run) == Some(&row) { run } else { members.partition_point(|member| *member < row) }
}
