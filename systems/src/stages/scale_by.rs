//! Signals times a number that is learned.

use connectome_components::{Field, Parameter, Signal};

use super::rows::{Cut, sum_rows, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Y = (offset + p) X` with the only number `p` of a parameter.
///
/// # Errors
/// If the signal is sparse, or the parameter has more numbers than one.
pub fn scale_by(
    layer: &mut LayerBuilder,
    input: Signal,
    factor: &Parameter,
    offset: f32,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if factor.shape != [1, 1] {
        return Err(layer.refuse(format!("multiplies by a parameter of shape {:?}; give one number", factor.shape)));
    }
    let output = layer.signal(values.domain(), values.width(), input.learns() || factor.gradient.is_some())?;
    let forward = scaled(layer, "scale_by", [values, factor.value], offset, output.value());
    layer.forward(Phase::Update, forward);
    let factor = factor.clone();
    let keeps: &[Signal] = if factor.gradient.is_some() { &[input] } else { &[] };
    layer.on_backward(output, keeps, move |layer, gradient| {
        factor_gradient(layer, &factor, [gradient, values], 1.0)?;
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = scaled(layer, "scale_by_backward", [gradient, factor.value], offset, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// The gradient of a number by which the signal `values` was multiplied: `own` times the sum of all products with
/// `gradient`.
pub(super) fn factor_gradient(
    layer: &mut LayerBuilder,
    factor: &Parameter,
    [gradient, values]: [Field; 2],
    own: f32,
) -> Result<(), BuildError> {
    let Some(total) = layer.gradient_of_parameter(factor, 0..1)? else { return Ok(()) };
    let sum = sum_rows(
        layer,
        "factor_gradient",
        [gradient, values],
        total,
        0..1,
        #[inline(always)]
        move |[gradient, values], rows, sum| {
            let terms = gradient.slice(rows.clone()).iter().zip(values.slice(rows));
            // So many numbers go into one that a narrow sum would lose the last of them.
            sum.fill(own * terms.map(|(gradient, value)| f64::from(gradient * value)).sum::<f64>() as f32);
        },
    );
    layer.backward(sum);
    Ok(())
}

fn scaled(
    layer: &mut LayerBuilder,
    name: &'static str,
    inputs: [Field; 2],
    offset: f32,
    output: Field,
) -> bevy_ecs::system::BoxedSystem {
    write_rows(
        layer,
        name,
        Cut::Even,
        inputs,
        output,
        #[inline(always)]
        move |_, [values, factor], rows, output| {
            let Some([factor]) = factor.rows().next() else { return };
            let factor = offset + factor;
            output.iter_mut().zip(values.slice(rows)).for_each(|(output, value)| *output = factor * value);
        },
    )
}
