//! Weighted sums of gathered rows whose features are divided among heads.

use connectome_components::Matrix;
use core::{array, ops::Range};

use super::{
    dot,
    lanes::{by_size, combine_both},
    prefetch,
};

/// Some features of the rows of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    matrix: &'a Matrix<'a>,
    start: usize,
    width: usize,
}

impl<'a> Part<'a> {
    /// The `width` features from `start` on.
    pub fn new(matrix: &'a Matrix<'a>, start: usize, width: usize) -> Self {
        Self { matrix, start, width }
    }

    /// Number of features.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The features of row `index`.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        self.part(index, 0..self.width)
    }

    /// Some of them.
    #[inline(always)]
    fn part(&self, index: usize, features: Range<usize>) -> &'a [f32] {
        self.matrix.part(index, self.start + features.start..self.start + features.end)
    }
}

impl<'a> From<&'a Matrix<'a>> for Part<'a> {
    #[inline(always)]
    fn from(matrix: &'a Matrix<'a>) -> Self {
        Self::new(matrix, 0, matrix.width())
    }
}

/// `products[h] = one[h] . other[h]` for each head; the heads divide the features equally.
#[inline(always)]
pub fn multiply_heads(one: &[f32], other: &[f32], products: &mut [f32]) {
    products.fill(0.0);
    by_size(
        one.len() / products.len(),
        #[inline(always)]
        |features| add_products(one, other, features, products),
    );
}

/// `products[h] += one[h] . other[h]`, where each head has `features` features.
#[inline(always)]
pub(super) fn add_products(one: &[f32], other: &[f32], features: usize, products: &mut [f32]) {
    if features == 1 {
        return combine_both(products, [one, other], |product, one, other| product + one * other);
    }
    let heads = one.chunks_exact(features).zip(other.chunks_exact(features));
    for (product, (one, other)) in products.iter_mut().zip(heads) {
        *product += dot(one, other);
    }
}

/// The terms of some output rows: indices of source rows, each with a coefficient for each head and output row.
pub trait HeadTerms<const OUTPUTS: usize> {
    /// Calls `add(row, coefficients, soon)` for each term, always in the same order; `soon` is the row of a later term, to be
    /// prefetched, or any row if none is known.
    fn for_each_ahead(&self, add: impl FnMut(usize, [&[f32]; OUTPUTS], usize));
}

/// `output[h] += sum of coefficients[h] * source[row][h]` over the terms, for each of `heads` heads, which divide the
/// features equally.
#[inline(always)]
pub fn add_heads(terms: &impl HeadTerms<1>, source: &Matrix, heads: usize, output: &mut [f32]) {
    sum_heads(
        terms,
        source.into(),
        heads,
        #[inline(always)]
        |feature, [sums]| output[feature..].iter_mut().zip(sums).for_each(|(output, sum)| *output += sum),
    );
}

/// Calls `finish(feature, sums)` with the sums of `coefficients[h] * source[row][h]` over the terms for some features from
/// `feature` on, until all features had their turn. These are 1, 4 or a multiple of 8, and of one head but for
/// multiples of 8 and heads of width 1.
///
/// The terms are iterated once for all heads if their width is a multiple of 8 and the sums fit into registers;
/// once or several times for each head otherwise.
#[inline(always)]
pub fn sum_heads<const OUTPUTS: usize>(
    terms: &impl HeadTerms<OUTPUTS>,
    source: Part,
    heads: usize,
    mut finish: impl FnMut(usize, [&[f32]; OUTPUTS]),
) {
    let width = source.width;
    let head_width = width / heads;
    let mut feature = 0;
    while feature < width {
        let rest = width - feature;
        feature += if head_width == 1 {
            match rest {
                8.. => by_feature::<OUTPUTS, 8>(terms, source, feature, &mut finish),
                _ => by_feature::<OUTPUTS, 1>(terms, source, feature, &mut finish),
            }
        } else if head_width.is_multiple_of(GROUP) {
            match rest / GROUP {
                8.. => tile::<OUTPUTS, 8, GROUP>(terms, source, head_width, feature, &mut finish),
                5 => tile::<OUTPUTS, 5, GROUP>(terms, source, head_width, feature, &mut finish),
                4.. => tile::<OUTPUTS, 4, GROUP>(terms, source, head_width, feature, &mut finish),
                _ => tile::<OUTPUTS, 1, GROUP>(terms, source, head_width, feature, &mut finish),
            }
        } else {
            match head_width - feature % head_width {
                8.. => tile::<OUTPUTS, 1, 8>(terms, source, head_width, feature, &mut finish),
                4.. => tile::<OUTPUTS, 1, 4>(terms, source, head_width, feature, &mut finish),
                _ => tile::<OUTPUTS, 1, 1>(terms, source, head_width, feature, &mut finish),
            }
        };
    }
}

