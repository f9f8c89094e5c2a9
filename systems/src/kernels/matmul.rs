//! Dense matrix products, by the crate `gemm` and by loops of our own where that is slow.

use pulp::{Simd, WithSimd};

use super::dispatch;

/// A dense matrix as it lies in memory, or its transpose.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Operand<'a> {
    /// A row-major matrix; `data` holds whole rows of `columns` numbers.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        debug_assert_eq!(data.len() % columns, 0);
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows and columns change places; nothing moves.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// `output = left * right`, computed by the calling thread. `output` is row-major.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul(left: Operand, right: Operand, output: &mut [f32]) {
    matmul_onto(left, right, 1.0, false, output);
}

/// `output = factor * left * right`, or that added to what stands there; as [`matmul`].
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_onto(left: Operand, right: Operand, factor: f32, adds: bool, output: &mut [f32]) {
    assert_eq!(left.columns, right.rows, "inner dimensions of a product");
    assert_eq!(output.len(), left.rows * right.columns, "size of a product");
    debug_assert!(left.data.len() >= left.rows * left.columns && right.data.len() >= right.rows * right.columns);
    if output.is_empty() || dispatch(ThinProduct { left, right, factor, adds, output }) {
        return;
    }
    #[expect(unsafe_code, reason = "gemm takes pointers; it dispatches on the processor at run time")]
    // SAFETY: an operand's strides address exactly its `rows * columns` numbers, the output is borrowed mutably and
    // holds `rows * columns` numbers with the strides given, and the shapes were compared above.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            output.as_mut_ptr(),
            1,
            right.columns as isize,
            adds,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            f32::from(adds),
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A product with few columns, of matrices as they lie in memory. `gemm` keeps too few sums in registers for it.
struct ThinProduct<'a> {
    left: Operand<'a>,
    right: Operand<'a>,
    factor: f32,
    adds: bool,
    output: &'a mut [f32],
}

impl WithSimd for ThinProduct<'_> {
    /// Whether the product is thin, and has been computed.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { left, right, .. } = self;
        let as_it_lies = |operand: Operand| operand.column_stride == 1 && operand.row_stride == operand.columns;
        if !as_it_lies(left) || !as_it_lies(right) || !right.columns.is_multiple_of(S::F32_LANES) {
            return false;
        }
        // The sums of some rows, with a vector of the right matrix and a number of the left one, fill the registers.
        match (right.columns / S::F32_LANES, S::REGISTER_COUNT) {
            (1, 32..) => self.in_groups::<S, 16, 1>(simd),
            (2, 32..) => self.in_groups::<S, 12, 2>(simd),
            (1, _) => self.in_groups::<S, 12, 1>(simd),
            (2, _) => self.in_groups::<S, 6, 2>(simd),
            (4, _) => self.in_groups::<S, 3, 4>(simd),
            _ => return false,
        }
        true
    }
}

impl ThinProduct<'_> {
    /// Multiplies `ROWS` rows at once, of which the sums are `VECTORS` vectors wide.
    #[inline(always)]
    fn in_groups<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Self { left, right, factor, adds, output } = self;
        let inputs = left.columns;
        let (weights, _) = S::as_simd_f32s(right.data);
        let (output, _) = S::as_mut_simd_f32s(output);
        let whole = left.rows / ROWS * ROWS;
        let (groups, rest) = left.data[..left.rows * inputs].split_at(whole * inputs);
        let (group_sums, rest_of_sums) = output.split_at_mut(whole * VECTORS);
        let group_sums = group_sums.chunks_exact_mut(ROWS * VECTORS);
        for (rows, sums) in groups.chunks_exact((ROWS * inputs).max(1)).zip(group_sums) {
            multiply_rows::<S, ROWS, VECTORS>(simd, rows, weights, inputs, (factor, adds), sums);
        }
        for (row, sums) in rest.chunks_exact(inputs.max(1)).zip(rest_of_sums.chunks_exact_mut(VECTORS)) {
            multiply_rows::<S, 1, VECTORS>(simd, row, weights, inputs, (factor, adds), sums);
        }
    }
}

/// `output = factor * rows * weights`, or that added to what stands there.
#[inline(always)]
fn multiply_rows<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: &[f32],
    weights: &[S::f32s],
    inputs: usize,
    (factor, adds): (f32, bool),
    output: &mut [S::f32s],
) {
    let mut parts = [&rows[..inputs]; ROWS];
    for (row, part) in parts.iter_mut().enumerate() {
        *part = &rows[row * inputs..][..inputs];
    }
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (input, weights) in weights.chunks_exact(VECTORS).take(inputs).enumerate() {
        let Some(weights) = weights.first_chunk::<VECTORS>() else { return };
        for (part, sums) in parts.iter().zip(&mut sums) {
            let number = simd.splat_f32s(part[input]);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = simd.mul_add_f32s(number, *weight, *sum);
            }
        }
    }
    let factor = simd.splat_f32s(factor);
    for (output, sum) in output.iter_mut().zip(sums.as_flattened()) {
        let product = simd.mul_f32s(factor, *sum);
        *output = if adds { simd.add_f32s(*output, product) } else { product };
    }
}

