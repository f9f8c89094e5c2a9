//! Dense matrix products, by the crate `gemm`.

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
    assert_eq!(left.columns, right.rows, "inner dimensions of a product");
    assert_eq!(output.len(), left.rows * right.columns, "size of a product");
    debug_assert!(left.data.len() >= left.rows * left.columns && right.data.len() >= right.rows * right.columns);
    if output.is_empty() {
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
            false,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_matrices_and_transposes_are_exact_on_small_integers() {
        for (rows, inner, columns) in [(1, 1, 1), (3, 5, 2), (17, 33, 16), (64, 40, 7), (2, 0, 3)] {
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
            matmul(Operand::new(&left_transposed, rows).transposed(), Operand::new(&right, columns), &mut output);
            assert_eq!(output, expected);
        }
    }
}
