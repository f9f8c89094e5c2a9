//! Weighted sums over neighbours.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Adjacency, Field, Matrix, Normalization, Signal};

use super::{
    dropout::draw_mask,
    epilogue::{Epilogue, scale},
    rows::{Cut, write_rows},
};
use crate::{
    Phase,
    kernels::{Terms, gather},
    layers::{BuildError, LayerBuilder},
};

/// `Y[i] = f(c[i] X[i] + sum over edges j -> i of c[ij] X[j] + b)` with the coefficients of a normalisation, a bias and an
/// activation whose derivative is told from its output; and what else the epilogue adds, as the initial signal that a
/// propagation comes back to.
///
/// # Errors
/// If the signal is sparse, or not on nodes, or the epilogue blends in what has another shape.
pub fn aggregate(
    layer: &mut LayerBuilder,
    input: Signal,
    normalization: Normalization,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    aggregate_masked(layer, input, normalization, None, epilogue)
}

/// What the coefficients of a sum are multiplied by: those of the nodes themselves `[N, 1]`, and those of the edges `[E, 1]`.
#[derive(Clone, Copy, Debug)]
pub struct CoefficientMask {
    nodes: Signal,
    edges: Signal,
}

impl CoefficientMask {
    /// A mask that sets each coefficient to 0 with probability `rate`, and divides the others by `1 - rate`. None outside of
    /// training.
    ///
    /// # Errors
    /// If the rate is no share below 1.
    pub fn draw(layer: &mut LayerBuilder, rate: f32) -> Result<Option<Self>, BuildError> {
        let rows = layer.rows();
        let nodes = draw_mask(layer, rows.nodes, 1, rate)?;
        let edges = draw_mask(layer, rows.edges, 1, rate)?;
        Ok(nodes.zip(edges).map(|(nodes, edges)| Self { nodes, edges }))
    }

    /// Says that no forward system added from now on reads it.
    pub fn release(&self, layer: &mut LayerBuilder) {
        [self.nodes, self.edges].into_iter().for_each(|signal| layer.release(signal));
    }
}

/// As [`aggregate`], with each coefficient `c[i]` and `c[ij]` multiplied by its number of a mask, which is kept for the way
/// back.
///
/// # Errors
/// Those of [`aggregate`].
pub fn aggregate_masked(
    layer: &mut LayerBuilder,
    input: Signal,
    normalization: Normalization,
    mask: Option<CoefficientMask>,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let masks = mask.map(|mask| [mask.nodes, mask.edges]);
    let values = layer.dense(input)?;
    if values.on() != layer.rows().nodes {
        return Err(layer.refuse("sums over neighbours, so its input is to be on nodes"));
    }
    epilogue.check(layer, values.on(), values.width())?;
    let terms = Coefficients { place: layer.require(normalization), masked: masks.is_some() };
    let learns = input.learns() || epilogue.learns();
    let output = layer.signal(values.on(), values.width(), learns)?;
    let [own, edges] = masks.map_or([values; 2], |masks| masks.map(|mask| mask.value()));
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(values, values));
    let forward = write_rows(
        layer,
        "aggregate",
        Cut::Incoming,
        [values, bias, blended, own, edges],
        output.value(),
        #[inline(always)]
        move |topology, [values, bias, blended, own, edges], rows, output| {
            let width = values.width();
            for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                gather(&terms.of(&topology.incoming, [own, edges], row), values, output);
                finish.apply([bias, blended], row..row + 1, output, width);
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
    let mut keeps = epilogue.keeps(output);
    keeps.extend(masks.iter().flatten());
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        if let Some(target) = layer.gradient_of(input)? {
            let factors = [Some(epilogue.own_factor()), epilogue.factor_of(input)];
            let masks = masks.map(|masks| masks.map(|mask| mask.value()));
            let backward = aggregate_backward(layer, terms, factors, masks.unwrap_or([gradient; 2]), gradient, target);
            layer.backward(backward);
        }
        epilogue.backward_blend(layer, Some(input), gradient)
    });
    Ok(output)
}

/// `target = own * A^T gradient`, and where the input is blended into the output that times `gradient` besides.
fn aggregate_backward(
    layer: &mut LayerBuilder,
    terms: Coefficients,
    [own_factor, blended]: [Option<f32>; 2],
    [own, edges]: [Field; 2],
    gradient: Field,
    target: Field,
) -> BoxedSystem {
    write_rows(
        layer,
        "aggregate_backward",
        Cut::Outgoing,
        [gradient, own, edges],
        target,
        #[inline(always)]
        move |topology, [gradient, own, edges], rows, target| {
            for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                gather(&terms.of(&topology.outgoing, [own, edges], row), gradient, target);
                scale(own_factor.unwrap_or(1.0), target);
                if let Some(factor) = blended {
                    let terms = target.iter_mut().zip(gradient.row(row));
                    terms.for_each(|(target, gradient)| *target += factor * gradient);
                }
            }
        },
    )
}

/// Where the coefficients of a sum stand.
#[derive(Clone, Copy)]
struct Coefficients {
    place: usize,
    masked: bool,
}

impl Coefficients {
    #[inline(always)]
    fn of<'a>(self, adjacency: &'a Adjacency, masks: [&'a Matrix<'a>; 2], row: usize) -> Neighbours<'a> {
        Neighbours { adjacency, coefficients: self.place, masks: self.masked.then_some(masks), row }
    }
}

/// A node and its neighbours.
struct Neighbours<'a> {
    adjacency: &'a Adjacency,
    coefficients: usize,
    /// What the node's own coefficient and those of the edges are multiplied by.
    masks: Option<[&'a Matrix<'a>; 2]>,
    row: usize,
}

impl Terms for Neighbours<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, f32)) {
        let coefficients = &self.adjacency.coefficients[self.coefficients];
        let entries = self.adjacency.entries(self.row);
        let own = coefficients.own[self.row];
        let neighbours = &self.adjacency.neighbours[entries.clone()];
        let terms = neighbours.iter().zip(&coefficients.edges[entries.clone()]);
        match self.masks {
            None => {
                add(self.row, own);
                for (neighbour, coefficient) in terms {
                    add(*neighbour as usize, *coefficient);
                }
            }
            Some([nodes, edges]) => {
                add(self.row, own * nodes.row(self.row)[0]);
                for ((neighbour, coefficient), edge) in terms.zip(&self.adjacency.edges[entries]) {
                    add(*neighbour as usize, coefficient * edges.row(*edge as usize)[0]);
                }
            }
        }
    }
}
