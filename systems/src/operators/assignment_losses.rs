//! What keeps soft clusters from being arbitrary: the losses of assignments.

use crate::{
    error::BuildError,
    kernels::{dot, ln, sum},
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// Added to a share before its logarithm, as in PyTorch Geometric.
const SMALLEST: f32 = 1e-15;

/// `y[i] = -sum over k of S[i, k] ln(S[i, k] + 1e-15)`, the entropy of assignments `[N, K]`, `[N, 1]`; its mean is the
/// entropy loss of DiffPool (Ying et al. 2018, section 3.3).
///
/// # Errors
/// If the value is sparse.
pub fn assignment_entropy(program: &mut Program, assignment: Value) -> Result<Value, BuildError> {
    let assignment = program.dense(assignment)?;
    program.record_one(AssignmentEntropy, &[assignment])
}

/// [`assignment_entropy`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct AssignmentEntropy;

impl Operator for AssignmentEntropy {
    fn name(&self) -> &'static str {
        "assignment_entropy"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(inputs[0].domain(), 1)])
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [shares], rows, output| {
                for (row, output) in rows.zip(output) {
                    let shares = shares.row(row);
                    *output = -sum(shares.len(), |index| shares[index] * ln(shares[index] + SMALLEST));
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let input = operation.inputs[0];
        let backward = kernel("assignment_entropy_backward", Footprint::Same, |step: &mut Step<'_>| {
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |_, [gradient, shares], rows, target| {
                    for (row, target) in rows.zip(target.chunks_exact_mut(shares.width())) {
                        let gradient = gradient.row(row)[0];
                        for (target, share) in target.iter_mut().zip(shares.row(row)) {
                            *target = -gradient * (ln(share + SMALLEST) + share / (share + SMALLEST));
                        }
                    }
                },
            );
        });
        tape.gradient(input, backward, &[gradient, input])
    }
}

/// `y[g] = |A - S S'|` (Frobenius), the link loss of DiffPool, from what is known of a subgraph: clusters `[G, K (F +
/// K)]`, whose last `K` features are `S' A S`; the products `S' S` `[G, K K]`; and the sum of the squares of all
/// weights `[G, 1]`: `|A|^2 - 2 trace(S' A S) + |S' S|^2`, without the matrix `[n, n]`. Below 0 by rounding counts as
/// 0, with gradient 0.
///
/// # Errors
/// If a value is sparse, or the shapes do not fit.
pub fn link_loss(program: &mut Program, [clusters, products, squares]: [Value; 3]) -> Result<Value, BuildError> {
    let inputs = [program.dense(clusters)?, program.dense(products)?, program.dense(squares)?];
    program.record_one(LinkLoss, &inputs)
}

/// [`link_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct LinkLoss;

impl Operator for LinkLoss {
    fn name(&self) -> &'static str {
        "link_loss"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [clusters, products, squares] = [0, 1, 2].map(|input| inputs[input].shape());
        let count = products.width.isqrt();
        let fits =
            count * count == products.width && clusters.width.is_multiple_of(count) && clusters.width >= products.width;
        if fits && squares.width == 1 && [clusters.domain, products.domain] == [squares.domain; 2] {
            return Ok(vec![squares]);
        }
        Err(format!(
            "compares clusters {clusters} with products {products} and squares {squares}; give one set of clusters"
        ))
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: inputs[1].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            |_, [clusters, products, squares], rows, output| {
                for (row, output) in rows.zip(output) {
                    let (products, clusters) = (products.row(row), clusters.row(row));
                    let trace: f32 = diagonal(clusters.len(), products.len()).map(|index| clusters[index]).sum();
                    *output = (squares.row(row)[0] - 2.0 * trace + dot(products, products)).max(0.0).sqrt();
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[clusters, products, squares] = &operation.inputs[..] else { return Ok(()) };
        let output = operation.outputs[0];
        let count = products.width();
        tape.gradient(clusters, by_clusters(clusters.width(), count), &[gradient, output])?;
        tape.gradient(products, by_products(), &[gradient, output, products])?;
        tape.gradient(squares, by_squares(), &[gradient, output])
    }
}

/// The elements of the diagonal of `S' A S` among those of the clusters.
#[inline(always)]
fn diagonal(width: usize, products: usize) -> impl Iterator<Item = usize> {
    let count = products.isqrt();
    let row = width / count;
    (0..count).map(move |cluster| cluster * row + row - count + cluster)
}

/// `gradient / loss`; 0 where that is 0.
#[inline(always)]
fn ratio(gradient: f32, loss: f32) -> f32 {
    if loss > 0.0 { gradient / loss } else { 0.0 }
}

fn by_clusters(width: usize, products: usize) -> impl Operator {
    kernel("link_loss_backward", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |_, [gradient, loss], rows, target| {
                target.fill(0.0);
                for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                    let ratio = ratio(gradient.row(row)[0], loss.row(row)[0]);
                    diagonal(width, products).for_each(|index| target[index] = -ratio);
                }
            },
        );
    })
}

fn by_products() -> impl Operator {
    kernel("link_loss_backward", Footprint::Same, |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            |_, [gradient, loss, products], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(products.width())) {
                    let factor = ratio(gradient.row(row)[0], loss.row(row)[0]);
                    target.iter_mut().zip(products.row(row)).for_each(|(target, value)| *target = factor * value);
                }
            },
        );
    })
}

fn by_squares() -> impl Operator {
    kernel("link_loss_backward", Footprint::Same, |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [gradient, loss], rows, target| {
                for (row, target) in rows.zip(target) {
                    *target = 0.5 * ratio(gradient.row(row)[0], loss.row(row)[0]);
                }
            },
        );
    })
}