/// `output = left^T * right`, computed by the calling thread: the sum of the outer products of the rows of two matrices
/// with `inputs` and `outputs` columns.
///
/// For few outputs `gemm` would go down the columns of `left`, to another page of memory for every six numbers; so we go
/// along its rows.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_transposed(left: &[f32], right: &[f32], [inputs, outputs]: [usize; 2], output: &mut [f32]) {
    /// A multiple of the lanes of every processor.
    const LANES: usize = 16;
    if outputs.is_multiple_of(LANES) && outputs <= 2 * LANES {
        output.fill(0.0);
        dispatch(OuterProducts { left, right, inputs, outputs, sums: output });
    } else {
        matmul(Operand::new(left, inputs).transposed(), Operand::new(right, outputs), output);
    }
}

/// `sums += left^T * right`, in the order of the rows; `outputs` is a multiple of the lanes.
struct OuterProducts<'a> {
    left: &'a [f32],
    right: &'a [f32],
    inputs: usize,
    outputs: usize,
    sums: &'a mut [f32],
}

impl WithSimd for OuterProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Rows that are multiplied in one pass over the sums: a number of each stays in a register.
        match S::REGISTER_COUNT {
            32.. => self.in_groups::<S, 16>(simd),
            _ => self.in_groups::<S, 8>(simd),
        }
    }
}

impl OuterProducts<'_> {
    #[inline(always)]
    fn in_groups<S: Simd, const GROUP: usize>(self, simd: S) {
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

/// Adds the outer products of `ROWS` rows with `inputs` numbers and with `vectors` of the processor's vectors.
#[inline(always)]
fn add_outer_products<S: Simd, const ROWS: usize>(
    simd: S,
    left: &[f32],
    right: &[S::f32s],
    [inputs, vectors]: [usize; 2],
    sums: &mut [S::f32s],
) {
    let mut rows = [&left[..inputs]; ROWS];
    for (row, place) in rows.iter_mut().enumerate() {
        *place = &left[row * inputs..][..inputs];
    }
    for vector in 0..vectors {
        // These stay in registers.
        let mut factors = [simd.splat_f32s(0.0); ROWS];
        for (row, factor) in factors.iter_mut().enumerate() {
            *factor = right[row * vectors + vector];
        }
        for (input, sum) in sums[vector..].iter_mut().step_by(vectors).enumerate() {
            // A copy, which stays in a register: the compiler fears that the sums and the rows overlap.
            let mut total = *sum;
            for (row, factor) in rows.iter().zip(factors) {
                total = simd.mul_add_f32s(simd.splat_f32s(row[input]), factor, total);
            }
            *sum = total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_matrices_and_transposes_are_exact_on_small_integers() {
        for (rows, inner, columns) in
            [(1, 1, 1), (3, 5, 2), (17, 33, 16), (21, 37, 32), (40, 3, 16), (64, 40, 7), (2, 0, 3)]
        {
            let number = |i: usize, j: usize| ((i * 31 + j * 17) % 7) as f32 - 3.0;
            let left: Vec<f32> = (0..rows * inner).map(|k| number(k / inner, k % inner)).collect();
            let right: Vec<f32> = (0..inner * columns).map(|k| number(k % columns, k / columns)).collect();
            let left_transposed: Vec<f32> = (0..rows * inner).map(|k| number(k % rows, k / rows)).collect();
            let mut expected = vec![0.0; rows * columns];
            for i in 0..rows {
                for j in 0..columns {
                    expected[i * columns + j] = (0..inner).map(|k| left[i * inner + k] * right[k * columns + j]).sum();
                }
            }
            if inner == 0 {
                continue;
            }
            let mut output = vec![f32::NAN; rows * columns];
            matmul(Operand::new(&left, inner), Operand::new(&right, columns), &mut output);
            assert_eq!(output, expected);
            matmul_onto(Operand::new(&left, inner), Operand::new(&right, columns), 2.0, true, &mut output);
            assert_eq!(output, expected.iter().map(|number| 3.0 * number).collect::<Vec<_>>());
            output.fill(f32::NAN);
            matmul_transposed(&left_transposed, &right, [rows, columns], &mut output);
            assert_eq!(output, expected);
        }
    }
}
