//! Rows brought to length 1.

use connectome_components::Signal;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// Rows that are no longer than this are divided by it instead, as in PyTorch.
const SHORTEST: f32 = 1e-12;

/// `Y[i] = X[i] / |X[i]|`, with the Euclidean length.
///
/// A row of zeros stays so, and has no gradient: there is no direction in which it would be right.
///
/// # Errors
/// If the signal is sparse.
pub fn normalize_rows(layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let width = values.width();
    let output = layer.signal(values.domain(), width, input.learns())?;
    let forward = write_rows(
        layer,
        "normalize_rows",
        Cut::Even,
        [values],
        output.value(),
        #[inline(always)]
        move |_, [values], rows, output| {
            for (output, values) in output.chunks_exact_mut(width).zip(values.slice(rows).chunks_exact(width)) {
                let factor = 1.0 / length(values).max(SHORTEST);
                output.iter_mut().zip(values).for_each(|(output, value)| *output = factor * value);
            }
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[input], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "normalize_rows_backward",
            Cut::Even,
            [gradient, values],
            target,
            #[inline(always)]
            move |_, [gradient, values], rows, target| {
                let gradients = gradient.slice(rows.clone()).chunks_exact(width);
                let terms = gradients.zip(values.slice(rows).chunks_exact(width));
                for (target, (gradient, values)) in target.chunks_exact_mut(width).zip(terms) {
                    let length = length(values);
                    if length <= SHORTEST {
                        target.fill(0.0);
                        continue;
                    }
                    // (G - Y (Y . G)) / |X|
                    let factor = 1.0 / length;
                    let along: f32 = gradient.iter().zip(values).map(|(gradient, value)| gradient * value).sum();
                    let along = along * factor * factor;
                    for (target, (gradient, value)) in target.iter_mut().zip(gradient.iter().zip(values)) {
                        *target = factor * (gradient - along * value);
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
fn length(row: &[f32]) -> f32 {
    row.iter().map(|number| number * number).sum::<f32>().sqrt()
}
