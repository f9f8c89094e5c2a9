//! Linear maps, of dense and of sparse values.

use connectome_components::Matrix;
use core::ops::Range;
use std::sync::Arc;

use super::epilogue::{Chain, Epilogue, PreparedChain, scale};
use crate::{
    error::BuildError,
    kernels::{Operand, SparseRow, Upcoming, gather_rows, matmul_ahead, matmul_onto, matmul_transposed},
    program::{
        Cost, Footprint, Fusion, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel,
    },
};

/// `Y = X W + b`: `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`.
///
/// # Errors
/// If the weights do not have `F` rows.
pub fn linear(
    program: &mut Program,
    input: Value,
    weight: &Weight,
    bias: Option<&Weight>,
) -> Result<Value, BuildError> {
    record(program, &[(input, *weight)], bias)
}

/// `Y = X W + Z V + b`, a linear map of two concatenated values: in one pass over the rows if both are dense.
///
/// # Errors
/// Those of [`linear`]; and if the values are on different rows, or the weights of different width.
pub fn linear_pair(
    program: &mut Program,
    terms: [(Value, Weight); 2],
    bias: Option<&Weight>,
) -> Result<Value, BuildError> {
    if terms.iter().all(|(input, _)| !input.is_sparse()) {
        return record(program, &terms, bias);
    }
    let [first, second] = terms.map(|(input, weight)| linear(program, input, &weight, None));
    let sum = super::add(program, [(first?, 1.0), (second?, 1.0)])?;
    bias.map_or(Ok(sum), |bias| super::add_bias(program, sum, bias))
}

fn record(program: &mut Program, terms: &[(Value, Weight)], bias: Option<&Weight>) -> Result<Value, BuildError> {
    let epilogue = Epilogue::bias(bias.map(|_| 2 * terms.len()));
    let weights = terms.iter().map(|(_, weight)| *weight).collect();
    let inputs = terms.iter().flat_map(|(input, weight)| [*input, weight.value()]);
    let inputs: Vec<Value> = inputs.chain(bias.map(Weight::value)).collect();
    program.record_one(Linear { weights, epilogue }, &inputs)
}

/// [`linear`] and [`linear_pair`]: reads each value and its weights, and then the inputs of the epilogue.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub(super) weights: Vec<Weight>,
    pub(super) epilogue: Epilogue,
}

impl Operator for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (domain, [_, width]) = (inputs[0].domain(), self.weights[0].shape());
        for (input, weight) in inputs.chunks(2).zip(&self.weights) {
            let [rows, columns] = weight.shape();
            if rows != input[0].width() {
                let found = input[0].width();
                return Err(format!(
                    "has weights for {rows} features, but its input is {found} wide; give both one width"
                ));
            }
            if input[0].domain() != domain || columns != width {
                return Err(
                    "adds maps to different widths or on different rows; give both one width, on the same rows"
                        .to_owned(),
                );
            }
        }
        if let Some(bias) = self.epilogue.bias.map(|bias| inputs[bias]).filter(|bias| bias.width() != width) {
            let found = bias.width();
            return Err(format!("adds a bias {found} wide to a map to {width} features; give both one width"));
        }
        Ok(vec![Shape::new(domain, width)])
    }

    fn run(&self, step: &mut Step<'_>) {
        if step.is_sparse(0) { self.run_sparse(step) } else { self.run_dense(step) }
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (gradient, factor) = self.epilogue.backward(operation, gradient, tape)?;
        let terms = || operation.inputs.chunks(2).zip(&self.weights);
        for (input, weight) in terms() {
            let inputs = [input[0], gradient];
            if input[0].is_sparse() {
                tape.weight_gradient(input[1], weight.range(), sparse_weight_gradient(weight, factor), &inputs)?;
            } else {
                tape.weight_gradient(input[1], weight.range(), weight_gradient(weight, factor), &inputs)?;
            }
        }
        for (index, (input, weight)) in terms().enumerate() {
            let blended = self.epilogue.factor_of(operation, input[0]).filter(|_| index == 0);
            let by_input = InputGradient { weight: *weight, factor, blended, chain: None };
            tape.gradient(input[0], by_input, &[gradient, input[1]])?;
        }
        self.epilogue.backward_blend(operation, operation.inputs.first().copied(), gradient, tape)
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        let products = inputs.chunks(2).zip(&self.weights).map(|(_, weight)| weight.shape().iter().product::<usize>());
        Cost { per_row: products.sum(), per_entry: 0 }
    }

    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let epilogue = self.epilogue.absorb(next, input, context)?;
        Some(Arc::new(Self { epilogue, ..self.clone() }))
    }
}

