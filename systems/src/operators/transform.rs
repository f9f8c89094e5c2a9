//! Messages through a matrix of each edge's own.

use connectome_components::{Field, Signal, Topology};

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Z[e] = M[e]^T X[source of e]`, on edges, with the matrices `M[e]` `[F, width]`, row by row; zeros for dangling edges.
///
/// `X` is `[N, F]`, `M` `[E, F width]`, `Z` `[E, width]`. Costs `E F width` multiplications.
///
/// # Errors
/// If a signal is sparse or not on the rows where it belongs, or the matrices are not of this shape.
pub fn transform_along_edges(
    layer: &mut LayerBuilder,
    nodes: Signal,
    matrices: Signal,
    width: usize,
) -> Result<Signal, BuildError> {
    let [x, m] = [layer.dense(nodes)?, layer.dense(matrices)?];
    let rows = layer.rows();
    if (x.domain(), m.domain()) != (rows.nodes, rows.edges) {
        return Err(layer.refuse("sends nodes through matrices of edges, but its inputs are on other rows"));
    }
    if x.width().checked_mul(width) != Some(m.width()) {
        let (from, found) = (x.width(), m.width());
        return Err(layer.refuse(format!("sends {from} numbers to {width}, but the matrices have {found} numbers")));
    }
    let output = layer.signal(rows.edges, width, nodes.learns() || matrices.learns())?;
    let forward = write_rows(
        layer,
        "transform_along_edges",
        Cut::Even,
        [x, m],
        output.value(),
        #[inline(always)]
        move |topology, [x, m], rows, output| {
            for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                output.fill(0.0);
                let source = topology.endpoints[row][0];
                if source == Topology::NO_ROW {
                    continue;
                }
                for (number, matrix_row) in x.row(source as usize).iter().zip(m.row(row).chunks_exact(width)) {
                    output.iter_mut().zip(matrix_row).for_each(|(output, entry)| *output += number * entry);
                }
            }
        },
    );
    layer.forward(Phase::Message, forward);
    let mut keeps = Vec::new();
    if nodes.learns() {
        keeps.push(matrices);
    }
    if matrices.learns() {
        keeps.push(nodes);
    }
    layer.on_backward(output, &keeps, move |layer, gradient| {
        if let Some(target) = layer.gradient_of(nodes)? {
            node_gradient(layer, gradient, m, target);
        }
        let Some(target) = layer.gradient_of(matrices)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "transform_along_edges_backward",
            Cut::Even,
            [gradient, x],
            target,
            #[inline(always)]
            move |topology, [gradient, x], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(width * x.width())) {
                    let source = topology.endpoints[row][0];
                    if source == Topology::NO_ROW {
                        target.fill(0.0);
                        continue;
                    }
                    for (number, target) in x.row(source as usize).iter().zip(target.chunks_exact_mut(width)) {
                        let terms = target.iter_mut().zip(gradient.row(row));
                        terms.for_each(|(target, gradient)| *target = number * gradient);
                    }
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// `target[j] = sum of M[e] G[e] over the edges e that start at j`.
fn node_gradient(layer: &mut LayerBuilder, gradient: Field, matrices: Field, target: Field) {
    let backward = write_rows(
        layer,
        "transform_along_edges_backward",
        Cut::Outgoing,
        [gradient, matrices],
        target,
        #[inline(always)]
        move |topology, [gradient, matrices], rows, target| {
            let (adjacency, width) = (&topology.outgoing, gradient.width());
            for (row, target) in rows.zip(target.chunks_exact_mut(matrices.width() / width)) {
                target.fill(0.0);
                for edge in &adjacency.edges[adjacency.entries(row)] {
                    let gradient = gradient.row(*edge as usize);
                    for (target, matrix_row) in target.iter_mut().zip(matrices.row(*edge as usize).chunks_exact(width))
                    {
                        *target +=
                            matrix_row.iter().zip(gradient).map(|(entry, gradient)| entry * gradient).sum::<f32>();
                    }
                }
            }
        },
    );
    layer.backward(backward);
}
