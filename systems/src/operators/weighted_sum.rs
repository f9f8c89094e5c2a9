//! Sums of neighbours by weights that edges carry.

use connectome_components::{Adjacency, Field, Matrix, Signal};

use super::{
    epilogue::Epilogue,
    relation::Relation,
    rows::{Cut, write_rows},
};
use crate::{
    Phase,
    kernels::{HeadTerms, add_heads, multiply_heads},
    layers::{BuildError, LayerBuilder},
};

/// `Y[i, h] = f(sum over edges e from j to i of W[e, h] X[j, h] + b)`: of the `H C` columns of `X` on nodes, head `h` has the
/// columns `h C` to `(h + 1) C`; `W` is `[E, H]` on edges. Zeros, and the bias, where no edge comes to.
///
/// Nothing of a size `[E, H C]` is made, forward or backward. Costs `E H C` multiplications, and twice as many backward.
///
/// # Errors
/// If a signal is sparse, or not on the rows where it belongs, or the heads do not divide the columns of `X`.
pub fn weighted_sum(
    layer: &mut LayerBuilder,
    input: Signal,
    weights: Signal,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let [values, by_link] = [layer.dense(input)?, layer.dense(weights)?];
    let rows = layer.rows();
    if [values.domain(), by_link.domain()] != [rows.nodes, rows.edges] {
        return Err(layer.refuse("sums neighbours by weights, so give values on nodes and weights on edges"));
    }
    check_heads(layer, values, by_link.width())?;
    epilogue.check(layer, values.domain(), values.width())?;
    let (heads, width) = (by_link.width(), values.width());
    let learns = input.learns() || weights.learns() || epilogue.learns();
    let output = layer.signal(values.domain(), width, learns)?;
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(values, values));
    let forward = write_rows(
        layer,
        "weighted_sum",
        Cut::Incoming,
        [values, by_link, bias, blended],
        output.value(),
        #[inline(always)]
        move |topology, [values, weights, bias, blended], rows, output| {
            for (row, output) in rows.clone().zip(output.chunks_exact_mut(width)) {
                output.fill(0.0);
                add_heads(&Linked { adjacency: &topology.incoming, row, weights }, values, heads, output);
            }
            finish.apply([bias, blended], rows, output, width);
        },
    );
    layer.forward(Phase::Aggregate, forward);
    let mut keeps = epilogue.keeps(output);
    keeps.extend([input, weights]);
    layer.on_backward(output, &keeps, move |layer, gradient| {
        const NAME: &str = "weighted_sum_backward";
        epilogue.backward(layer, output.value(), gradient)?;
        if let Some(target) = layer.gradient_of(weights)? {
            let backward = write_rows(
                layer,
                NAME,
                Cut::Even,
                [values, gradient],
                target,
                #[inline(always)]
                move |topology, [values, gradient], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(heads)) {
                        let Some([source, place]) = Relation::Neighbours.ends(topology, row) else {
                            target.fill(0.0);
                            continue;
                        };
                        multiply_heads(values.row(source), gradient.row(place), target);
                    }
                },
            );
            layer.backward(backward);
        }
        if let Some(target) = layer.gradient_of(input)? {
            let backward = write_rows(
                layer,
                NAME,
                Cut::Outgoing,
                [gradient, by_link],
                target,
                #[inline(always)]
                move |topology, [gradient, weights], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                        target.fill(0.0);
                        add_heads(&Linked { adjacency: &topology.outgoing, row, weights }, gradient, heads, target);
                    }
                },
            );
            layer.backward(backward);
        }
        epilogue.backward_blend(layer, None, gradient)
    });
    Ok(output)
}

/// Sees that so many heads share the columns of a field.
pub(super) fn check_heads(layer: &LayerBuilder, values: Field, heads: usize) -> Result<(), BuildError> {
    if values.width().is_multiple_of(heads) {
        return Ok(());
    }
    let width = values.width();
    Err(layer.refuse(format!("divides {width} columns among {heads} heads; give each head as many")))
}

/// The neighbours of a row with the weights of the edges by which they are.
struct Linked<'a> {
    adjacency: &'a Adjacency,
    row: usize,
    weights: &'a Matrix<'a>,
}

impl HeadTerms for Linked<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, &[f32])) {
        let entries = self.adjacency.entries(self.row);
        for (row, edge) in self.adjacency.neighbors[entries.clone()].iter().zip(&self.adjacency.edges[entries]) {
            add(*row as usize, self.weights.row(*edge as usize));
        }
    }
}
