//! The larger of two signals.

use connectome_components::Signal;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Y = max(A, B)`, number by number; a number that is none stays. The gradient goes to the larger one, and to `A` where
/// both are equal.
///
/// # Errors
/// If a signal is sparse, or the two are of different width or on different rows.
pub fn maximum(layer: &mut LayerBuilder, [first, second]: [Signal; 2]) -> Result<Signal, BuildError> {
    let [a, b] = [layer.dense(first)?, layer.dense(second)?];
    if (a.domain(), a.width()) != (b.domain(), b.width()) {
        let (a, b) = (a.width(), b.width());
        let reason = format!("takes the larger of signals {a} and {b} wide; give both one width, on the same rows");
        return Err(layer.refuse(reason));
    }
    let output = layer.signal(a.domain(), a.width(), first.learns() || second.learns())?;
    let forward = write_rows(
        layer,
        "maximum",
        Cut::Even,
        [a, b],
        output.value(),
        #[inline(always)]
        |_, [a, b], rows, output| {
            let terms = a.slice(rows.clone()).iter().zip(b.slice(rows));
            for (output, (a, b)) in output.iter_mut().zip(terms) {
                *output = if is_second(*a, *b) { *b } else { *a };
            }
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[first, second], move |layer, gradient| {
        for (signal, takes_second) in [(first, false), (second, true)] {
            let Some(target) = layer.gradient_of(signal)? else { continue };
            let backward = write_rows(
                layer,
                "maximum_backward",
                Cut::Even,
                [gradient, a, b],
                target,
                #[inline(always)]
                move |_, [gradient, a, b], rows, target| {
                    let terms = a.slice(rows.clone()).iter().zip(b.slice(rows.clone()));
                    for ((target, gradient), (a, b)) in target.iter_mut().zip(gradient.slice(rows)).zip(terms) {
                        *target = if is_second(*a, *b) == takes_second { *gradient } else { 0.0 };
                    }
                },
            );
            layer.backward(backward);
        }
        Ok(())
    });
    Ok(output)
}

#[inline(always)]
fn is_second(a: f32, b: f32) -> bool {
    b > a || b.is_nan()
}
