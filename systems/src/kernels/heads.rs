//! Weighted sums of gathered rows whose features are divided among heads.

use connectome_components::Matrix;

use super::{
    dot,
    lanes::{by_size, combine_both},
};

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

/// The terms of one output row: indices of source rows, each with a coefficient for each head.
pub trait HeadTerms {
    /// Calls `add(row, coefficients)` for each term, always in the same order.
    fn for_each(&self, add: impl FnMut(usize, &[f32]));
}

/// `output[h] += sum of coefficients[h] * source[row][h]` over the terms, for each of `heads` heads, which divide the
/// features equally.
///
/// The terms are iterated once for all heads if their width is 1, or a multiple of 8 and the sums fit into registers;
/// once or several times for each head otherwise.
#[inline(always)]
pub fn add_heads(terms: &impl HeadTerms, source: &Matrix, heads: usize, output: &mut [f32]) {
    let head_width = output.len() / heads;
    if head_width == 1 {
        terms.for_each(
            #[inline(always)]
            |row, coefficients| {
                let terms = [source.row(row), coefficients];
                combine_both(output, terms, |sum, value, coefficient| sum + coefficient * value);
            },
        );
    } else if head_width.is_multiple_of(GROUP) {
        let mut feature = 0;
        while feature < output.len() {
            feature = match (output.len() - feature) / GROUP {
                8.. => tile::<8, GROUP>(terms, source, head_width, feature, output),
                5 => tile::<5, GROUP>(terms, source, head_width, feature, output),
                4.. => tile::<4, GROUP>(terms, source, head_width, feature, output),
                2.. => tile::<2, GROUP>(terms, source, head_width, feature, output),
                _ => tile::<1, GROUP>(terms, source, head_width, feature, output),
            };
        }
    } else {
        let mut feature = 0;
        while feature < output.len() {
            feature = match head_width - feature % head_width {
                8.. => tile::<1, 8>(terms, source, head_width, feature, output),
                4.. => tile::<1, 4>(terms, source, head_width, feature, output),
                2.. => tile::<1, 2>(terms, source, head_width, feature, output),
                _ => tile::<1, 1>(terms, source, head_width, feature, output),
            };
        }
    }
}

/// Number of features that share a coefficient, if the width of a head is a multiple of it.
const GROUP: usize = 8;

/// Sums `GROUPS` groups of `SIZE` features from `feature` on, each with one coefficient; returns the next feature.
#[inline(always)]
fn tile<const GROUPS: usize, const SIZE: usize>(
    terms: &impl HeadTerms,
    source: &Matrix,
    head_width: usize,
    feature: usize,
    output: &mut [f32],
) -> usize {
    let end = feature + GROUPS * SIZE;
    let mut heads = [0; GROUPS];
    for (group, head) in heads.iter_mut().enumerate() {
        *head = (feature + group * SIZE) / head_width;
    }
    let output = &mut output[feature..end];
    let mut sums = [[0.0; SIZE]; GROUPS];
    sums.as_flattened_mut().copy_from_slice(output);
    terms.for_each(
        #[inline(always)]
        |row, coefficients| {
            let (groups, _) = source.row(row)[feature..end].as_chunks::<SIZE>();
            let Some(groups) = groups.first_chunk::<GROUPS>() else { return };
            for ((sums, values), head) in sums.iter_mut().zip(groups).zip(heads) {
                let coefficient = coefficients[head];
                // A copy, which stays in a register.
                let mut total = *sums;
                for (sum, value) in total.iter_mut().zip(values) {
                    *sum += coefficient * value;
                }
                *sums = total;
            }
        },
    );
    output.copy_from_slice(sums.as_flattened());
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(Vec<(usize, Vec<f32>)>);

    impl HeadTerms for Pairs {
        fn for_each(&self, mut add: impl FnMut(usize, &[f32])) {
            self.0.iter().for_each(|(row, coefficients)| add(*row, coefficients));
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
                    terms.for_each(|row, by_head| expected += by_head[feature / head_width] * source.row(row)[feature]);
                    assert_eq!(*sum, expected, "{heads} heads of width {head_width}, feature {feature}");
                }
            }
        }
    }
}
