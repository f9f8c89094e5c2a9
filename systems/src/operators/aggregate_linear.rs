//! Sums over neighbors that are multiplied while they are in the cache.

use connectome_components::{Adjacency, Matrix, Normalization};
use core::{any::Any, iter, ops::Range};

use super::{
    aggregate::Terms,
    aggregate_backward::AggregateBackward,
    epilogue::Epilogue,
    linear::{InputGradient, Linear},
};
use crate::{
    kernels::{Operand, Upcoming, gather_rows, matmul_ahead},
    program::{Cost, Footprint, Operation, Operator, Partition, Step, Value, Weight},
};

/// [`aggregate`](super::aggregate) and then [`linear`](super::linear) of the sums, or [`linear_pair`](super::linear_pair) of
/// them and another value, some rows at a time: while these are multiplied, what is summed next is prefetched.
///
/// Reads what the sum reads, and then what the product reads but for the sums. If it keeps these, they are its first
/// output.
#[derive(Clone, Debug)]
pub(super) struct AggregateLinear {
    terms: Terms,
    /// Number of inputs of the sum.
    inputs: usize,
    /// The weights of the map's terms, and which of these the sums are.
    weights: Vec<Weight>,
    term: usize,
    epilogue: Epilogue,
    keeps: bool,
}

/// Elements of the sums that are computed before they are multiplied, where they are not kept.
const MAX_SUMS: usize = 1 << 14;
/// Elements that are gathered for the sums of some rows: as many as stay in a second-level cache until then.
const MAX_GATHERED: usize = 1 << 18;
/// The fewest rows that are multiplied at full speed.
const LEAST_ROWS: usize = 32;
/// The most rows that are multiplied at once, and the multiple of which they are: that of the rows of tiles.
const MOST_ROWS: usize = 240;
const TILES: usize = 48;

impl AggregateLinear {
    /// The sum of `operation` and then `next`, a map whose input number `input` it is; none if that is none, or rows are too
    /// wide.
    pub(super) fn new(terms: Terms, [operation, next]: [&Operation; 2], input: usize, keeps: bool) -> Option<Self> {
        let operator: &dyn Any = &*next.operator;
        let linear: &Linear = operator.downcast_ref()?;
        let maps = 2 * linear.weights.len();
        let is_map = input < maps && input.is_multiple_of(2);
        let are_dense = !next.inputs[..maps].iter().any(Value::is_sparse);
        let fits = keeps || LEAST_ROWS * next.inputs[input].width() <= MAX_SUMS;
        let inputs = operation.inputs.len();
        (is_map && are_dense && fits).then(|| Self {
            terms,
            inputs,
            weights: linear.weights.clone(),
            term: input / 2,
            epilogue: linear.epilogue.moved(inputs - 1),
            keeps,
        })
    }

    /// The index of what is input number `input` of the map, but for the sums.
    fn input(&self, input: usize) -> usize {
        self.inputs + input - usize::from(input > 2 * self.term)
    }
}

/// How rows are summed up and multiplied some at a time.
#[derive(Clone, Copy)]
struct Blocks<'a> {
    adjacency: &'a Adjacency,
    /// The rows whose sums are computed.
    source: &'a Matrix<'a>,
    /// The most rows of a block.
    most: usize,
}

impl<'a> Blocks<'a> {
    /// The blocks of some rows, one after the other.
    #[inline(always)]
    fn of(self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut next = rows.start;
        iter::from_fn(move || {
            let start = next;
            next += self.count(start..rows.end);
            (start < next).then_some(start..next)
        })
    }

    /// How many of these rows are taken together.
    #[inline(always)]
    fn count(self, rows: Range<usize>) -> usize {
        let offsets = &self.adjacency.offsets;
        let limit = offsets[rows.start].saturating_add((MAX_GATHERED / self.source.width()) as u32);
        let count = offsets[rows.start + 1..=rows.end].partition_point(|offset| *offset <= limit);
        let whole = if count < TILES { count } else { count / TILES * TILES };
        whole.clamp(LEAST_ROWS, self.most).min(rows.len())
    }

    /// What is gathered for the block after the rows before `end`, in so many parts.
    #[inline(always)]
    fn upcoming(self, end: usize, parts: usize) -> impl Iterator<Item = Upcoming<'a>> {
        let Adjacency { neighbors, offsets, .. } = self.adjacency;
        let (width, (_, table)) = (self.source.width(), self.source.chunks().next().unwrap_or_default());
        let next = end + self.count(end..(end + self.most).min(offsets.len() - 1));
        let rows = neighbors.get(offsets[end] as usize..offsets[next] as usize).unwrap_or(&[]);
        rows.chunks(rows.len().div_ceil(parts).max(1)).map(move |rows| Upcoming { table, width, rows })
    }
}

