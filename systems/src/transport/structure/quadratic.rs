//! The objective of transport that keeps edges: quadratic in the plan.

use crate::{
    kernels::{Operand, matmul, vectorize},
    parallel::{Blocks, RowsMut, Workers},
};

/// `<L, T> + weight (r' F r / 2 + c' G c / 2 - cross <H U K', U>)` of a plan `T` `[n, m]`, where `U_ij = T_ij mask_j`
/// has the sums of rows `r` and of columns `c`.
///
/// A loss `f(a) + g(b) - h(a) k(b)` of pairs of edges, summed over all four ends, is of this form (Peyré, Cuturi &
/// Solomon 2016, proposition 1), so it costs two products `n n m` and `n m m` instead of `n n m m` terms.
#[derive(Debug)]
pub(super) struct Quadratic<'a> {
    /// `n` and `m`.
    pub(super) shape: [usize; 2],
    /// `L`.
    pub(super) linear: Vec<f64>,
    pub(super) weight: f64,
    pub(super) cross: f64,
    /// `F`, symmetric.
    pub(super) first: Vec<f64>,
    /// `G`, symmetric; empty for zeros.
    pub(super) second: Vec<f64>,
    /// `H`, `[n, n]`.
    pub(super) left: Square<'a>,
    /// `K`, `[m, m]`.
    pub(super) right: Square<'a>,
    /// What columns count; empty if each counts 1.
    pub(super) mask: &'a [f32],
}

/// A square matrix and its transpose.
#[derive(Debug)]
pub(super) struct Square<'a> {
    matrix: &'a [f32],
    /// None if it is symmetric.
    transpose: Option<Vec<f32>>,
}

impl<'a> Square<'a> {
    pub(super) fn new(matrix: &'a [f32], size: usize) -> Self {
        let column = |column: usize| matrix[column..].iter().step_by(size).copied();
        let transpose: Vec<f32> = (0..size).flat_map(column).collect();
        Self { matrix, transpose: (transpose != matrix).then_some(transpose) }
    }

    fn transposed(&self) -> &[f32] {
        self.transpose.as_deref().unwrap_or(self.matrix)
    }
}

/// `M + M'` of the elements that `of` makes of a square matrix.
pub(super) fn symmetric_sum(matrix: &[f32], size: usize, of: impl Fn(f32) -> f64) -> Vec<f64> {
    let elements: Vec<f64> = matrix.iter().map(|element| of(*element)).collect();
    let mut sum = Vec::with_capacity(elements.len());
    for (index, row) in elements.chunks_exact(size).enumerate() {
        let column = elements[index..].iter().step_by(size);
        sum.extend(row.iter().zip(column).map(|(element, other)| element + other));
    }
    sum
}

/// A plan, and what the objective needs of it: linear in the plan.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// `T`, `[n, m]`.
    pub(super) plan: Vec<f64>,
    /// `F r`.
    by_row: Vec<f64>,
    /// `G c`.
    by_column: Vec<f64>,
    /// `H U K'`.
    product: Vec<f32>,
    /// `H' U K`; none if it is the same.
    transposed: Option<Vec<f32>>,
}

