//! Weighted sums over neighbors.

use connectome_components::{Adjacency, Coefficients, Matrix, Normalization, Topology};
use core::ops::Range;
use std::sync::Arc;

use super::{
    aggregate_backward::AggregateBackward, aggregate_linear::AggregateLinear, dropout::draw_mask, epilogue::Epilogue,
    relation::Relation, scale_by::factor_gradient,
};
use crate::{
    error::BuildError,
    kernels::{self, for_each_ahead, gather_rows},
    program::{
        Cost, Domain, Footprint, Fusion, InInference, Operation, Operator, Partition, Program, Shape, Step, Tape,
        Value, Weight,
    },
};

/// `Y[i] = c[i] X[i] + sum over edges j -> i of c[ij] X[j]` with the coefficients of a normalization.
///
/// If it reads nothing but inputs that do not change from step to step, it is computed when these or the edges change,
/// and its output keeps a column.
///
/// # Errors
/// If the value is sparse, or not on nodes, or the parameter of the self-loop is not a single number.
pub fn aggregate(
    program: &mut Program,
    input: Value,
    coefficients: impl Into<EdgeCoefficients>,
) -> Result<Value, BuildError> {
    let EdgeCoefficients { normalization, mask, self_loop } = coefficients.into();
    let mut inputs = vec![program.dense(input)?];
    let mut add = |value: Value| {
        inputs.push(value);
        inputs.len() - 1
    };
    let mask = mask.map(|mask| [add(mask.nodes), add(mask.edges)]);
    let self_loop = self_loop.map(|weight| add(weight.value()));
    let domains = Relation::Neighbors.domains(program);
    program.record_one(Aggregate { normalization, domains, mask, self_loop, epilogue: Epilogue::default() }, &inputs)
}

/// The coefficients of a sum over neighbors.
#[derive(Clone, Copy, Debug)]
pub struct EdgeCoefficients {
    normalization: Normalization,
    mask: Option<EdgeDropout>,
    self_loop: Option<Weight>,
}

impl From<Normalization> for EdgeCoefficients {
    fn from(normalization: Normalization) -> Self {
        Self { normalization, mask: None, self_loop: None }
    }
}

impl EdgeCoefficients {
    /// The same, each multiplied by its element of a dropout mask.
    pub fn masked(self, mask: Option<EdgeDropout>) -> Self {
        Self { mask, ..self }
    }

    /// The same, but the self-loop has the coefficient `1 + p` with the scalar parameter `p`.
    pub fn with_self_loop(self, parameter: &Weight) -> Self {
        Self { self_loop: Some(*parameter), ..self }
    }
}

/// A dropout mask of the coefficients of a sum: of the self-loops `[N, 1]` and of the edges `[E, 1]`.
#[derive(Clone, Copy, Debug)]
pub struct EdgeDropout {
    nodes: Value,
    edges: Value,
}

impl EdgeDropout {
    /// Draws a mask that sets each coefficient to 0 with probability `rate` and divides the others by `1 - rate`; none
    /// for a rate of 0.
    ///
    /// # Errors
    /// If the rate is not in `[0, 1)`.
    pub fn draw(program: &mut Program, rate: f32) -> Result<Option<Self>, BuildError> {
        let nodes = draw_mask(program, program.nodes(), 1, rate)?;
        let edges = draw_mask(program, program.edges(), 1, rate)?;
        Ok(nodes.zip(edges).map(|(nodes, edges)| Self { nodes, edges }))
    }
}

/// [`aggregate`]: reads the values, then the inputs of the coefficients and of the epilogue.
#[derive(Clone, Copy, Debug)]
struct Aggregate {
    normalization: Normalization,
    /// The rows that send messages, and those that receive them.
    domains: [Domain; 2],
    /// The inputs with the masks of the self-loops and of the edges.
    mask: Option<[usize; 2]>,
    /// The input `p` of the self-loops' coefficient `1 + p`; that of the normalization if none.
    self_loop: Option<usize>,
    epilogue: Epilogue,
}

