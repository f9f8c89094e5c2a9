//! Weighted sums of gathered rows: aggregation over neighbors, and products with sparse matrices.

use connectome_components::Matrix;
use core::ops::Range;
use pulp::{Simd, WithSimd};

use super::{dispatch, prefetch::prefetch_at};

/// The terms of one output row: indices of source rows, each with its coefficient.
///
/// They are iterated once for each tile of features, so starting over must be cheap.
pub trait SparseRow {
    /// Calls `add(row, coefficient, soon)` for each term, always in the same order; `soon` is the row of a later
    /// term, to be prefetched, or any row if none is known.
    fn for_each_ahead(&self, add: impl FnMut(usize, f32, usize));
}

/// Number of terms by which rows are prefetched ahead: adding a row of some hundred bytes takes less time than loading
/// it.
const AHEAD: usize = 16;

/// Calls `visit(row, other, soon)` for the `entries` of one output row in `all`, which has those of all output rows in
/// order, with the element of `others` at the same index; `soon` is the row of a later entry, perhaps of the next
/// output row.
#[inline(always)]
pub(crate) fn for_each_ahead<T>(
    all: &[u32],
    entries: Range<usize>,
    others: impl Iterator<Item = T>,
    mut visit: impl FnMut(usize, T, usize),
) {
    let rows = &all[entries.clone()];
    let later = all.get(entries.start + AHEAD..).unwrap_or(&[]);
    // At the end, where no later rows are left, the rows themselves are used.
    let later = if later.len() < rows.len() { rows } else { &later[..rows.len()] };
    for ((row, soon), other) in rows.iter().zip(later).zip(others) {
        visit(*row as usize, other, *soon as usize);
    }
}

/// `output[i] = sum of coefficient * source[row]` over the terms of row `i`, for each of `rows`; with `adds`, added to
/// the output.
///
/// Features are summed in tiles that stay in registers. A tile that would extend beyond the last feature starts earlier
/// instead, and recomputes some features to the same bits.
#[inline(always)]
pub fn gather_rows<T: SparseRow>(
    rows: Range<usize>,
    terms: impl Fn(usize) -> T,
    source: &Matrix,
    adds: bool,
    output: &mut [f32],
) {
    dispatch(GatherRows { rows, terms, source, adds, output });
}

struct GatherRows<'a, F> {
    rows: Range<usize>,
    terms: F,
    source: &'a Matrix<'a>,
    adds: bool,
    output: &'a mut [f32],
}

impl<T: SparseRow, F: Fn(usize) -> T> WithSimd for GatherRows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.source.width();
        for (row, output) in self.rows.zip(self.output.chunks_exact_mut(width)) {
            let terms = (self.terms)(row);
            if width < S::F32_LANES {
                sum_narrow(simd, &terms, self.source, self.adds, output);
                continue;
            }
            let mut feature = 0;
            while feature < width {
                feature = match (width - feature) / S::F32_LANES {
                    // The sums need at most half of the registers.
                    16.. if S::REGISTER_COUNT >= 32 => {
                        vectors::<S, 16>(simd, &terms, self.source, feature, self.adds, output)
                    }
                    8.. => vectors::<S, 8>(simd, &terms, self.source, feature, self.adds, output),
                    4.. => vectors::<S, 4>(simd, &terms, self.source, feature, self.adds, output),
                    2.. => vectors::<S, 2>(simd, &terms, self.source, feature, self.adds, output),
                    _ => vectors::<S, 1>(simd, &terms, self.source, feature, self.adds, output),
                };
            }
        }
    }
}

/// Sums `COUNT` vectors of features from `feature` on, and the features after them if they are fewer than a vector;
/// returns the next feature.
#[inline(always)]
fn vectors<S: Simd, const COUNT: usize>(
    simd: S,
    terms: &impl SparseRow,
    source: &Matrix,
    feature: usize,
    adds: bool,
    output: &mut [f32],
) -> usize {
    let end = feature + COUNT * S::F32_LANES;
    if (1..S::F32_LANES).contains(&(output.len() - end)) {
        sum::<S, COUNT, true>(simd, terms, source, feature, adds, output);
        output.len()
    } else {
        sum::<S, COUNT, false>(simd, terms, source, feature, adds, output);
        end
    }
}

