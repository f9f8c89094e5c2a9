//! Weighted sums over neighbours.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Adjacency, Coefficients, Field, Matrix, Normalization, Parameter, Signal};
use core::ops::Range;

use super::{
    dropout::draw_mask,
    epilogue::Epilogue,
    linear::linear,
    rows::{Cut, Run, write_rows, write_rows_when},
    scale_by::factor_gradient,
};
use crate::{
    Phase,
    kernels::{self, Operand, for_each_ahead, gather_rows, matmul},
    layers::{BuildError, Constant, LayerBuilder, Mode},
};

/// `Y[i] = f(c[i] X[i] + sum over edges j -> i of c[ij] X[j] + b)` with the coefficients of a normalisation, a bias and an
/// activation whose derivative is told from its output; and what else the epilogue adds, as the initial signal that a
/// propagation comes back to.
///
/// What has no epilogue and only reads the input of a model stays as it is until the input or the edges change: it is
/// computed then and kept in a column of its own.
///
/// # Errors
/// If the signal is sparse, or not on nodes, or the epilogue blends in what has another shape, or the parameter for the row
/// itself has more numbers than one.
pub fn aggregate(
    layer: &mut LayerBuilder,
    input: Signal,
    coefficients: impl Into<NeighbourCoefficients>,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let NeighbourCoefficients { normalization, mask, own } = coefficients.into();
    let epilogue = layer.in_passing(epilogue);
    let values = layer.dense(input)?;
    if values.domain() != layer.rows().nodes {
        return Err(layer.refuse("sums over neighbours, so its input is to be on nodes"));
    }
    if let Some(own) = own.as_ref().filter(|own| own.shape != [1, 1]) {
        return Err(layer.refuse(format!("multiplies by a parameter of shape {:?}; give one number", own.shape)));
    }
    epilogue.check(layer, values.domain(), values.width())?;
    let fields = Terms {
        place: layer.require(normalization),
        masks: mask.map(|mask| [mask.nodes.value(), mask.edges.value()]),
        own: own.as_ref().map(|own| own.value),
        factor: 1.0,
    };
    let own_learns = own.as_ref().is_some_and(|own| own.gradient.is_some());
    let is_constant = mask.is_none() && !own_learns && epilogue.does_nothing() && layer.is_constant(input);
    let output = if is_constant {
        let constant = Constant { graph: layer.graph(), input: values, coefficients: fields.place, own: fields.own };
        layer.constant(constant)?
    } else {
        let learns = input.learns() || own_learns || epilogue.learns();
        layer.signal(values.domain(), values.width(), learns)?
    };
    let finish = epilogue.finish();
    let [bias, blended] = epilogue.fields(values, values);
    let run = if is_constant { Run::OnChange } else { Run::Always };
    let forward = fields.sum_rows(
        layer,
        ("aggregate", Cut::Incoming, run),
        [values, bias, blended],
        (output.value(), false),
        #[inline(always)]
        move |[values, bias, blended], rows, output| finish.apply([bias, blended], rows, output, values.width()),
    );
    layer.forward(Phase::Aggregate, forward);
    let mut keeps = epilogue.keeps(output);
    keeps.extend(mask.iter().flat_map(|mask| [mask.nodes, mask.edges]));
    if own_learns {
        keeps.push(input);
    }
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        if let Some(own) = &own {
            factor_gradient(layer, own, [gradient, values], epilogue.own_factor())?;
        }
        if let Some((target, adds)) = layer.gradient_onto(input)? {
            let blended = epilogue.factor_of(input);
            let backward = Terms { factor: epilogue.own_factor(), ..fields }.sum_rows(
                layer,
                ("aggregate_backward", Cut::Outgoing, Run::Always),
                [gradient; 3],
                (target, adds),
                #[inline(always)]
                move |[gradient, ..], rows, target| {
                    if let Some(factor) = blended {
                        let terms = target.iter_mut().zip(gradient.slice(rows));
                        terms.for_each(|(target, gradient)| *target += factor * gradient);
                    }
                },
            );
            layer.backward(backward);
        }
        epilogue.backward_blend(layer, Some(input), gradient)
    });
    Ok(output)
}

/// `Y = f(A X W + b)`: [`aggregate`] and then [`linear`](super::linear), for inference in one pass, in which the sums of
/// some rows are multiplied before those of the next are made. It is the layer's last stage.
///
/// # Errors
/// Those of both.
pub fn aggregate_and_map(
    layer: &mut LayerBuilder,
    input: Signal,
    normalization: Normalization,
    weight: &Parameter,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    /// Sums that are made before they are multiplied: as many as fit into a first-level cache, on the stack of a worker.
    const SUMS: usize = 8192;
    /// Fewer rows are not multiplied at full speed.
    const LEAST_ROWS: usize = 32;

    let values = layer.dense(input)?;
    let fits = input.width() * LEAST_ROWS <= SUMS && weight.shape[0] == input.width();
    if layer.mode() == Mode::Training || layer.is_constant(input) || !fits || values.domain() != layer.rows().nodes {
        // The way back reads the sums.
        let sums = aggregate(layer, input, normalization, Epilogue::default())?;
        layer.release(input);
        layer.last_stage();
        return linear(layer, sums, weight, epilogue);
    }
    layer.last_stage();
    let epilogue = layer.in_passing(epilogue);
    let [inputs, width] = weight.shape;
    epilogue.check(layer, values.domain(), width)?;
    let place = layer.require(normalization);
    let output = layer.signal(values.domain(), width, false)?;
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(weight.value, values));
    let forward = write_rows(
        layer,
        "aggregate_and_map",
        Cut::Incoming,
        [values, weight.value, bias, blended],
        output.value(),
        #[inline(always)]
        move |topology, [values, weight, bias, blended], rows, output| {
            let Some(weight) = weight.rows().next() else { return };
            let adjacency = &topology.incoming;
            let coefficients = &adjacency.coefficients[place];
            let terms = |row| Neighbours { adjacency, coefficients, masks: None, own: None, factor: 1.0, row };
            let mut sums = [0.0; SUMS];
            let count = SUMS / inputs;
            for (start, output) in rows.clone().step_by(count).zip(output.chunks_mut(count * width)) {
                let rows = start..(start + count).min(rows.end);
                let sums = &mut sums[..rows.len() * inputs];
                gather_rows(rows.clone(), terms, values, false, sums);
                matmul(Operand::new(sums, inputs), Operand::new(weight, width), output);
                finish.apply([bias, blended], rows, output, width);
            }
        },
    );
    layer.forward(Phase::Aggregate, forward);
    Ok(output)
}

