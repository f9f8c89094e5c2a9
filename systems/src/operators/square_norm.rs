//! Squared lengths.

use connectome_components::Signal;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    kernels::sum,
    layers::{BuildError, LayerBuilder},
};

/// `Y[i] = |X[i]|^2`: from rows of any width to one number each.
///
/// # Errors
/// If the signal is sparse.
pub fn square_norm(layer: &mut LayerBuilder, input: Signal) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let output = layer.signal(values.domain(), 1, input.learns())?;
    let forward = write_rows(
        layer,
        "square_norm",
        Cut::Even,
        [values],
        output.value(),
        #[inline(always)]
        |_, [values], rows, output| {
            for (row, output) in rows.zip(output) {
                let values = values.row(row);
                *output = sum(values.len(), |place| values[place] * values[place]);
            }
        },
    );
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &[input], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "square_norm_backward",
            Cut::Even,
            [gradient, values],
            target,
            #[inline(always)]
            |_, [gradient, values], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                    let factor = 2.0 * gradient.row(row)[0];
                    target.iter_mut().zip(values.row(row)).for_each(|(target, value)| *target = factor * value);
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}