impl Linear {
    /// The product of one value, or the sum of those of two.
    fn run_dense(&self, step: &mut Step<'_>) {
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        let last = 2 * (self.weights.len() - 1);
        step.write_rows(
            Partition::Product,
            [0, 1, last, last + 1, bias, blended],
            #[inline(always)]
            |_, [input, weight, other, other_weight, bias, blended], rows, output| {
                let pairs = [[input, weight], [other, other_weight]].into_iter().zip(&self.weights);
                for (index, ([input, weight], known)) in pairs.enumerate() {
                    let Some(weight) = weight.rows().next() else { return };
                    let values = Operand::new(input.slice(rows.clone()), input.width());
                    let weight = Operand::new(&weight[known.range()], known.shape()[1]);
                    matmul_onto(values, weight, 1.0, index > 0, output);
                }
                let width = output.len() / rows.len().max(1);
                epilogue.apply([bias, blended], rows, output, width);
            },
        );
    }

    fn run_sparse(&self, step: &mut Step<'_>) {
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        let (indices, [inputs, width]) = (step.indices(0), self.weights[0].shape());
        let range = self.weights[0].range();
        step.write_rows(
            Partition::Uniform,
            [0, 1, bias, blended],
            #[inline(always)]
            |_, [values, weight, bias, blended], rows, output| {
                let Some(weight) = weight.rows().next() else { return };
                let weight = Matrix::new(width, core::iter::once(&weight[range.clone()]));
                let terms = |row| StoredEntries::new(indices.row(row), values.row(row), inputs);
                gather_rows(rows.clone(), terms, &weight, false, output);
                epilogue.apply([bias, blended], rows, output, width);
            },
        );
    }
}

/// `target = factor * gradient * weight^T`, plus `blended * gradient` where the input is blended into the output;
/// added to `target` if the step accumulates. Then the chain is applied, whose input has the index that is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputGradient {
    weight: Weight,
    factor: f32,
    blended: Option<f32>,
    chain: Option<(Chain, usize)>,
}

impl InputGradient {
    /// The inputs of the weight and of the chain, or `other` in place of the latter.
    pub(super) fn inputs(&self, other: usize) -> [usize; 2] {
        [1, self.chain.map_or(other, |(_, input)| input)]
    }

    /// What computes it in a step.
    pub(super) fn prepare<'a>(self, step: &Step<'a>) -> PreparedInputGradient<'a> {
        PreparedInputGradient { map: self, chain: self.chain.map(|(chain, _)| chain.prepare(step)) }
    }
}

/// An [`InputGradient`] with the dropout mask of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreparedInputGradient<'a> {
    map: InputGradient,
    chain: Option<PreparedChain<'a>>,
}

impl PreparedInputGradient<'_> {
    /// Computes some rows from the same ones of the gradient and from the matrices of [`InputGradient::inputs`], or adds them.
    #[inline(always)]
    pub(super) fn write(
        &self,
        gradient: &[f32],
        [weight, outputs]: [&Matrix; 2],
        rows: Range<usize>,
        (adds, upcoming): (bool, Upcoming),
        target: &mut [f32],
    ) {
        let InputGradient { weight: known, factor, blended, .. } = self.map;
        let ([_, width], Some(weight)) = (known.shape(), weight.rows().next()) else { return };
        let weight = Operand::new(&weight[known.range()], width).transposed();
        matmul_ahead(Operand::new(gradient, width), weight, factor, adds, upcoming, target);
        if let Some(blended) = blended {
            let terms = target.iter_mut().zip(gradient);
            terms.for_each(|(target, gradient)| *target += blended * gradient);
        }
        if let Some(chain) = &self.chain {
            chain.apply(Some(outputs), rows, target);
        }
    }
}