/// Number of features that share a coefficient, if the width of a head is a multiple of it.
const GROUP: usize = 8;

/// Sums `GROUPS` groups of `SIZE` features from `feature` on, each with one coefficient; returns their number.
#[inline(always)]
fn tile<const OUTPUTS: usize, const GROUPS: usize, const SIZE: usize>(
    terms: &impl HeadTerms<OUTPUTS>,
    source: Part,
    head_width: usize,
    feature: usize,
    finish: &mut impl FnMut(usize, [&[f32]; OUTPUTS]),
) -> usize {
    let end = feature + GROUPS * SIZE;
    let mut heads = [0; GROUPS];
    for (group, head) in heads.iter_mut().enumerate() {
        *head = (feature + group * SIZE) / head_width;
    }
    let mut sums = [[[0.0; SIZE]; GROUPS]; OUTPUTS];
    terms.for_each_ahead(
        #[inline(always)]
        |row, coefficients, soon| {
            prefetch(source.part(soon, feature..end));
            let (groups, _) = source.part(row, feature..end).as_chunks::<SIZE>();
            let Some(groups) = groups.first_chunk::<GROUPS>() else { return };
            for (sums, coefficients) in sums.iter_mut().zip(coefficients) {
                for ((sums, values), head) in sums.iter_mut().zip(groups).zip(heads) {
                    let coefficient = coefficients[head];
                    // A copy, which stays in a register.
                    let mut total = *sums;
                    for (sum, value) in total.iter_mut().zip(values) {
                        *sum += coefficient * value;
                    }
                    *sums = total;
                }
            }
        },
    );
    finish(feature, array::from_fn(|output| sums[output].as_flattened()));
    GROUPS * SIZE
}

/// Sums `SIZE` features from `feature` on, each with its own coefficient; returns their number.
#[inline(always)]
fn by_feature<const OUTPUTS: usize, const SIZE: usize>(
    terms: &impl HeadTerms<OUTPUTS>,
    source: Part,
    feature: usize,
    finish: &mut impl FnMut(usize, [&[f32]; OUTPUTS]),
) -> usize {
    let mut sums = [[0.0; SIZE]; OUTPUTS];
    terms.for_each_ahead(
        #[inline(always)]
        |row, coefficients, soon| {
            prefetch(source.row(soon));
            let Some(values) = source.row(row)[feature..].first_chunk::<SIZE>() else { return };
            for (sums, coefficients) in sums.iter_mut().zip(coefficients) {
                let Some(coefficients) = coefficients[feature..].first_chunk::<SIZE>() else { return };
                for ((sum, value), coefficient) in sums.iter_mut().zip(values).zip(coefficients) {
                    *sum += coefficient * value;
                }
            }
        },
    );
    finish(feature, array::from_fn(|output| &sums[output][..]));
    SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(Vec<(usize, Vec<f32>)>);

    impl HeadTerms<1> for Pairs {
        fn for_each_ahead(&self, mut add: impl FnMut(usize, [&[f32]; 1], usize)) {
            self.0.iter().for_each(|(row, coefficients)| add(*row, [coefficients], 0));
        }
    }

    #[test]
    fn every_division_into_heads_agrees_with_the_plain_loop() {
        for heads in 1..10 {
            for head_width in [1, 2, 3, 7, 8, 9, 16, 24, 40, 72] {
                let width = heads * head_width;
                let source: Vec<f32> = (0..5 * width).map(|i| (i * 7 % 23) as f32 - 11.0).collect();
                let source = Matrix::new(width, core::iter::once(&source[..]));
                let coefficients = |row: usize| (0..heads).map(|head| 0.5 * row as f32 - head as f32).collect();
                let terms = Pairs([4, 0, 2, 4].map(|row| (row, coefficients(row))).to_vec());
                let mut output = vec![0.25; width];
                add_heads(&terms, &source, heads, &mut output);
                for (feature, sum) in output.iter().enumerate() {
                    let mut expected = 0.25;
                    terms.for_each_ahead(|row, [by_head], _| {
                        expected += by_head[feature / head_width] * source.row(row)[feature]
                    });
                    assert_eq!(*sum, expected, "{heads} heads of width {head_width}, feature {feature}");
                }
            }
        }
    }
}