impl Operator for AggregateLinear {
    fn name(&self) -> &'static str {
        "aggregate_linear"
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn normalization(&self) -> Option<Normalization> {
        Some(self.terms.normalization)
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input < self.inputs { self.terms.footprint(input) } else { Footprint::Same }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        let products: usize = self.weights.iter().map(|weight| weight.range().len()).sum();
        Cost { per_row: inputs[0].width() + products, per_entry: inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        let [nodes, edges, self_loop] = self.terms.inputs(0);
        // The value of the sums' own term is not read.
        let [[first, first_weight], [last, last_weight]] = [0, self.weights.len() - 1].map(|term| {
            let value = if term == self.term { 0 } else { self.input(2 * term) };
            [value, self.input(2 * term + 1)]
        });
        step.write_row_groups(
            Partition::Incoming,
            [0, nodes, edges, self_loop, first, first_weight, last, last_weight, bias, blended],
            #[inline(always)]
            |topology, matrices, rows, [first_output, second_output]| {
                let [values, nodes, edges, self_loop, first, first_weight, last, last_weight, bias, blended] = matrices;
                let adjacency = &topology.incoming;
                let terms = self.terms.neighbors((topology, adjacency), [nodes, edges, self_loop]);
                let (Some(terms), inputs) = (terms, values.width()) else { return };
                let mut buffer;
                let (sums, output) = if self.keeps {
                    (first_output, second_output)
                } else {
                    buffer = [0.0; MAX_SUMS];
                    (&mut buffer[..], first_output)
                };
                let width = output.len() / rows.len().max(1);
                let most = if self.keeps { MOST_ROWS } else { MOST_ROWS.min(MAX_SUMS / inputs) };
                let blocks = Blocks { adjacency, source: values, most };
                let start = rows.start;
                for block in blocks.of(rows) {
                    let place = if self.keeps { block.start - start } else { 0 };
                    let sums = &mut sums[place * inputs..(place + block.len()) * inputs];
                    let output = &mut output[(block.start - start) * width..(block.end - start) * width];
                    gather_rows(block.clone(), &terms, values, false, sums);
                    let mut upcoming = blocks.upcoming(block.end, self.weights.len());
                    let maps = [(first, first_weight), (last, last_weight)].into_iter().zip(&self.weights);
                    for (term, ((values, weight), known)) in maps.enumerate() {
                        let Some(weight) = weight.rows().next() else { return };
                        let left = if term == self.term { &*sums } else { values.slice(block.clone()) };
                        let [inner, width] = known.shape();
                        let (left, right) = (Operand::new(left, inner), Operand::new(&weight[known.range()], width));
                        matmul_ahead(left, right, 1.0, term > 0, upcoming.next().unwrap_or_default(), output);
                    }
                    epilogue.apply([bias, blended], block, output, width);
                }
            },
        );
    }
}

/// The gradient with respect to the values of a sum over neighbors, and then that with respect to the input of the map that
/// they are of, some rows at a time, as in [`AggregateLinear`].
#[derive(Clone, Copy, Debug)]
pub(super) struct AggregateInputGradient {
    sum: AggregateBackward,
    /// Number of inputs of the sum.
    inputs: usize,
    map: InputGradient,
}

impl AggregateInputGradient {
    /// Those of `operation` and then `next`, which reads it as this input; none if it is something else, or if too little is
    /// summed for it to pay.
    pub(super) fn new(sum: AggregateBackward, [operation, next]: [&Operation; 2], input: usize) -> Option<Self> {
        const LEAST_WIDTH: usize = 64;
        let is_wide = next.inputs[input].width() >= LEAST_WIDTH;
        let operator: &dyn Any = &*next.operator;
        let map: &InputGradient = operator.downcast_ref()?;
        (input == 0 && is_wide).then_some(Self { sum, inputs: operation.inputs.len(), map: *map })
    }
}

impl Operator for AggregateInputGradient {
    fn name(&self) -> &'static str {
        "aggregate_input_gradient"
    }

    fn describe(&self) -> String {
        format!("{} + {}", self.sum.describe(), self.map.describe())
    }

    fn footprint(&self, input: usize) -> Footprint {
        if input < self.inputs { self.sum.footprint(input) } else { Footprint::Same }
    }

    fn cost(&self, inputs: &[Value], outputs: &[Value]) -> Cost {
        let (sum, map) = (self.sum.cost(inputs, outputs), self.map.cost(inputs, outputs));
        Cost { per_row: sum.per_row + map.per_row, ..sum }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (finish, map) = (self.sum.prepare(step), self.map.prepare(step));
        let [nodes, edges, self_loop] = self.sum.terms.inputs(0);
        // Input 0 of the map is the sums.
        let [weight, outputs] = self.map.inputs(1).map(|input| self.inputs + input - 1);
        step.write_row_groups(
            Partition::Outgoing,
            [0, nodes, edges, self_loop, self.sum.output(0), weight, outputs],
            #[inline(always)]
            |topology, [gradient, nodes, edges, self_loop, of_sums, weight, outputs], rows, [sums, target]| {
                let adjacency = &topology.outgoing;
                let terms = self.sum.terms.neighbors((topology, adjacency), [nodes, edges, self_loop]);
                let (Some(terms), inputs) = (terms, gradient.width()) else { return };
                let width = target.len() / rows.len().max(1);
                let blocks = Blocks { adjacency, source: gradient, most: MOST_ROWS };
                let start = rows.start;
                for block in blocks.of(rows) {
                    let sums = &mut sums[(block.start - start) * inputs..(block.end - start) * inputs];
                    let target = &mut target[(block.start - start) * width..(block.end - start) * width];
                    gather_rows(block.clone(), &terms, gradient, false, sums);
                    finish.apply(topology.receivers(), [gradient, of_sums], block.clone(), sums);
                    let upcoming = blocks.upcoming(block.end, 1).next().unwrap_or_default();
                    map.write(sums, [weight, outputs], block, (false, upcoming), target);
                }
            },
        );
    }
}
