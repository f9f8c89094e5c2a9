//! Scores of rows, head by head: against learned vectors, and against each other.

use connectome_components::{Parameter, Signal};

use super::{
    attend::check_heads,
    epilogue::Epilogue,
    heads::{HeadWeights, head_products, weighted_sums},
    relation::Relation,
    rows::{Cut, sum_rows, write_rows},
};
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

/// `s[l, h] = factor * sum over c of K[j, h c] Q[i, h c]` for each link `l` by which `j` comes to `i`, on the links: `K`
/// is on the rows that meet, `Q` on those in which they meet. Zeros for links that lead nowhere.
///
/// Nothing of a size `[E, H C]` is made. Costs `E H C` multiplications, and twice as many backward.
///
/// # Errors
/// If a signal is sparse or not on the rows where it belongs, the two are of different width, or the heads do not divide
/// it.
pub fn score_links(
    layer: &mut LayerBuilder,
    [keys, queries]: [Signal; 2],
    relation: Relation,
    heads: usize,
    factor: f32,
) -> Result<Signal, BuildError> {
    let [from, to] = [layer.dense(keys)?, layer.dense(queries)?];
    if [from.on(), to.on()] != relation.domains(layer.rows()) || from.width() != to.width() {
        let reason = format!("scores {relation:?} by signals on other rows, or of different width");
        return Err(layer.refuse(reason));
    }
    check_heads(layer, from, heads)?;
    let links = relation.links(layer.rows());
    let output = layer.signal(links, heads, keys.learns() || queries.learns())?;
    let forward = head_products(layer, "score_links", Some(relation), [from, to], factor, output.value());
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &[keys, queries], move |layer, gradient| {
        const NAME: &str = "score_links_backward";
        if factor != 1.0 {
            let scaled = write_rows(
                layer,
                NAME,
                Cut::Even,
                [from],
                gradient,
                #[inline(always)]
                move |_, _, _, gradient| gradient.iter_mut().for_each(|number| *number *= factor),
            );
            layer.backward(scaled);
        }
        let weights = HeadWeights { others: gradient, own: None };
        for (signal, other, back) in [(keys, to, true), (queries, from, false)] {
            let Some(target) = layer.gradient_of(signal)? else { continue };
            let way = (relation, back);
            let backward = weighted_sums(layer, NAME, way, other, weights, &Epilogue::default(), target);
            layer.backward(backward);
        }
        Ok(())
    });
    Ok(output)
}