#[inline(always)]
fn sum<S: Simd, const COUNT: usize, const REST: bool>(
    simd: S,
    terms: &impl SparseRow,
    source: &Matrix,
    feature: usize,
    adds: bool,
    output: &mut [f32],
) {
    let width = output.len();
    let last = width - S::F32_LANES;
    // Almost always all rows are in the first chunk.
    let (_, table) = source.chunks().next().unwrap_or_default();
    let (tile, rest) = (table.get(feature..).unwrap_or(&[]), table.get(last..).unwrap_or(&[]));
    let (targets, _) = S::as_simd_f32s(&output[feature..]);
    let mut sums = [simd.splat_f32s(0.0); COUNT];
    let mut sum_of_rest = simd.splat_f32s(0.0);
    if adds {
        sums.copy_from_slice(&targets[..COUNT]);
        // Features that are computed twice have not been written yet.
        S::as_simd_f32s(&output[last..]).0.iter().for_each(|sum| sum_of_rest = *sum);
    }
    terms.for_each_ahead(
        #[inline(always)]
        |row, coefficient, soon| {
            prefetch_at::<COUNT>(tile, soon * width, S::F32_LANES);
            let coefficient = simd.splat_f32s(coefficient);
            let start = row * width;
            let values = match tile.get(start..start + COUNT * S::F32_LANES) {
                Some(values) => values,
                None => &source.row(row)[feature..feature + COUNT * S::F32_LANES],
            };
            let Some(values) = S::as_simd_f32s(values).0.first_chunk::<COUNT>() else { return };
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = simd.add_f32s(*sum, simd.mul_f32s(coefficient, *value));
            }
            if REST {
                let values = match rest.get(start..start + S::F32_LANES) {
                    Some(values) => values,
                    None => &source.row(row)[last..],
                };
                let Some(value) = S::as_simd_f32s(values).0.first() else { return };
                sum_of_rest = simd.add_f32s(sum_of_rest, simd.mul_f32s(coefficient, *value));
            }
        },
    );
    S::as_mut_simd_f32s(&mut output[feature..]).0[..COUNT].copy_from_slice(&sums);
    if REST {
        S::as_mut_simd_f32s(&mut output[last..]).0.fill(sum_of_rest);
    }
}

/// Sums rows that are narrower than a vector.
#[inline(always)]
fn sum_narrow<S: Simd>(simd: S, terms: &impl SparseRow, source: &Matrix, adds: bool, output: &mut [f32]) {
    let mut sum = if adds { simd.partial_load_f32s(output) } else { simd.splat_f32s(0.0) };
    terms.for_each_ahead(
        #[inline(always)]
        |row, coefficient, _| {
            let values = simd.partial_load_f32s(source.row(row));
            sum = simd.add_f32s(sum, simd.mul_f32s(simd.splat_f32s(coefficient), values));
        },
    );
    simd.partial_store_f32s(output, sum);
}

#[cfg(test)]
mod tests {
    use pulp::Scalar128b;

    use super::*;

    struct Pairs(Vec<(usize, f32)>);

    impl SparseRow for &Pairs {
        fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
            self.0.iter().for_each(|(row, coefficient)| add(*row, *coefficient, 0));
        }
    }

    #[test]
    fn every_width_agrees_with_the_plain_loop() {
        for width in (1..70).chain([127, 128, 129, 256]) {
            let source: Vec<f32> = (0..5 * width).map(|i| (i * 7 % 23) as f32 - 11.0).collect();
            let source = Matrix::new(width, core::iter::once(&source[..]));
            let terms = Pairs(vec![(4, 0.5), (0, -1.25), (2, 3.0), (4, 0.1)]);
            let exact = Pairs(vec![(1, 2.0), (3, -1.0)]);
            let mut expected = vec![0.0; width];
            for (row, coefficient) in &terms.0 {
                expected.iter_mut().zip(source.row(*row)).for_each(|(sum, value)| *sum += coefficient * value);
            }
            let twice = [&expected[..], &expected].concat();
            let mut output = vec![0.0; 2 * width];
            macro_rules! check {
                ($run:expr) => {
                    output.fill(f32::NAN);
                    let rows = 3..5;
                    $run(GatherRows { rows, terms: |_| &terms, source: &source, adds: false, output: &mut output });
                    assert_eq!(output, twice, "width {width}");
                    // These values are summed without rounding errors.
                    output.fill(0.5);
                    let rows = 3..5;
                    $run(GatherRows { rows, terms: |_| &exact, source: &source, adds: true, output: &mut output });
                    let sum = |feature: usize| 0.5 + 2.0 * source.row(1)[feature] - source.row(3)[feature];
                    assert!(output.iter().enumerate().all(|(i, found)| *found == sum(i % width)), "width {width}");
                };
            }
            check!(|work: GatherRows<_>| dispatch(work));
            check!(|work: GatherRows<_>| work.with_simd(pulp::Scalar));
            check!(|work: GatherRows<_>| work.with_simd(Scalar128b));
            check!(|work: GatherRows<_>| work.with_simd(pulp::Scalar512b));
        }
    }
}
