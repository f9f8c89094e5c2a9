//! From nodes to edges: how much both ends of an edge agree.

use connectome_components::{Field, Signal, Topology};

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `y[e] = <X[source of e], X[target of e]>`, one number on each edge; 0 for dangling ones.
///
/// # Errors
/// If the signal is sparse, or not on nodes.
pub fn dot_ends(layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if values.domain() != layer.rows().nodes {
        return Err(layer.refuse("compares the ends of edges, so its input is to be on nodes"));
    }
    let edges = layer.rows().edges;
    let output = layer.signal(edges, 1, input.learns())?;
    let forward = write_rows(
        layer,
        "dot_ends",
        Cut::Even,
        [values],
        output.value(),
        #[inline(always)]
        |topology, [values], rows, output| {
            for (row, output) in rows.zip(output) {
                let [source, target] = topology.endpoints[row];
                *output = if source == Topology::NO_ROW {
                    0.0
                } else {
                    let pairs = values.row(source as usize).iter().zip(values.row(target as usize));
                    pairs.map(|(source, target)| source * target).sum()
                };
            }
        },
    );
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &[input], move |layer, gradient| {
        for cut in [Cut::Outgoing, Cut::Incoming] {
            let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
            add_far_ends(layer, cut, gradient, values, target);
        }
        Ok(())
    });
    Ok(output)
}

/// `target[i] = sum over edges e of gradient[e] * values[far end of e]`.
fn add_far_ends(layer: &mut LayerBuilder, cut: Cut, gradient: Field, values: Field, target: Field) {
    let backward = write_rows(
        layer,
        "dot_ends_backward",
        cut,
        [gradient, values],
        target,
        #[inline(always)]
        move |topology, [gradient, values], rows, target| {
            let adjacency = cut.adjacency(topology).unwrap_or(&topology.incoming);
            for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                target.fill(0.0);
                let entries = adjacency.entries(row);
                for (neighbour, edge) in adjacency.neighbors[entries.clone()].iter().zip(&adjacency.edges[entries]) {
                    let factor = gradient.row(*edge as usize)[0];
                    let terms = target.iter_mut().zip(values.row(*neighbour as usize));
                    terms.for_each(|(target, value)| *target += factor * value);
                }
            }
        },
    );
    layer.backward(backward);
}