impl Operator for Aggregate {
    fn name(&self) -> &'static str {
        "aggregate"
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [from, to] = self.domains;
        if inputs[0].domain() != from {
            return Err(format!("sums over neighbors, but its input is on other rows; give a value on {from}"));
        }
        let has_self_loops = matches!(self.normalization, Normalization::Symmetric | Normalization::MeanWithSelf);
        if from != to && (has_self_loops || self.self_loop.is_some()) {
            return Err("adds self-loops, which a relation between two kinds has none of; use a layer without, as \
                        `SageConv` or `GraphConv`"
                .to_owned());
        }
        if let Some(parameter) = self.self_loop.map(|input| inputs[input]).filter(|value| value.width() != 1) {
            return Err(format!("multiplies by a parameter of {} values; give a scalar", parameter.width()));
        }
        Ok(vec![Shape::new(to, inputs[0].width())])
    }

    fn normalization(&self) -> Option<Normalization> {
        Some(self.normalization)
    }

    fn footprint(&self, input: usize) -> Footprint {
        self.terms(1.0).footprint(input)
    }

    fn is_worth_keeping(&self) -> bool {
        self.mask.is_none() && self.epilogue == Epilogue::default()
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: inputs[0].width() }
    }

    fn in_inference(&self, inputs: &[Value]) -> InInference {
        let Some(masks) = self.mask else { return InInference::Same };
        let remaining = (0..inputs.len()).filter(|input| !masks.contains(input)).collect::<Vec<_>>();
        let self_loop = self.self_loop.and_then(|input| remaining.iter().position(|other| *other == input));
        InInference::Replaced(Arc::new(Self { mask: None, self_loop, ..*self }), remaining)
    }

    fn run(&self, step: &mut Step<'_>) {
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        self.terms(1.0).sum_rows(
            step,
            Partition::Incoming,
            [0, bias, blended],
            #[inline(always)]
            |_, [values, bias, blended], rows, output| epilogue.apply([bias, blended], rows, output, values.width()),
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let input = operation.inputs[0];
        let (gradient, factor) = self.epilogue.backward(operation, gradient, tape)?;
        if let Some(self_loop) = self.self_loop {
            factor_gradient(operation.inputs[self_loop], [gradient, input], factor, tape)?;
        }
        let blended = self.epilogue.factor_of(operation, input);
        let mut inputs = vec![gradient];
        let mut add = |input: usize| {
            inputs.push(operation.inputs[input]);
            inputs.len() - 1
        };
        let mask = self.mask.map(|masks| masks.map(&mut add));
        let self_loop = self.self_loop.map(&mut add);
        let terms = Terms { normalization: self.normalization, mask, self_loop, factor };
        tape.gradient(input, AggregateBackward { terms, blended, chain: None }, &inputs)?;
        self.epilogue.backward_blend(operation, Some(input), gradient, tape)
    }

    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let epilogue = self.epilogue.absorb(next, input, context)?;
        Some(Arc::new(Self { epilogue, ..*self }))
    }

    fn fuse_late(
        &self,
        operation: &Operation,
        next: &Operation,
        input: usize,
        keeps: bool,
    ) -> Option<Arc<dyn Operator>> {
        let is_plain = self.epilogue == Epilogue::default();
        let fused = is_plain.then(|| AggregateLinear::new(self.terms(1.0), [operation, next], input, keeps))??;
        Some(Arc::new(fused))
    }
}

impl Aggregate {
    fn terms(&self, factor: f32) -> Terms {
        let Self { normalization, mask, self_loop, .. } = *self;
        Terms { normalization, mask, self_loop, factor }
    }
}

/// The terms of a sum, by the indices of their inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) normalization: Normalization,
    mask: Option<[usize; 2]>,
    self_loop: Option<usize>,
    /// A common factor.
    factor: f32,
}

impl Terms {
    pub(super) fn footprint(&self, input: usize) -> Footprint {
        match self.mask {
            _ if input == 0 => Footprint::Incoming,
            Some([_, edges]) if input == edges => Footprint::IncomingEdges,
            _ => Footprint::Same,
        }
    }

