//! Weighted sums over neighbours.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Adjacency, Field, Normalization, Signal};

use super::{
    linear::Epilogue,
    rows::{Cut, write_rows},
};
use crate::{
    Phase,
    kernels::{Terms, gather},
    layers::{BuildError, LayerBuilder},
};

/// `Y[i] = f(c[i] X[i] + sum over edges j -> i of c[ij] X[j] + b)` with the coefficients of a normalisation, a bias and an
/// activation whose derivative is told from its output.
///
/// # Errors
/// If the signal is sparse, or not on nodes.
pub fn aggregate(
    layer: &mut LayerBuilder,
    input: Signal,
    normalization: Normalization,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if values.on() != layer.rows().nodes {
        return Err(layer.refuse("sums over neighbours, so its input is to be on nodes"));
    }
    let coefficients = layer.require(normalization);
    let learns = input.learns() || epilogue.learns();
    let output = layer.signal(values.on(), values.width(), learns)?;
    let bias = epilogue.bias_field();
    let activation = epilogue.activation;
    let forward = write_rows(
        layer,
        "aggregate",
        Cut::Incoming,
        [values, bias.unwrap_or(values)],
        output.value(),
        #[inline(always)]
        move |topology, [values, bias_column], rows, output| {
            let width = values.width();
            for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                gather(&Neighbours { adjacency: &topology.incoming, coefficients, row }, values, output);
            }
            Epilogue::apply(bias.and_then(|_| bias_column.rows().next()), activation, output, width);
        },
    );
    layer.forward(Phase::Aggregate, forward);
    let keeps = epilogue.keeps(output);
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = aggregate_backward(layer, coefficients, gradient, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

fn aggregate_backward(layer: &mut LayerBuilder, coefficients: usize, gradient: Field, target: Field) -> BoxedSystem {
    write_rows(
        layer,
        "aggregate_backward",
        Cut::Outgoing,
        [gradient],
        target,
        #[inline(always)]
        move |topology, [gradient], rows, target| {
            for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                gather(&Neighbours { adjacency: &topology.outgoing, coefficients, row }, gradient, target);
            }
        },
    )
}

/// A node and its neighbours.
struct Neighbours<'a> {
    adjacency: &'a Adjacency,
    coefficients: usize,
    row: usize,
}

impl Terms for Neighbours<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, f32)) {
        let coefficients = &self.adjacency.coefficients[self.coefficients];
        add(self.row, coefficients.own[self.row]);
        let entries = self.adjacency.entries(self.row);
        let neighbours = &self.adjacency.neighbours[entries.clone()];
        for (neighbour, coefficient) in neighbours.iter().zip(&coefficients.edges[entries]) {
            add(*neighbour as usize, *coefficient);
        }
    }
}
