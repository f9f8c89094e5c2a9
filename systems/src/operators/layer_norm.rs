//! Rows brought to mean 0 and variance 1, each by itself.

use connectome_components::{Parameter, Signal};

use super::{
    epilogue::bias_gradient,
    rows::{Cut, sum_rows, write_rows},
};
use crate::{
    Phase,
    kernels::{moments, sum},
    layers::{BuildError, LayerBuilder},
};

/// `Y[i] = (X[i] - mean X[i]) / sqrt(var X[i] + epsilon) * weight + bias`, mean and variance over the numbers of a row.
///
/// Nothing is kept but the input: the way back takes mean and variance anew.
///
/// # Errors
/// If the signal is sparse, or `weight` or `bias` are not as wide.
pub fn layer_norm(
    layer: &mut LayerBuilder,
    input: Signal,
    weight: &Parameter,
    bias: &Parameter,
    epsilon: f32,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if [weight, bias].iter().any(|parameter| parameter.shape != [1, values.width()]) {
        let width = values.width();
        return Err(layer.refuse(format!("scales and shifts rows {width} wide; give `weight` and `bias` that width")));
    }
    let output = layer.signal(values.domain(), values.width(), true)?;
    let forward = write_rows(
        layer,
        "layer_norm",
        Cut::Even,
        [values, weight.value, bias.value],
        output.value(),
        #[inline(always)]
        move |_, [values, weight, bias], rows, output| {
            let (Some(weight), Some(bias)) = (weight.rows().next(), bias.rows().next()) else { return };
            for (row, output) in rows.zip(output.chunks_exact_mut(values.width())) {
                let values = values.row(row);
                let (mean, reciprocal) = moments(values, epsilon);
                let terms = values.iter().zip(weight).zip(bias);
                for (output, ((value, weight), bias)) in output.iter_mut().zip(terms) {
                    *output = (value - mean) * reciprocal * weight + bias;
                }
            }
        },
    );
    layer.forward(Phase::Update, forward);
    let (weight, bias) = (weight.clone(), bias.clone());
    layer.on_backward(output, &[input], move |layer, gradient| {
        bias_gradient(layer, gradient, &bias)?;
        if let Some(total) = layer.gradient_of_parameter(&weight, 0..1)? {
            let system = sum_rows(
                layer,
                "layer_norm_weight_gradient",
                [gradient, values],
                total,
                0..weight.shape[1],
                #[inline(always)]
                move |[gradient, values], rows, sum| {
                    sum.fill(0.0);
                    for row in rows {
                        let values = values.row(row);
                        let (mean, reciprocal) = moments(values, epsilon);
                        for (sum, (gradient, value)) in sum.iter_mut().zip(gradient.row(row).iter().zip(values)) {
                            *sum += gradient * (value - mean) * reciprocal;
                        }
                    }
                },
            );
            layer.backward(system);
        }
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "layer_norm_backward",
            Cut::Even,
            [gradient, values, weight.value],
            target,
            #[inline(always)]
            move |_, [gradient, values, weight], rows, target| {
                let Some(weight) = weight.rows().next() else { return };
                for (row, target) in rows.zip(target.chunks_exact_mut(values.width())) {
                    row_gradient(gradient.row(row), values.row(row), weight, epsilon, target);
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// With `n = (x - mean) r` and `d = gradient * weight`: `target = r (d - mean d - n mean(d n))`.
#[inline(always)]
fn row_gradient(gradient: &[f32], values: &[f32], weight: &[f32], epsilon: f32, target: &mut [f32]) {
    let width = target.len();
    let share = 1.0 / width as f32;
    let (mean, reciprocal) = moments(values, epsilon);
    let scaled = |place: usize| gradient[place] * weight[place];
    let normal = |place: usize| (values[place] - mean) * reciprocal;
    let first = share * sum(width, scaled);
    let second = share * sum(width, |place| scaled(place) * normal(place));
    for (place, target) in target.iter_mut().enumerate() {
        *target = reciprocal * (scaled(place) - first - normal(place) * second);
    }
}
