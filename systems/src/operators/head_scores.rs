//! Scores of rows against learned vectors, head by head.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Field, Parameter, Signal};

use super::rows::{Cut, sum_rows, write_row_pairs, write_rows};
use crate::{
    Phase,
    kernels::multiply_heads,
    layers::{BuildError, LayerBuilder},
};

/// `s[i, h] = sum over c of X[i, h c] a[h, c]` for one set of vectors `a`, or for two in one pass over the rows: `X` is
/// `[N, H C]`, the vectors are `[H, C]` each, the scores `[N, H]`. Costs `N H C` multiplications for each.
///
/// # Errors
/// If the signal is sparse, or not as wide as all vectors of a set together.
pub fn head_scores<const K: usize>(
    layer: &mut LayerBuilder,
    input: Signal,
    vectors: [&Parameter; K],
) -> Result<[Signal; K], BuildError> {
    const { assert!(K == 1 || K == 2) }
    let values = layer.dense(input)?;
    let (first, last) = (vectors[0], vectors[K - 1]);
    let [heads, columns] = first.shape;
    if values.width() != heads * columns || last.shape != first.shape {
        let width = values.width();
        return Err(layer.refuse(format!("scores {width} columns by {heads} vectors of {columns}; give it as many")));
    }
    let mut outputs = [input; K];
    for output in &mut outputs {
        *output = layer.signal(values.domain(), heads, true)?;
    }
    let given = [values, first.value, last.value];
    let forward = forward(layer, given, [outputs[0], outputs[K - 1]].map(|output| output.value()), heads);
    layer.forward(Phase::Update, forward);
    let sets = vectors.map(Parameter::clone);
    layer.on_backward_of(&outputs, &[input], move |layer, gradients| {
        let mut given = Vec::new();
        for (vectors, gradient) in sets.iter().zip(gradients) {
            let Some(gradient) = *gradient else { continue };
            given.push((vectors.value, gradient));
            if let Some(total) = layer.gradient_of_parameter(vectors, 0..heads)? {
                let backward = vectors_gradient(layer, [values, gradient], total, [heads, columns]);
                layer.backward(backward);
            }
        }
        let (Some(&first), Some(&last)) = (given.first(), given.last()) else { return Ok(()) };
        let Some((target, adds)) = layer.gradient_onto(input)? else { return Ok(()) };
        let backward = backward(layer, [first, last], given.len(), target, adds);
        layer.backward(backward);
        Ok(())
    });
    Ok(outputs)
}

/// The scores by the first vectors, and by the second ones if these have an output of their own.
fn forward(layer: &mut LayerBuilder, given: [Field; 3], [first, last]: [Field; 2], heads: usize) -> BoxedSystem {
    const NAME: &str = "head_scores";
    if first == last {
        return write_rows(
            layer,
            NAME,
            Cut::Even,
            given,
            first,
            #[inline(always)]
            move |_, [values, vectors, _], rows, scores| {
                let Some(vectors) = vectors.rows().next() else { return };
                for (row, scores) in rows.zip(scores.chunks_exact_mut(heads)) {
                    multiply_heads(values.row(row), vectors, scores);
                }
            },
        );
    }
    write_row_pairs(
        layer,
        NAME,
        Cut::Even,
        given,
        [first, last],
        #[inline(always)]
        move |_, [values, first, last], rows, [first_scores, last_scores]| {
            let (Some(first), Some(last)) = (first.rows().next(), last.rows().next()) else { return };
            let scores = first_scores.chunks_exact_mut(heads).zip(last_scores.chunks_exact_mut(heads));
            for (row, (first_scores, last_scores)) in rows.zip(scores) {
                multiply_heads(values.row(row), first, first_scores);
                multiply_heads(values.row(row), last, last_scores);
            }
        },
    )
}

fn vectors_gradient(
    layer: &mut LayerBuilder,
    given: [Field; 2],
    total: Field,
    [heads, columns]: [usize; 2],
) -> BoxedSystem {
    sum_rows(
        layer,
        "vectors_gradient",
        given,
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
    )
}

/// The gradient by the rows: the vectors times the gradients by their scores, of one set or of two. Adds to what is in the
/// target if it `adds`.
fn backward(
    layer: &mut LayerBuilder,
    [(first, first_gradient), (last, last_gradient)]: [(Field, Field); 2],
    sets: usize,
    target: Field,
    adds: bool,
) -> BoxedSystem {
    write_rows(
        layer,
        "head_scores_backward",
        Cut::Even,
        [first, last, first_gradient, last_gradient],
        target,
        #[inline(always)]
        move |_, [first, last, first_gradient, last_gradient], rows, target| {
            let (Some(first), Some(last)) = (first.rows().next(), last.rows().next()) else { return };
            if !adds {
                target.fill(0.0);
            }
            let columns = first.len() / first_gradient.width();
            for (row, target) in rows.zip(target.chunks_exact_mut(first.len())) {
                add_vectors(first, first_gradient.row(row), columns, target);
                if sets == 2 {
                    add_vectors(last, last_gradient.row(row), columns, target);
                }
            }
        },
    )
}

/// `target[h, c] += gradient[h] * vectors[h, c]`.
#[inline(always)]
fn add_vectors(vectors: &[f32], gradient: &[f32], columns: usize, target: &mut [f32]) {
    let heads = target.chunks_exact_mut(columns).zip(vectors.chunks_exact(columns));
    for ((target, vector), gradient) in heads.zip(gradient) {
        for (target, number) in target.iter_mut().zip(vector) {
            *target += gradient * number;
        }
    }
}