    /// The inputs that [`Terms::neighbors`] takes, in its order; `other` in place of missing ones.
    pub(super) fn inputs(&self, other: usize) -> [usize; 3] {
        let [nodes, edges] = self.mask.unwrap_or([other; 2]);
        [nodes, edges, self.self_loop.unwrap_or(other)]
    }

    /// The terms of each row, from the matrices of [`Terms::inputs`]; none without coefficients.
    #[inline(always)]
    pub(super) fn neighbors<'a>(
        self,
        (topology, adjacency): (&'a Topology, &'a Adjacency),
        [nodes, edges, self_loop]: [&'a Matrix<'a>; 3],
    ) -> Option<impl Fn(usize) -> Neighbors<'a>> {
        let coefficients = topology.coefficients(adjacency, self.normalization)?;
        let self_loop = self.self_loop.and_then(|_| self_loop.rows().next()).map(|parameter| 1.0 + parameter[0]);
        let (receivers, masks) = (topology.receivers(), self.mask.map(|_| [nodes, edges]));
        Some(move |row| Neighbors { adjacency, coefficients, receivers, masks, self_loop, factor: self.factor, row })
    }

    /// Sums the rows of the first input over neighbors in the direction of `partition`, adding to the output if the
    /// step accumulates. `finish(receivers, inputs, rows, sums)` is called while the sums of some rows are in the cache.
    pub(super) fn sum_rows(
        self,
        step: &mut Step<'_>,
        partition: Partition,
        [values, second, third]: [usize; 3],
        finish: impl Fn(usize, [&Matrix; 3], Range<usize>, &mut [f32]) + Sync,
    ) {
        let ([nodes, edges, self_loop], adds) = (self.inputs(values), step.accumulates());
        step.write_rows(
            partition,
            [values, second, third, nodes, edges, self_loop],
            #[inline(always)]
            |topology: &Topology, [values, second, third, nodes, edges, self_loop], rows, output| {
                let adjacency = partition.adjacency(topology).unwrap_or(&topology.incoming);
                let terms = self.neighbors((topology, adjacency), [nodes, edges, self_loop]);
                let Some(terms) = terms else { return };
                gather_rows(rows.clone(), terms, values, adds, output);
                finish(topology.receivers(), [values, second, third], rows, output);
            },
        );
    }
}

/// A node and its neighbors.
pub(super) struct Neighbors<'a> {
    adjacency: &'a Adjacency,
    coefficients: &'a Coefficients,
    /// Number of rows that have a self-loop.
    receivers: usize,
    masks: Option<[&'a Matrix<'a>; 2]>,
    self_loop: Option<f32>,
    factor: f32,
    row: usize,
}

impl kernels::SparseRow for Neighbors<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        let (Adjacency { neighbors, edges, .. }, factor) = (self.adjacency, self.factor);
        let coefficients = &self.coefficients.edges;
        let self_loop = self.self_loop.unwrap_or_else(|| self.coefficients.self_loop[self.row]);
        // In a relation it is 0, and there is no such row.
        if self_loop != 0.0 && self.row < self.receivers {
            let self_loop = factor * self_loop * self.masks.map_or(1.0, |[nodes, _]| nodes.row(self.row)[0]);
            if self_loop != 0.0 {
                add(self.row, self_loop, self.row);
            }
        }
        let entries = self.adjacency.entries(self.row);
        let weights = coefficients[entries.clone()].iter();
        match self.masks {
            None => for_each_ahead(
                neighbors,
                entries,
                weights,
                #[inline(always)]
                |neighbor, weight, soon| add(neighbor, factor * weight, soon),
            ),
            Some([_, masks]) => {
                let masked = weights.zip(&edges[entries.clone()]);
                for_each_ahead(
                    neighbors,
                    entries,
                    masked,
                    #[inline(always)]
                    |neighbor, (weight, edge), soon| {
                        add(neighbor, factor * weight * masks.row(*edge as usize)[0], soon);
                    },
                );
            }
        }
    }
}
