//! Linear maps of the features of each head.

use connectome_components::Matrix;

use crate::{
    error::BuildError,
    kernels::{Operand, dot, matmul},
    program::{
        Cost, Domain, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel,
    },
};

/// The most features of a head.
const MOST_FEATURES: usize = 1024;
/// Elements of the rows of a head that are multiplied at once: as many as fit into a first-level cache twice.
const BUFFER: usize = 2 * MOST_FEATURES;

/// `Y[i, h] = p[h] X[i, h] W[h]`: of the `H C` features of `X`, head `h` has the features `h C` to `(h + 1) C`; `W` is
/// `[H C, C]`, a matrix of each head, and `p` `[H]`, or 1.
///
/// Costs `N H C C` multiplications, a block-diagonal map.
///
/// # Errors
/// If the value is sparse, or the shapes do not fit; if a head has more than 1,024 features.
pub fn linear_by_head(
    program: &mut Program,
    input: Value,
    weight: &Weight,
    scale: Option<&Weight>,
) -> Result<Value, BuildError> {
    let inputs: Vec<Value> =
        [program.dense(input)?, weight.value()].into_iter().chain(scale.map(Weight::value)).collect();
    let has_scale = scale.is_some();
    program.record_one(LinearByHead { name: "linear_by_head", has_scale, is_transposed: false }, &inputs)
}

/// [`linear_by_head`]; with respect to its input it is its own derivative, by the transposes of the matrices.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LinearByHead {
    name: &'static str,
    has_scale: bool,
    is_transposed: bool,
}

impl Operator for LinearByHead {
    fn name(&self) -> &'static str {
        self.name
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (width, elements) = (inputs[0].width(), inputs[1].width());
        let features = elements / width;
        let heads = width / features.max(1);
        let is_square = features > 0 && features.checked_mul(width) == Some(elements) && features * heads == width;
        if !is_square || inputs.get(2).is_some_and(|scale| scale.width() != heads) {
            return Err(format!("maps {width} features by {elements} elements; give each head a square matrix"));
        }
        if features > MOST_FEATURES {
            return Err(format!("has heads of {features} features; use more and narrower heads"));
        }
        Ok(vec![inputs[0].shape()])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[1].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let has_scale = self.has_scale;
        step.write_rows(
            Partition::Uniform,
            [0, 1, if has_scale { 2 } else { 1 }],
            #[inline(always)]
            |_, [values, weights, scales], rows, output| {
                let (width, Some(weights), Some(scales)) =
                    (values.width(), weights.rows().next(), scales.rows().next())
                else {
                    return;
                };
                let features = weights.len() / width;
                let [mut from, mut to] = [[0.0; BUFFER]; 2];
                let count = BUFFER / features;
                for (start, output) in rows.clone().step_by(count).zip(output.chunks_mut(count * width)) {
                    let rows = start..(start + count).min(rows.end);
                    let (from, to) = (&mut from[..rows.len() * features], &mut to[..rows.len() * features]);
                    for (head, weight) in weights.chunks_exact(features * features).enumerate() {
                        let weight = Operand::new(weight, features);
                        let scale = if has_scale { scales[head] } else { 1.0 };
                        pack(values, rows.clone(), head * features, features, from);
                        let weight = if self.is_transposed { weight.transposed() } else { weight };
                        matmul(Operand::new(from, features), weight, to);
                        let output = output.chunks_exact_mut(width).zip(to.chunks_exact(features));
                        for (output, mapped) in output {
                            let output = output[head * features..][..features].iter_mut().zip(mapped);
                            output.for_each(|(output, mapped)| *output = scale * mapped);
                        }
                    }
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (&[input, weight], scale) = (&operation.inputs[..2], operation.inputs.get(2)) else { return Ok(()) };
        let backward = Self { name: "linear_by_head_backward", is_transposed: true, ..*self };
        let inputs: Vec<Value> = [gradient, weight].into_iter().chain(scale.copied()).collect();
        tape.gradient(input, backward, &inputs)?;
        if !weight.requires_gradient() && scale.is_none_or(|scale| !scale.requires_gradient()) {
            return Ok(());
        }
        let shape = Shape::new(Domain::Single, weight.width());
        let products = tape.compute(products(input.width()), &[input, gradient], shape)?;
        let inputs: Vec<Value> = [products].into_iter().chain(scale.copied()).collect();
        tape.weight_gradient(weight, 0..weight.width(), by_weight(self.has_scale), &inputs)?;
        if let Some(scale) = scale {
            tape.weight_gradient(*scale, 0..scale.width(), by_scale(), &[products, weight])?;
        }
        Ok(())
    }
}

/// `X[h]^T G[h]` of each head, for the gradient `G`.
fn products(width: usize) -> impl Operator {
    kernel("linear_by_head_products", Footprint::All, move |step: &mut Step<'_>| {
        let elements = step.output(0).width();
        let features = elements / width;
        step.sum_rows(
            [0, 1],
            0..elements,
            #[inline(always)]
            |[values, gradients], rows, sum| {
                sum.fill(0.0);
                for row in rows {
                    let values = values.row(row).iter();
                    let gradients = gradients.row(row).chunks_exact(features);
                    // Each feature with the gradient of its head.
                    let gradients = gradients.flat_map(|gradient| core::iter::repeat_n(gradient, features));
                    for (sum, (value, gradient)) in sum.chunks_exact_mut(features).zip(values.zip(gradients)) {
                        sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += value * gradient);
                    }
                }
            },
        );
    })
}

/// Copies the features of a head of some rows.
#[inline(always)]
fn pack(matrix: &Matrix, rows: core::ops::Range<usize>, first: usize, features: usize, into: &mut [f32]) {
    for (row, into) in rows.zip(into.chunks_exact_mut(features)) {
        into.copy_from_slice(&matrix.row(row)[first..first + features]);
    }
}

/// `p[h] X[h]^T G[h]`.
fn by_weight(has_scale: bool) -> impl Operator {
    kernel("linear_by_head_weights", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(Partition::Uniform, [0, if has_scale { 1 } else { 0 }], |_, [products, scales], _, target| {
            let (Some(products), Some(scales)) = (products.rows().next(), scales.rows().next()) else { return };
            let heads = if has_scale { scales.len() } else { 1 };
            let size = products.len() / heads;
            let by_head = target.chunks_exact_mut(size).zip(products.chunks_exact(size)).enumerate();
            for (head, (target, products)) in by_head {
                let scale = if has_scale { scales[head] } else { 1.0 };
                target.iter_mut().zip(products).for_each(|(target, product)| *target = scale * product);
            }
        });
    })
}

/// `W[h] . X[h]^T G[h]`.
fn by_scale() -> impl Operator {
    kernel("linear_by_head_scales", Footprint::Same, |step: &mut Step<'_>| {
        step.write_rows(Partition::Uniform, [0, 1], |_, [products, weights], _, target| {
            let (Some(products), Some(weights)) = (products.rows().next(), weights.rows().next()) else { return };
            let size = products.len() / target.len();
            let by_head = products.chunks_exact(size).zip(weights.chunks_exact(size));
            target.iter_mut().zip(by_head).for_each(|(target, (products, weights))| *target = dot(products, weights));
        });
    })
}