/// What the terms of a sum over neighbours are multiplied by.
#[derive(Clone, Debug)]
pub struct NeighbourCoefficients {
    normalization: Normalization,
    mask: Option<CoefficientMask>,
    own: Option<Parameter>,
}

impl From<Normalization> for NeighbourCoefficients {
    fn from(normalization: Normalization) -> Self {
        Self { normalization, mask: None, own: None }
    }
}

impl NeighbourCoefficients {
    /// The same, each multiplied by its number of a mask, which is kept for the way back.
    pub fn masked(self, mask: Option<CoefficientMask>) -> Self {
        Self { mask, ..self }
    }

    /// The same, but the row itself is multiplied by `1 + p` with the only number `p` of a parameter.
    pub fn with_own(self, parameter: &Parameter) -> Self {
        Self { own: Some(parameter.clone()), ..self }
    }
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

/// The fields that coefficients are made of.
#[derive(Clone, Copy)]
struct Terms {
    /// Where those of the normalisation stand among those of the graph.
    place: usize,
    /// What those of the nodes themselves and those of the edges are multiplied by.
    masks: Option<[Field; 2]>,
    /// What is added to 1 for the nodes themselves, in place of their coefficient.
    own: Option<Field>,
    /// What all are multiplied by.
    factor: f32,
}

impl Terms {
    /// A system that sums over neighbours in the direction of `cut`: the rows of the first input, onto what is there if
    /// `adds`. `finish(inputs, rows, sums)` is
    /// called while the sums of some rows are in the cache.
    fn sum_rows(
        self,
        layer: &mut LayerBuilder,
        (name, cut, run): (&'static str, Cut, Run),
        [values, second, third]: [Field; 3],
        (output, adds): (Field, bool),
        finish: impl Fn([&Matrix; 3], Range<usize>, &mut [f32]) + Send + Sync + 'static,
    ) -> BoxedSystem {
        let masks = self.masks.unwrap_or([values; 2]);
        write_rows_when(
            layer,
            (name, run),
            cut,
            [values, second, third, masks[0], masks[1], self.own.unwrap_or(values)],
            output,
            #[inline(always)]
            move |topology, [values, second, third, nodes, edges, own], rows, output| {
                let adjacency = cut.adjacency(topology).unwrap_or(&topology.incoming);
                let own = self.own.and_then(|_| own.rows().next()).map(|number| 1.0 + number[0]);
                let terms = |row| Neighbours {
                    adjacency,
                    coefficients: &adjacency.coefficients[self.place],
                    masks: self.masks.map(|_| [nodes, edges]),
                    own,
                    factor: self.factor,
                    row,
                };
                gather_rows(rows.clone(), terms, values, adds, output);
                finish([values, second, third], rows, output);
            },
        )
    }
}

/// A node and its neighbours.
struct Neighbours<'a> {
    adjacency: &'a Adjacency,
    coefficients: &'a Coefficients,
    masks: Option<[&'a Matrix<'a>; 2]>,
    own: Option<f32>,
    factor: f32,
    row: usize,
}

impl kernels::SparseRow for Neighbours<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        let (Adjacency { neighbors, edges, .. }, factor) = (self.adjacency, self.factor);
        let coefficients = &self.coefficients.edges;
        let own = self.own.unwrap_or_else(|| self.coefficients.self_loop[self.row]);
        let own = factor * own * self.masks.map_or(1.0, |[nodes, _]| nodes.row(self.row)[0]);
        if own != 0.0 {
            add(self.row, own, self.row);
        }
        let entries = self.adjacency.entries(self.row);
        let weights = coefficients[entries.clone()].iter();
        match self.masks {
            None => for_each_ahead(
                neighbors,
                entries,
                weights,
                #[inline(always)]
                |neighbour, weight, soon| add(neighbour, factor * weight, soon),
            ),
            Some([_, masks]) => {
                let masked = weights.zip(&edges[entries.clone()]);
                for_each_ahead(
                    neighbors,
                    entries,
                    masked,
                    #[inline(always)]
                    |neighbour, (weight, edge), soon| {
                        add(neighbour, factor * weight * masks.row(*edge as usize)[0], soon);
                    },
                );
            }
        }
    }
}