impl Quadratic<'_> {
    fn counts(&self, column: usize) -> f64 {
        self.mask.get(column).map_or(1.0, |mask| f64::from(*mask))
    }

    /// The point of a plan. Costs `n m` for each element of the plan that is not 0 in a row, and a product `n n m`.
    pub(super) fn at(&self, plan: Vec<f64>, workers: &Workers) -> Point {
        let [rows, columns] = self.shape;
        let (mut row_sums, mut column_sums) = (vec![0.0; rows], vec![0.0; columns]);
        for (plan, row_sum) in plan.chunks_exact(columns).zip(&mut row_sums) {
            for (column, (mass, column_sum)) in plan.iter().zip(&mut column_sums).enumerate() {
                let mass = mass * self.counts(column);
                *row_sum += mass;
                *column_sum += mass;
            }
        }
        let is_symmetric = self.left.transpose.is_none() && self.right.transpose.is_none();
        let product = self.product(&plan, self.left.matrix, self.right.transposed(), workers);
        let back = || self.product(&plan, self.left.transposed(), self.right.matrix, workers);
        Point {
            by_row: times(&self.first, &row_sums),
            by_column: times(&self.second, &column_sums),
            product,
            transposed: (!is_symmetric).then(back),
            plan,
        }
    }

    /// `left U right` for matrices `[n, n]` and `[m, m]`.
    fn product(&self, plan: &[f64], left: &[f32], right: &[f32], workers: &Workers) -> Vec<f32> {
        let [rows, columns] = self.shape;
        // A vertex has about as many elements as there are rows and columns.
        let is_sparse = plan.iter().filter(|mass| **mass != 0.0).count() < 4 * (rows + columns);
        let masked = |index: usize| (plan[index] * self.counts(index % columns)) as f32;
        let mut between = vec![0.0; plan.len()];
        if is_sparse {
            for (index, _) in plan.iter().enumerate().filter(|(_, mass)| **mass != 0.0) {
                let (row, column, mass) = (index / columns, index % columns, masked(index));
                let target = &mut between[row * columns..][..columns];
                let from = &right[column * columns..][..columns];
                target.iter_mut().zip(from).for_each(|(target, from)| *target += mass * from);
            }
        } else {
            let plan: Vec<f32> = (0..plan.len()).map(masked).collect();
            multiply(&plan, columns, right, &mut between, workers);
        }
        let mut product = vec![0.0; plan.len()];
        multiply(left, rows, &between, &mut product, workers);
        product
    }

    /// The value at a point.
    pub(super) fn value(&self, point: &Point) -> f64 {
        let [linear, quadratic] = self.terms(point, &point.plan);
        linear + 0.5 * quadratic
    }

    /// `<L, T>` and `<dQ/dT, T>` of a plan, where `Q` is the quadratic part, at a point.
    fn terms(&self, point: &Point, plan: &[f64]) -> [f64; 2] {
        let mut gradient = vec![0.0; plan.len()];
        self.quadratic_gradient(point, &mut gradient);
        [dot(&self.linear, plan), dot(&gradient, plan)]
    }

    /// The gradient with respect to the plan, all of whose elements are free.
    pub(super) fn gradient(&self, point: &Point) -> Vec<f64> {
        let mut gradient = vec![0.0; point.plan.len()];
        self.quadratic_gradient(point, &mut gradient);
        gradient.iter_mut().zip(&self.linear).for_each(|(gradient, linear)| *gradient += linear);
        gradient
    }

    /// `weight mask_j ((F r)_i + (G c)_j - cross (H U K' + H' U K)_ij)`.
    fn quadratic_gradient(&self, point: &Point, gradient: &mut [f64]) {
        let columns = self.shape[1];
        let transposed = point.transposed.as_ref().unwrap_or(&point.product);
        let rows = gradient.chunks_exact_mut(columns).zip(&point.by_row);
        let products = point.product.chunks_exact(columns).zip(transposed.chunks_exact(columns));
        let factors: Vec<f64> = (0..columns).map(|column| self.weight * self.counts(column)).collect();
        let (cross, by_column) = (self.cross, &point.by_column);
        vectorize(
            #[inline(always)]
            || {
                for ((gradient, by_row), (products, others)) in rows.zip(products) {
                    let terms = products.iter().zip(others).zip(by_column.iter().zip(&factors));
                    for (gradient, ((product, other), (by_column, factor))) in gradient.iter_mut().zip(terms) {
                        let product = f64::from(*product) + f64::from(*other);
                        *gradient = factor * (by_row + by_column - cross * product);
                    }
                }
            },
        );
    }

    /// The coefficients of the value along the segment from a point to another, `slope t + curvature t^2`, where
    /// `gradient` is that at the first.
    pub(super) fn along(&self, from: &Point, to: &Point, gradient: &[f64]) -> [f64; 2] {
        let direction: Vec<f64> = to.plan.iter().zip(&from.plan).map(|(to, from)| to - from).collect();
        let slope = dot(gradient, &direction);
        let mut other = vec![0.0; gradient.len()];
        self.quadratic_gradient(to, &mut other);
        other.iter_mut().zip(gradient.iter().zip(&self.linear)).for_each(|(other, (gradient, linear))| {
            *other -= gradient - linear;
        });
        [slope, 0.5 * dot(&other, &direction)]
    }
}

impl Point {
    /// Moves to `(1 - step)` times this and `step` times another.
    pub(super) fn blend(&mut self, other: &Self, step: f64) {
        blend(&mut self.plan, &other.plan, step);
        blend(&mut self.by_row, &other.by_row, step);
        blend(&mut self.by_column, &other.by_column, step);
        blend_products(&mut self.product, &other.product, step as f32);
        if let Some((product, other)) = self.transposed.as_mut().zip(other.transposed.as_ref()) {
            blend_products(product, other, step as f32);
        }
    }
}

fn blend(values: &mut [f64], others: &[f64], step: f64) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = (1.0 - step) * *value + step * other);
}

fn blend_products(values: &mut [f32], others: &[f32], step: f32) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = (1.0 - step) * *value + step * other);
}

/// A symmetric matrix times a vector; zeros for an empty one.
fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    match matrix.is_empty() {
        true => vec![0.0; vector.len()],
        false => matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect(),
    }
}

/// `sum of a[i] * b[i]`, by eight partial sums, in the same order on every processor.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    vectorize(
        #[inline(always)]
        || {
            let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let mut sums = [0.0; LANES];
            for (a, b) in a.iter().zip(b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += a * b;
                }
            }
            let rest: f64 = rest_of_a.iter().zip(rest_of_b).map(|(a, b)| a * b).sum();
            sums.iter().sum::<f64>() + rest
        },
    )
}

/// `output = left right`, with `left` `[rows, inner]`, by blocks of rows.
pub(super) fn multiply(left: &[f32], inner: usize, right: &[f32], output: &mut [f32], workers: &Workers) {
    let columns = right.len() / inner;
    let blocks = Blocks::of_products(left.len() / inner, columns.max(128));
    workers.for_each_block(blocks, inner * columns, RowsMut::new(output, columns), |rows, output| {
        let left = &left[rows.start * inner..rows.end * inner];
        matmul(Operand::new(left, inner), Operand::new(right, columns), output.data);
    });
}
