//! Products number by number.

use connectome_components::{Field, Signal};

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Y = A * B`, number by number; if `B` has a single column, each row of `A` times its number.
///
/// # Errors
/// If a signal is sparse, they are on different rows, or `B` is as wide neither as `A` nor as one number.
pub fn multiply(layer: &mut LayerBuilder, first: Signal, second: Signal) -> Result<Signal, BuildError> {
    let [a, b] = [layer.dense(first)?, layer.dense(second)?];
    if a.domain() != b.domain() || (b.width() != a.width() && b.width() != 1) {
        let (a, b) = (a.width(), b.width());
        return Err(layer.refuse(format!("multiplies signals {a} and {b} wide; give both one width, on the same rows")));
    }
    let output = layer.signal(a.domain(), a.width(), first.learns() || second.learns())?;
    let forward = multiplied(layer, "multiply", a, b, output.value());
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[first, second], move |layer, gradient| {
        if let Some(target) = layer.gradient_of(first)? {
            let backward = multiplied(layer, "multiply_backward", gradient, b, target);
            layer.backward(backward);
        }
        let Some(target) = layer.gradient_of(second)? else { return Ok(()) };
        let backward = if b.width() == a.width() {
            multiplied(layer, "multiply_backward", gradient, a, target)
        } else {
            write_rows(
                layer,
                "multiply_backward",
                Cut::Even,
                [gradient, a],
                target,
                #[inline(always)]
                move |_, [gradient, a], rows, target| {
                    for (row, target) in rows.zip(target) {
                        *target = gradient.row(row).iter().zip(a.row(row)).map(|(gradient, a)| gradient * a).sum();
                    }
                },
            )
        };
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

fn multiplied(
    layer: &mut LayerBuilder,
    name: &'static str,
    a: Field,
    b: Field,
    output: Field,
) -> bevy_ecs::system::BoxedSystem {
    let broadcast = b.width() != a.width();
    write_rows(
        layer,
        name,
        Cut::Even,
        [a, b],
        output,
        #[inline(always)]
        move |_, [a, b], rows, output| {
            let width = a.width();
            let (first, second) = (a.slice(rows.clone()), b.slice(rows));
            if broadcast {
                let rows = output.chunks_exact_mut(width).zip(first.chunks_exact(width)).zip(second);
                for ((output, a), b) in rows {
                    output.iter_mut().zip(a).for_each(|(output, a)| *output = a * b);
                }
            } else {
                for (output, (a, b)) in output.iter_mut().zip(first.iter().zip(second)) {
                    *output = a * b;
                }
            }
        },
    )
}
