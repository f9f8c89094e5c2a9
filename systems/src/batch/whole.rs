//! Whole graphs.

use connectome_components::{KeyOrder, Topology};

use super::{Batch, BatchError};

/// Selects the rows of all nodes, edges and subgraphs.
pub(super) fn collect(topology: &Topology, batch: &mut Batch) -> Result<(), BatchError> {
    let Topology { incoming, membership, node_order, subgraph_order, .. } = topology;
    let (sources, source_order) = topology.sources();
    batch.sources = topology.other_sources.is_some().then_some(sources.len() as u32);
    let Batch { nodes, edges, subgraphs, endpoints, subgraph_of, .. } = batch;
    select_all(node_order, topology.nodes.len(), &mut nodes.rows)?;
    select_all(subgraph_order, topology.subgraphs.len(), &mut subgraphs.rows)?;
    for (target, node) in (0..).zip(&nodes.rows) {
        let (sources, rows) = incoming.of(*node as usize);
        edges.rows.extend_from_slice(rows);
        endpoints.extend(sources.iter().map(|source| [source_order.rank(*source), target]));
        let (subgraph, _) = membership.of(*node as usize);
        subgraph_of.push(subgraph.first().map_or(Batch::NO_SUBGRAPH, |subgraph| subgraph_order.rank(*subgraph)));
    }
    Ok(())
}

fn select_all(order: &KeyOrder, count: usize, rows: &mut Vec<u32>) -> Result<(), BatchError> {
    match order.permutation() {
        Some(order) => rows.extend_from_slice(order),
        None => rows.extend(0..u32::try_from(count).map_err(|_| BatchError::TooLarge)?),
    }
    Ok(())
}
