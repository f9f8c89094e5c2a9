//! Systems that take the columns of a row in equal parts, the *heads*, and each head by itself.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Field, Matrix};

use super::{
    epilogue::Epilogue,
    relation::Relation,
    rows::{Cut, write_rows},
};
use crate::{
    kernels::{Terms, dot, gather_columns},
    layers::LayerBuilder,
};

/// The numbers that heads are weighed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadWeights {
    /// By link, `[links, H]`.
    pub(super) others: Field,
    /// Of the row itself, `[rows, H]`.
    pub(super) own: Option<Field>,
}

/// `Y[i, h] = w[i, h] X[i, h] + sum over links l from j to i of w[l, h] X[j, h] + b`, where `X[j, h]` are the `C` columns
/// of head `h`. With `back` the links are followed to the other end.
///
/// With a single column in each head, the links are gone through once for all of them and not for each.
pub(super) fn weighted_sums(
    layer: &mut LayerBuilder,
    name: &'static str,
    (relation, back): (Relation, bool),
    values: Field,
    weights: HeadWeights,
    epilogue: &Epilogue,
    output: Field,
) -> BoxedSystem {
    let HeadWeights { others, own } = weights;
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(others, others));
    write_rows(
        layer,
        name,
        if back { relation.cut_back() } else { relation.cut() },
        [values, others, own.unwrap_or(others), bias, blended],
        output,
        #[inline(always)]
        move |topology, [values, weights, own_weights, bias, blended], rows, output| {
            let width = values.width();
            let columns = width / weights.width();
            for (row, output) in rows.clone().zip(output.chunks_exact_mut(width)) {
                let itself = [row as u32];
                let [ends, links] = match back {
                    false => relation.linked(topology, row),
                    true => relation.linked_back(topology, &itself),
                };
                let own = own.map(|_| (row, own_weights.row(row)));
                if columns == 1 {
                    sum_columns([ends, links], own, values, weights, output);
                    continue;
                }
                for (head, output) in output.chunks_exact_mut(columns).enumerate() {
                    let own = own.map(|(row, weights)| (row, weights[head]));
                    gather_columns(&Head { rows: ends, links, own, weights, head }, values, head * columns, output);
                }
            }
            finish.apply([bias, blended], rows, output, width);
        },
    )
}

/// The sum with one column in each head.
#[inline(always)]
fn sum_columns(
    [rows, links]: [&[u32]; 2],
    own: Option<(usize, &[f32])>,
    values: &Matrix,
    weights: &Matrix,
    output: &mut [f32],
) {
    output.fill(0.0);
    let mut add = |row: usize, weights: &[f32]| {
        let terms = values.row(row).iter().zip(weights);
        output.iter_mut().zip(terms).for_each(|(output, (value, weight))| *output += weight * value);
    };
    if let Some((row, weights)) = own {
        add(row, weights);
    }
    for (row, link) in rows.iter().zip(links) {
        add(*row as usize, weights.row(*link as usize));
    }
}

/// What one head of a row is the sum of.
struct Head<'a> {
    rows: &'a [u32],
    links: &'a [u32],
    own: Option<(usize, f32)>,
    weights: &'a Matrix<'a>,
    head: usize,
}

impl Terms for Head<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, f32)) {
        if let Some((row, weight)) = self.own {
            add(row, weight);
        }
        for (row, link) in self.rows.iter().zip(self.links) {
            add(*row as usize, self.weights.row(*link as usize)[self.head]);
        }
    }
}

/// `w[l, h] = factor * sum over c of A[j, h c] B[i, h c]` for each link from `j` to `i`, zeros for one that leads nowhere;
/// without a relation `i` and `j` are the row itself.
pub(super) fn head_products(
    layer: &mut LayerBuilder,
    name: &'static str,
    relation: Option<Relation>,
    [from, to]: [Field; 2],
    factor: f32,
    output: Field,
) -> BoxedSystem {
    let heads = output.width();
    write_rows(
        layer,
        name,
        Cut::Even,
        [from, to],
        output,
        #[inline(always)]
        move |topology, [from, to], rows, output| {
            let columns = from.width() / heads;
            for (row, output) in rows.zip(output.chunks_exact_mut(heads)) {
                let ends = match relation {
                    Some(relation) => relation.ends(topology, row),
                    None => Some([row, row]),
                };
                let Some([j, i]) = ends else {
                    output.fill(0.0);
                    continue;
                };
                if columns == 1 {
                    let terms = from.row(j).iter().zip(to.row(i));
                    output.iter_mut().zip(terms).for_each(|(output, (from, to))| *output = factor * (from * to));
                    continue;
                }
                let parts = from.row(j).chunks_exact(columns).zip(to.row(i).chunks_exact(columns));
                for (output, (from, to)) in output.iter_mut().zip(parts) {
                    *output = factor * dot(from, to);
                }
            }
        },
    )
}
