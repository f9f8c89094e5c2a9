//! What self-loops carry that are added to a graph.

use connectome_components::{Signal, Topology};

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Y[i] = mean of X[e]` over the edges that come to `i` from other nodes, on nodes; zeros where there are none.
///
/// This is what PyTorch Geometric gives to the self-loops it adds, once those of the graph are removed.
///
/// # Errors
/// If the signal is sparse, or not on edges.
pub fn mean_from_others(layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if values.domain() != layer.rows().edges {
        return Err(layer.refuse("takes the mean over edges, so its input is to be on edges"));
    }
    let output = layer.signal(layer.rows().nodes, values.width(), input.learns())?;
    let forward = write_rows(
        layer,
        "mean_from_others",
        Cut::Incoming,
        [values],
        output.value(),
        #[inline(always)]
        move |topology, [values], rows, output| {
            for (row, output) in rows.zip(output.chunks_exact_mut(values.width())) {
                output.fill(0.0);
                let share = share(topology, row);
                for edge in edges_from_others(topology, row) {
                    output.iter_mut().zip(values.row(edge)).for_each(|(mean, value)| *mean += share * value);
                }
            }
        },
    );
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let divide = write_rows(
            layer,
            "mean_from_others_shares",
            Cut::Incoming,
            [target],
            gradient,
            #[inline(always)]
            move |topology, [target], rows, gradient| {
                for (row, gradient) in rows.zip(gradient.chunks_exact_mut(target.width())) {
                    let share = share(topology, row);
                    gradient.iter_mut().for_each(|number| *number *= share);
                }
            },
        );
        layer.backward(divide);
        let backward = write_rows(
            layer,
            "mean_from_others_backward",
            Cut::Even,
            [gradient],
            target,
            #[inline(always)]
            move |topology, [gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                    match topology.endpoints[row] {
                        // Dangling edges have equal ends, too.
                        [from, to] if from != to => target.copy_from_slice(gradient.row(to as usize)),
                        _ => target.fill(0.0),
                    }
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

#[inline(always)]
fn edges_from_others(topology: &Topology, row: usize) -> impl Iterator<Item = usize> {
    let adjacency = &topology.incoming;
    let entries = adjacency.entries(row);
    let edges = adjacency.edges[entries.clone()].iter().zip(&adjacency.neighbors[entries]);
    edges.filter(move |(_, source)| **source as usize != row).map(|(edge, _)| *edge as usize)
}

/// One over the number of edges from other nodes.
#[inline(always)]
fn share(topology: &Topology, row: usize) -> f32 {
    1.0 / edges_from_others(topology, row).count().max(1) as f32
}
