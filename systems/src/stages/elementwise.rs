//! Stages that take their rows number by number.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Field, Signal};
use core::ops::Range;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    kernels::Activation,
    layers::{BuildError, LayerBuilder},
};

/// `Y = f(X)`.
///
/// # Errors
/// If the signal is sparse.
pub fn activate(layer: &mut LayerBuilder, input: Signal, activation: Activation) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let output = layer.signal(values.domain(), values.width(), input.learns())?;
    let forward = write_rows(
        layer,
        "activate",
        Cut::Even,
        [values],
        output.value(),
        #[inline(always)]
        move |_, [values], rows, output| {
            output.copy_from_slice(values.slice(rows));
            activation.apply(output);
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[input], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "activate_backward",
            Cut::Even,
            [gradient, values],
            target,
            #[inline(always)]
            move |_, [gradient, values], rows, target| {
                target.copy_from_slice(gradient.slice(rows.clone()));
                activation.chain(values.slice(rows), target);
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// `Y = factor X`.
///
/// # Errors
/// If the signal is sparse.
pub fn scale(layer: &mut LayerBuilder, input: Signal, factor: f32) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let output = layer.signal(values.domain(), values.width(), input.learns())?;
    let forward = scaled(layer, "scale", values, factor, (output.value(), false));
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        let Some(target) = layer.gradient_onto(input)? else { return Ok(()) };
        let backward = scaled(layer, "scale_backward", gradient, factor, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// `Y = a A + b B` for the terms `(A, a)` and `(B, b)`, of equal width and on the same rows.
///
/// # Errors
/// If a signal is sparse, or the two are of different width or on different rows.
pub fn add(layer: &mut LayerBuilder, terms: [(Signal, f32); 2]) -> Result<Signal, BuildError> {
    let [(first, first_factor), (second, second_factor)] = terms;
    let [a, b] = [layer.dense(first)?, layer.dense(second)?];
    if (a.domain(), a.width()) != (b.domain(), b.width()) {
        let (a, b) = (a.width(), b.width());
        return Err(layer.refuse(format!("adds signals {a} and {b} wide; give both one width, on the same rows")));
    }
    let output = layer.signal(a.domain(), a.width(), first.learns() || second.learns())?;
    let forward = write_rows(
        layer,
        "add",
        Cut::Even,
        [a, b],
        output.value(),
        #[inline(always)]
        move |_, [a, b], rows, output| {
            let terms = a.slice(rows.clone()).iter().zip(b.slice(rows));
            for (output, (a, b)) in output.iter_mut().zip(terms) {
                *output = first_factor * a + second_factor * b;
            }
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        for (signal, factor) in terms {
            if let Some(target) = layer.gradient_onto(signal)? {
                let backward = scaled(layer, "add_backward", gradient, factor, target);
                layer.backward(backward);
            }
        }
        Ok(())
    });
    Ok(output)
}

/// `to = factor * from`, or that added to what is there.
pub(super) fn scaled(
    layer: &mut LayerBuilder,
    name: &'static str,
    from: Field,
    factor: f32,
    (to, adds): (Field, bool),
) -> BoxedSystem {
    write_rows(
        layer,
        name,
        Cut::Even,
        [from],
        to,
        #[inline(always)]
        move |_, [from], rows, to| {
            let terms = to.iter_mut().zip(from.slice(rows));
            if adds {
                terms.for_each(|(to, from)| *to += factor * from);
            } else {
                terms.for_each(|(to, from)| *to = factor * from);
            }
        },
    )
}

/// `total += part`, two gradients of one signal.
pub(crate) fn add_gradient(layer: &mut LayerBuilder, part: Field, total: Field) {
    let sum = write_rows(
        layer,
        "add_gradient",
        Cut::Even,
        [part],
        total,
        #[inline(always)]
        |_, [part], rows, total| {
            total.iter_mut().zip(part.slice(rows)).for_each(|(total, part)| *total += part);
        },
    );
    layer.backward(sum);
}

/// `total += part` for some numbers of a parameter's gradient.
pub(crate) fn add_parameter_gradient(layer: &mut LayerBuilder, part: Field, total: Field, numbers: Range<usize>) {
    let sum = write_rows(
        layer,
        "add_gradient",
        Cut::Even,
        [part],
        total,
        #[inline(always)]
        move |_, [part], rows, total| {
            let terms = total.iter_mut().zip(part.slice(rows));
            terms.take(numbers.end).skip(numbers.start).for_each(|(total, part)| *total += part);
        },
    );
    layer.backward(sum);
}
