//! Scores of rows against learned vectors, head by head.

use connectome_components::{Parameter, Signal};

use super::rows::{Cut, sum_rows, write_rows};
use crate::{
    Phase,
    kernels::dot,
    layers::{BuildError, LayerBuilder},
};

/// `s[i, h] = sum over c of X[i, h c] a[h, c]`: `X` is `[N, H C]`, the vectors `a` are `[H, C]`. Costs `N H C`
/// multiplications.
///
/// # Errors
/// If the signal is sparse, or not as wide as all vectors together.
pub fn head_scores(layer: &mut LayerBuilder, input: Signal, vectors: &Parameter) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let [heads, columns] = vectors.shape;
    if values.width() != heads * columns {
        let width = values.width();
        return Err(layer.refuse(format!("scores {width} columns by {heads} vectors of {columns}; give it as many")));
    }
    let output = layer.signal(values.on(), heads, true)?;
    let forward = write_rows(
        layer,
        "head_scores",
        Cut::Even,
        [values, vectors.value],
        output.value(),
        #[inline(always)]
        move |_, [values, vectors], rows, output| {
            let Some(vectors) = vectors.rows().next() else { return };
            for (row, output) in rows.zip(output.chunks_exact_mut(heads)) {
                let heads = values.row(row).chunks_exact(columns).zip(vectors.chunks_exact(columns));
                output.iter_mut().zip(heads).for_each(|(output, (values, vector))| *output = dot(values, vector));
            }
        },
    );
    layer.forward(Phase::Update, forward);
    let vectors = vectors.clone();
    layer.on_backward(output, &[input], move |layer, gradient| {
        if let Some(total) = layer.gradient_of_parameter(&vectors, 0..heads)? {
            let backward = sum_rows(
                layer,
                "vectors_gradient",
                [values, gradient],
                total,
                0..heads * columns,
                #[inline(always)]
                move |[values, gradient], rows, sum| {
                    sum.fill(0.0);
                    for row in rows {
                        let heads = sum.chunks_exact_mut(columns).zip(values.row(row).chunks_exact(columns));
                        for ((sum, values), gradient) in heads.zip(gradient.row(row)) {
                            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += gradient * value);
                        }
                    }
                },
            );
            layer.backward(backward);
        }
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "head_scores_backward",
            Cut::Even,
            [gradient, vectors.value],
            target,
            #[inline(always)]
            move |_, [gradient, vectors], rows, target| {
                let Some(vectors) = vectors.rows().next() else { return };
                for (row, target) in rows.zip(target.chunks_exact_mut(heads * columns)) {
                    let heads = target.chunks_exact_mut(columns).zip(vectors.chunks_exact(columns));
                    for ((target, vector), gradient) in heads.zip(gradient.row(row)) {
                        target.iter_mut().zip(vector).for_each(|(target, number)| *target = gradient * number);
                    }
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}
