//! Products of few rows: the right matrix is read as it lies, for packing it would take longer than multiplying.

use pulp::{Simd, WithSimd};

/// `output = left * right`, or that added to `output`, with row-major matrices: each element is the same sum as in a
/// [`Product`](super::product::Product).
pub(super) struct FewRows<'a> {
    pub left: &'a [f32],
    pub right: &'a [f32],
    /// Columns of the left matrix, and of the right one.
    pub widths: [usize; 2],
    pub adds: bool,
    pub output: &'a mut [f32],
}

impl WithSimd for FewRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, right, widths: [inner, width], adds, output } = self;
        for (left, output) in left.chunks_exact(inner).zip(output.chunks_exact_mut(width)) {
            let mut column = 0;
            while column < width {
                let row = Row { left, right, width, column, adds };
                column += match (width - column) / S::F32_LANES {
                    12.. if S::REGISTER_COUNT >= 32 => row.multiply::<S, 12>(simd, output),
                    8.. => row.multiply::<S, 8>(simd, output),
                    4.. => row.multiply::<S, 4>(simd, output),
                    2.. => row.multiply::<S, 2>(simd, output),
                    1 => row.multiply::<S, 1>(simd, output),
                    _ => row.multiply_rest(simd, output),
                };
            }
        }
    }
}

/// A row of the left matrix, to be multiplied by the right one from a column on.
struct Row<'a> {
    left: &'a [f32],
    right: &'a [f32],
    width: usize,
    column: usize,
    adds: bool,
}

impl Row<'_> {
    /// Multiplies by `COUNT` vectors of columns; returns their number of columns.
    #[inline(always)]
    fn multiply<S: Simd, const COUNT: usize>(&self, simd: S, output: &mut [f32]) -> usize {
        let columns = COUNT * S::F32_LANES;
        let output = S::as_mut_simd_f32s(&mut output[self.column..self.column + columns]).0;
        let mut sums = [simd.splat_f32s(0.0); COUNT];
        if self.adds {
            sums.copy_from_slice(&output[..COUNT]);
        }
        for (element, right) in self.left.iter().zip(self.right.chunks_exact(self.width)) {
            let element = simd.splat_f32s(*element);
            let Some(right) = S::as_simd_f32s(&right[self.column..self.column + columns]).0.first_chunk::<COUNT>()
            else {
                break;
            };
            for (sum, vector) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_f32s(element, *vector, *sum);
            }
        }
        output[..COUNT].copy_from_slice(&sums);
        columns
    }

    /// Multiplies by the last columns, fewer than a vector.
    #[inline(always)]
    fn multiply_rest<S: Simd>(&self, simd: S, output: &mut [f32]) -> usize {
        let output = &mut output[self.column..];
        let mut sum = if self.adds { simd.partial_load_f32s(output) } else { simd.splat_f32s(0.0) };
        for (element, right) in self.left.iter().zip(self.right.chunks_exact(self.width)) {
            let right = simd.partial_load_f32s(&right[self.column..]);
            sum = simd.mul_add_f32s(simd.splat_f32s(*element), right, sum);
        }
        simd.partial_store_f32s(output, sum);
        output.len()
    }
}
