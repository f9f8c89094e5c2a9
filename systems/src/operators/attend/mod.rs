//! What a row takes from those that it attends to.

mod backward;
mod recipe;

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Field, Parameter, Signal};

use super::{
    epilogue::bias_gradient,
    relation::Relation,
    rows::{Cut, write_row_pairs, write_rows},
};
use crate::{
    Phase,
    kernels::{Tile, dot},
    layers::{BuildError, LayerBuilder},
};
use recipe::{Parts, Recipe};

/// How the rows that meet in a row share its attention: head by head, by the softmax of their scores.
#[derive(Clone, Debug)]
pub struct Attention {
    /// How many heads share the columns.
    pub heads: usize,
    /// What a row is scored by.
    pub scores: Scores,
    /// What the link adds to the score, by which a row comes to meet another: on edges, as wide as what the rows add.
    pub edges: Option<Signal>,
    /// Whether nodes attend to themselves: a self-loop in place of those that the graph may have.
    pub own: bool,
    /// What these loops add to the score in place of an edge, on nodes.
    pub own_edges: Option<Signal>,
    /// Probability with which a share is set to 0 while training; the others are divided by what is left.
    pub dropout: f32,
}

/// The score `s[ij, h]` that row `i` gives to row `j` which meets it, by link `l`.
#[derive(Clone, Debug)]
pub enum Scores {
    /// `LeakyReLU(S[j, h] + T[i, h] + E[l, h])`.
    Sum {
        /// `S`, `[N, H]`.
        sources: Signal,
        /// `T`, on the rows in which others meet.
        targets: Option<Signal>,
        /// Slope of the rectifier below 0; 1 for none.
        slope: f32,
    },
    /// `a[h] . LeakyReLU(X[j, h] + T[i, h] + E[l, h])`, where `X` are the values.
    Rectified {
        /// `T`, `[N, H C]`.
        targets: Signal,
        /// `a`, `[H, C]`.
        vectors: Parameter,
        /// Slope of the rectifier below 0.
        slope: f32,
    },
    /// `factor * Q[i, h] . (K[j, h] + E[l, h])`; what an edge adds to the key it adds to the value.
    Product {
        /// `K`, `[N, H C]`.
        keys: Signal,
        /// `Q`, on the rows in which others meet.
        queries: Signal,
        /// What the product is multiplied by.
        factor: f32,
    },
}

/// `Y[i, h] = sum over j of w[ij, h] X[j, h] + b` over the rows `j` that meet in `i`, with
/// `w[ij, h] = exp(s[ij, h]) / sum over k of exp(s[ik, h])`: of the `H C` columns of `X`, head `h` has the columns `h C` to
/// `(h + 1) C`. The bias where no rows meet.
///
/// Nothing is made for the links, forward or backward, but the mask of dropout `[E, H]`: the way back computes the shares
/// anew, once by target and once by source, from one number for each head of a row. The largest score is taken off before,
/// so no exponential overflows. Each pass costs `(E + N) H` exponentials and `2 (E + N) H C` multiplications, and up to
/// three times as many where a score is made of rows.
///
/// # Errors
/// If a signal is sparse, or not on the rows where it belongs, or of another width than it should be; if the heads do not
/// divide the columns of `X`, or are more than 256.
pub fn attend(
    layer: &mut LayerBuilder,
    input: Signal,
    attention: Attention,
    relation: Relation,
    bias: Option<&Parameter>,
) -> Result<Signal, BuildError> {
    let parts = Parts::new(layer, input, attention, relation)?;
    let Parts { recipe, fields, .. } = parts;
    let Recipe { heads, width, .. } = recipe;
    let [_, to] = relation.domains(layer.rows());
    let output = layer.signal(to, width, parts.learns() || bias.is_some())?;
    let logarithms = layer.signal(to, heads, false)?;
    let bias = bias.cloned();
    let has_bias = bias.is_some();
    let bias_field = bias.as_ref().map_or(output.value(), |bias| bias.value);
    let [values, sources, targets, edges, own_edges, vectors, masks, own_masks] = fields;
    let inputs = [
        values,
        sources,
        targets,
        edges,
        own_edges,
        vectors,
        masks,
        own_masks,
        bias.as_ref().map_or(values, |bias| bias.value),
    ];
    let forward = write_row_pairs(
        layer,
        "attend",
        relation.cut(),
        inputs,
        [output.value(), logarithms.value()],
        #[inline(always)]
        move |topology, matrices, rows, [output, logarithms]| {
            let attending = recipe.of(matrices);
            let bias = matrices[8].rows().next().filter(|_| has_bias);
            let mut tile = Tile::new(heads);
            let outputs = output.chunks_exact_mut(width).zip(logarithms.chunks_exact_mut(heads));
            for (row, (output, logarithms)) in rows.zip(outputs) {
                attending.begin(&mut tile, output);
                recipe.for_each_tile(
                    topology,
                    row,
                    &mut tile,
                    #[inline(always)]
                    |source| attending.prefetch_source(source),
                    #[inline(always)]
                    |tile| attending.add(tile, output),
                );
                attending.end(&tile, output, logarithms);
                if let Some(bias) = bias {
                    output.iter_mut().zip(bias).for_each(|(number, bias)| *number += bias);
                }
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
    let mut keeps = parts.signals();
    keeps.extend([output, logarithms]);
    layer.on_backward(output, &keeps, move |layer, gradient| {
        if let Some(bias) = &bias {
            bias_gradient(layer, gradient, bias)?;
        }
        let states = layer.signal(to, 2 * heads, false)?;
        let known = [logarithms.value(), gradient, output.value(), bias_field];
        let system = write_states(layer, known, has_bias, states.value());
        layer.backward(system);
        parts.backward(layer, states.value(), gradient)?;
        layer.release(states);
        Ok(())
    });
    layer.release(logarithms);
    Ok(output)
}

/// For each head of a row the logarithm of the sum of the exponentials of its scores, and the product of what it took with
/// the gradient by it.
fn write_states(layer: &mut LayerBuilder, known: [Field; 4], has_bias: bool, states: Field) -> BoxedSystem {
    write_rows(
        layer,
        "attend_states",
        Cut::Even,
        known,
        states,
        #[inline(always)]
        move |_, [logarithms, gradients, outputs, bias], rows, states| {
            let heads = logarithms.width();
            let columns = outputs.width() / heads;
            let bias = bias.rows().next().filter(|_| has_bias);
            for (row, state) in rows.zip(states.chunks_exact_mut(2 * heads)) {
                let (state, means) = state.split_at_mut(heads);
                state.copy_from_slice(logarithms.row(row));
                let (gradient, output) = (gradients.row(row), outputs.row(row));
                for (head, mean) in means.iter_mut().enumerate() {
                    let part = head * columns..(head + 1) * columns;
                    let gradient = &gradient[part.clone()];
                    *mean = dot(gradient, &output[part.clone()]) - bias.map_or(0.0, |bias| dot(gradient, &bias[part]));
                }
            }
        },
    )
}
