//! Sums over neighbors that are multiplied while they are in the cache.

use connectome_components::Normalization;
use core::{any::Any, ops::Range};

use super::{aggregate::Terms, epilogue::Epilogue, linear::Linear};
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

    /// How many rows from `start` on are summed up and multiplied together, if `width` features are summed.
    fn count(&self, offsets: &[u32], rows: Range<usize>, width: usize) -> usize {
        let most = if self.keeps { MOST_ROWS } else { MOST_ROWS.min(MAX_SUMS / width) };
        let limit = offsets[rows.start].saturating_add((MAX_GATHERED / width) as u32);
        let count = offsets[rows.start + 1..=rows.end].partition_point(|offset| *offset <= limit);
        let whole = if count < TILES { count } else { count / TILES * TILES };
        whole.clamp(LEAST_ROWS, most).min(rows.len())
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
                let (Some(terms), Some((_, table))) = (terms, values.chunks().next()) else { return };
                let inputs = values.width();
                let mut buffer;
                let (sums, output) = if self.keeps {
                    (first_output, second_output)
                } else {
                    buffer = [0.0; MAX_SUMS];
                    (&mut buffer[..], first_output)
                };
                let width = output.len() / rows.len().max(1);
                let mut rest = output;
                let mut start = rows.start;
                while start < rows.end {
                    let block = start..start + self.count(&adjacency.offsets, start..rows.end, inputs);
                    let place = if self.keeps { (start - rows.start) * inputs } else { 0 };
                    let sums = &mut sums[place..place + block.len() * inputs];
                    gather_rows(block.clone(), &terms, values, false, sums);
                    let (output, others) = rest.split_at_mut(block.len() * width);
                    (rest, start) = (others, block.end);
                    // Of the next rows as many terms as these have at most.
                    let later = adjacency.neighbors.get(adjacency.offsets[start] as usize..).unwrap_or(&[]);
                    let mut later = later.chunks((MAX_GATHERED / inputs / self.weights.len()).max(1));
                    let maps = [(first, first_weight), (last, last_weight)].into_iter().zip(&self.weights);
                    for (term, ((values, weight), known)) in maps.enumerate() {
                        let Some(weight) = weight.rows().next() else { return };
                        let left = if term == self.term { &*sums } else { values.slice(block.clone()) };
                        let [inner, width] = known.shape();
                        let upcoming = Upcoming { table, width: inputs, rows: later.next().unwrap_or(&[]) };
                        let (left, right) = (Operand::new(left, inner), Operand::new(&weight[known.range()], width));
                        matmul_ahead(left, right, term > 0, upcoming, output);
                    }
                    epilogue.apply([bias, blended], block, output, width);
                }
            },
        );
    }
}
