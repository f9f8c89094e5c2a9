//! Mean and standard deviation of the rows that meet.

use connectome_components::Signal;

use super::{
    relation::{Relation, Uniform},
    rows::write_rows,
};
use crate::{
    Phase,
    kernels::gather_rows,
    layers::{BuildError, LayerBuilder},
};

/// A variance that is no more than this counts as 0, as in PyTorch Geometric: the root of a smaller one is too steep.
const SMALLEST_VARIANCE: f32 = 1e-5;

/// The mean of the rows that meet and, side by side with it, their standard deviation `sqrt(mean of (X - mean)^2)`;
/// `[N, F]` to `[M, 2 F]`, zeros where none meet.
///
/// # Errors
/// If the signal is sparse, or not on the rows that meet.
pub fn moments(layer: &mut LayerBuilder, input: Signal, relation: Relation) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let [from, to] = relation.domains(layer.rows());
    if values.domain() != from {
        return Err(layer.refuse(format!("reduces {relation:?}, but its input is on other rows")));
    }
    let width = values.width();
    let output = layer.signal(to, 2 * width, input.learns())?;
    let results = output.value();
    let forward = write_rows(
        layer,
        "moments",
        relation.cut(),
        [values],
        results,
        #[inline(always)]
        move |topology, [values], rows, output| {
            for (row, output) in rows.zip(output.chunks_exact_mut(2 * width)) {
                let rows = relation.meeting(topology, row);
                let (mean, deviation) = output.split_at_mut(width);
                let share = 1.0 / rows.len().max(1) as f32;
                gather_rows(row..row + 1, |_| Uniform { rows, coefficient: share }, values, false, mean);
                deviation.fill(0.0);
                for row in rows {
                    let terms = deviation.iter_mut().zip(mean.iter().zip(values.row(*row as usize)));
                    terms.for_each(|(sum, (mean, value))| *sum += (value - mean) * (value - mean));
                }
                for number in deviation {
                    let variance = *number * share;
                    *number = if variance > SMALLEST_VARIANCE { variance.sqrt() } else { 0.0 };
                }
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
    layer.on_backward(output, &[input, output], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        // With n rows the gradient by one of them is g_mean / n + g_deviation (x - mean) / (n deviation), which is a + c x
        // with `a` and `c` that are the same for all. They take the place of the two gradients.
        let settle = write_rows(
            layer,
            "moments_backward",
            relation.cut(),
            [results],
            gradient,
            #[inline(always)]
            move |topology, [results], rows, gradient| {
                for (row, gradient) in rows.zip(gradient.chunks_exact_mut(2 * width)) {
                    let share = 1.0 / relation.meeting(topology, row).len().max(1) as f32;
                    let (mean, deviation) = results.row(row).split_at(width);
                    let (constants, slopes) = gradient.split_at_mut(width);
                    let terms = constants.iter_mut().zip(slopes).zip(mean.iter().zip(deviation));
                    for ((constant, slope), (mean, deviation)) in terms {
                        *slope = if *deviation > 0.0 { share * *slope / deviation } else { 0.0 };
                        *constant = share * *constant - *slope * mean;
                    }
                }
            },
        );
        layer.backward(settle);
        let backward = write_rows(
            layer,
            "moments_backward",
            relation.cut_back(),
            [values, gradient],
            target,
            #[inline(always)]
            move |topology, [values, gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                    target.fill(0.0);
                    for point in relation.meeting_points(topology, row) {
                        let (constants, slopes) = gradient.row(*point as usize).split_at(width);
                        let terms = target.iter_mut().zip(values.row(row)).zip(constants.iter().zip(slopes));
                        for ((target, value), (constant, slope)) in terms {
                            *target += constant + slope * value;
                        }
                    }
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}