impl Operator for InputGradient {
    fn name(&self) -> &'static str {
        "input_gradient"
    }

    fn describe(&self) -> String {
        Chain::describe(self.chain, self.name())
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: self.weight.range().len(), per_entry: 0 }
    }

    fn fuse_update(&self, update: &Operation, inputs: usize) -> Option<Arc<dyn Operator>> {
        let chain = Chain::of(update, inputs).filter(|_| self.chain.is_none())?;
        Some(Arc::new(Self { chain: Some(chain), ..*self }))
    }

    fn run(&self, step: &mut Step<'_>) {
        let (map, adds, [weight, outputs]) = (self.prepare(step), step.accumulates(), self.inputs(0));
        step.write_rows(
            Partition::Product,
            [0, weight, outputs],
            #[inline(always)]
            |_, [gradient, weight, outputs], rows, target| {
                let values = gradient.slice(rows.clone());
                map.write(values, [weight, outputs], rows, (adds, Upcoming::default()), target);
            },
        );
    }
}

/// The gradient with respect to weights: `factor * input^T * gradient`.
///
/// Blocks of rows are multiplied in parallel, and their products added in order.
pub(super) fn weight_gradient(weight: &Weight, factor: f32) -> impl Operator + use<> {
    let (range, cost) = (weight.range(), Cost { per_row: weight.range().len(), per_entry: 0 });
    kernel("weight_gradient", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_rows(
            [0, 1],
            range.clone(),
            #[inline(always)]
            |[input, gradient], rows, sum| {
                let widths = [input.width(), gradient.width()];
                matmul_transposed(input.slice(rows.clone()), gradient.slice(rows), widths, sum);
                scale(factor, sum);
            },
        );
    })
    .accumulating()
    .with_cost(cost)
}

fn sparse_weight_gradient(weight: &Weight, factor: f32) -> impl Operator + use<> {
    let (range, [inputs, _]) = (weight.range(), weight.shape());
    kernel("weight_gradient_sparse", Footprint::All, move |step: &mut Step<'_>| {
        step.sum_sparse_rows(
            [0, 1],
            range.clone(),
            #[inline(always)]
            |indices, [values, gradient], rows, sum| {
                sum.fill(0.0);
                for row in rows {
                    scatter(&StoredEntries::new(indices.row(row), values.row(row), inputs), gradient.row(row), sum);
                }
                scale(factor, sum);
            },
        );
    })
    .accumulating()
}

/// The stored elements of one row, without the padding zeros. Indices out of range are skipped.
struct StoredEntries<'a> {
    indices: &'a [u32],
    values: &'a [f32],
    inputs: usize,
}

impl<'a> StoredEntries<'a> {
    #[inline(always)]
    fn new(indices: &'a [u32], values: &'a [f32], inputs: usize) -> Self {
        let used = values.iter().rposition(|value| *value != 0.0).map_or(0, |last| last + 1);
        Self { indices: &indices[..used], values: &values[..used], inputs }
    }
}

impl SparseRow for StoredEntries<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        for (index, value) in self.indices.iter().zip(self.values) {
            if (*index as usize) < self.inputs {
                // Weights are in the cache.
                add(*index as usize, *value, 0);
            }
        }
    }
}

/// `sum[index] += value * row` for the elements of a sparse row.
#[inline(always)]
fn scatter(entries: &StoredEntries, row: &[f32], sum: &mut [f32]) {
    /// Elements of the widest vector register.
    const TILE: usize = 16;
    let width = row.len();
    entries.for_each_ahead(
        #[inline(always)]
        |index, value, _| {
            let (targets, rest) = sum[index * width..(index + 1) * width].as_chunks_mut::<TILE>();
            let (values, rest_of_values) = row.as_chunks::<TILE>();
            for (target, values) in targets.iter_mut().zip(values) {
                // A copy, so that the compiler knows that the two do not overlap.
                let mut sums = *target;
                sums.iter_mut().zip(values).for_each(|(sum, other)| *sum += value * other);
                *target = sums;
            }
            rest.iter_mut().zip(rest_of_values).for_each(|(sum, other)| *sum += value * other);
        },
    );
}
