//! Transposed products with few outputs.

use pulp::{Simd, WithSimd};

/// `sums += left^T * right`, in the order of the rows; `outputs` is a multiple of the lanes.
pub(super) struct OuterProducts<'a> {
    pub left: &'a [f32],
    pub right: &'a [f32],
    pub inputs: usize,
    pub outputs: usize,
    pub sums: &'a mut [f32],
}

impl WithSimd for OuterProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The number of rows that are multiplied in one pass over the sums: an element of each stays in a register.
        match S::REGISTER_COUNT {
            32.. => self.multiply_groups::<S, 16>(simd),
            _ => self.multiply_groups::<S, 8>(simd),
        }
    }
}

impl OuterProducts<'_> {
    #[inline(always)]
    fn multiply_groups<S: Simd, const GROUP: usize>(self, simd: S) {
        let Self { left, right, inputs, outputs, sums } = self;
        let (right, _) = S::as_simd_f32s(right);
        let (sums, _) = S::as_mut_simd_f32s(sums);
        let vectors = outputs / S::F32_LANES;
        let whole = left.len() / inputs / GROUP * GROUP;
        let (left, rest_of_left) = left.split_at(whole * inputs);
        let (right, rest_of_right) = right.split_at(whole * vectors);
        for (left, right) in left.chunks_exact(GROUP * inputs).zip(right.chunks_exact(GROUP * vectors)) {
            add_outer_products::<S, GROUP>(simd, left, right, [inputs, vectors], sums);
        }
        for (left, right) in rest_of_left.chunks_exact(inputs).zip(rest_of_right.chunks_exact(vectors)) {
            add_outer_products::<S, 1>(simd, left, right, [inputs, vectors], sums);
        }
    }
}

/// Adds the outer products of `ROWS` rows of `inputs` elements with rows of `vectors` vectors.
#[inline(always)]
fn add_outer_products<S: Simd, const ROWS: usize>(
    simd: S,
    left: &[f32],
    right: &[S::f32s],
    [inputs, vectors]: [usize; 2],
    sums: &mut [S::f32s],
) {
    let mut rows = [&left[..inputs]; ROWS];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = &left[index * inputs..][..inputs];
    }
    for vector in 0..vectors {
        // Stays in registers.
        let mut factors = [simd.splat_f32s(0.0); ROWS];
        for (row, factor) in factors.iter_mut().enumerate() {
            *factor = right[row * vectors + vector];
        }
        for (input, sum) in sums[vector..].iter_mut().step_by(vectors).enumerate() {
            // A copy, which stays in a register: the compiler assumes that the sums and the rows may overlap.
            let mut total = *sum;
            for (row, factor) in rows.iter().zip(factors) {
                total = simd.mul_add_f32s(simd.splat_f32s(row[input]), factor, total);
            }
            *sum = total;
        }
    }
}
