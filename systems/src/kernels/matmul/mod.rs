//! Dense matrix products.

mod ahead;
mod few_rows;
mod outer_products;
mod product;
mod tile;

use core::cell::RefCell;

use self::{
    few_rows::FewRows,
    outer_products::OuterProducts,
    product::{Panel, Product},
};
use super::dispatch;
pub use ahead::Upcoming;

/// A dense row-major matrix, or its transpose.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Operand<'a> {
    /// A row-major matrix; `data` holds rows of `columns` elements.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        debug_assert_eq!(data.len() % columns, 0);
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Whether rows are contiguous; otherwise columns are.
    fn is_row_major(&self) -> bool {
        self.column_stride == 1
    }

    /// The transpose, without a copy.
    pub fn transposed(self) -> Self {
        // A single row is contiguous in any case.
        let [row_stride, column_stride] =
            if self.columns == 1 { [self.rows, 1] } else { [self.column_stride, self.row_stride] };
        Self { rows: self.columns, columns: self.rows, row_stride, column_stride, ..self }
    }
}

/// The most rows that are multiplied without packing the right matrix.
const FEW_ROWS: usize = 3;

/// `output = left * right`, computed by the calling thread. `output` is row-major.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul(left: Operand, right: Operand, output: &mut [f32]) {
    matmul_onto(left, right, 1.0, false, output);
}

/// `output = left * factor * right`, or that added to `output`; see [`matmul`].
///
/// Each element is one sum in the order of the inner dimension, so it has the same bits on every processor with fused
/// multiply-add. Does not allocate.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_onto(left: Operand, right: Operand, factor: f32, adds: bool, output: &mut [f32]) {
    matmul_ahead(left, right, factor, adds, Upcoming::default(), output);
}

/// As [`matmul_onto`], and prefetches rows that are read afterwards.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_ahead(left: Operand, right: Operand, factor: f32, adds: bool, upcoming: Upcoming, output: &mut [f32]) {
    thread_local! {
        /// A buffer for each thread, so that a product neither allocates nor clears memory.
        static PANEL: RefCell<Panel> = const { RefCell::new(Panel::EMPTY) };
    }
    assert_eq!(left.columns, right.rows, "inner dimensions of a product");
    assert_eq!(output.len(), left.rows * right.columns, "size of a product");
    if left.columns == 0 && !adds {
        output.fill(0.0);
    }
    if left.rows <= FEW_ROWS && left.is_row_major() && right.is_row_major() && factor == 1.0 && left.columns > 0 {
        let widths = [left.columns, right.columns];
        return dispatch(FewRows { left: left.data, right: right.data, widths, adds, output });
    }
    PANEL.with_borrow_mut(|panel| dispatch(Product { left, right, factor, adds, panel, output, upcoming }));
}

/// `output = left^T * right`, computed by the calling thread: the sum of the outer products of the rows of two matrices
/// with `inputs` and `outputs` columns.
///
/// For few outputs it iterates over the rows of `left`, because each element of a column is in another cache line.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul_transposed(left: &[f32], right: &[f32], [inputs, outputs]: [usize; 2], output: &mut [f32]) {
    /// A multiple of the lanes of every processor.
    const LANES: usize = 16;
    if outputs == LANES {
        output.fill(0.0);
        dispatch(OuterProducts { left, right, inputs, outputs, sums: output });
    } else {
        matmul(Operand::new(left, inputs).transposed(), Operand::new(right, outputs), output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Scalar128b, WithSimd};

    const SHAPES: [[usize; 3]; 14] = [
        [1, 1, 1],
        [3, 5, 2],
        [5, 2, 1],
        [17, 33, 16],
        [21, 37, 32],
        [29, 300, 40],
        [40, 3, 16],
        [64, 40, 7],
        [13, 530, 48],
        [11, 64, 100],
        [33, 1, 65],
        [2, 259, 130],
        [64, 70, 100],
        [320, 65, 130],
    ];

    fn matrix(rows: usize, columns: usize, element: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        (0..rows * columns).map(|index| element(index / columns, index % columns)).collect()
    }

    fn transposed(rows: usize, columns: usize, data: &[f32]) -> Vec<f32> {
        matrix(columns, rows, |row, column| data[column * columns + row])
    }

    #[test]
    fn products_of_matrices_and_transposes_are_exact_on_small_integers() {
        for [rows, inner, columns] in SHAPES {
            let left = matrix(rows, inner, |i, j| ((i * 31 + j * 17) % 7) as f32 - 3.0);
            let right = matrix(inner, columns, |i, j| ((i * 17 + j * 31) % 7) as f32 - 3.0);
            let (left_transposed, right_transposed) =
                (transposed(rows, inner, &left), transposed(inner, columns, &right));
            let expected = matrix(rows, columns, |i, j| {
                (0..inner).map(|k| left[i * inner + k] * right[k * columns + j]).sum::<f32>()
            });
            let lefts = [Operand::new(&left, inner), Operand::new(&left_transposed, rows).transposed()];
            let rights = [Operand::new(&right, columns), Operand::new(&right_transposed, inner).transposed()];
            for (left, right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
                let mut output = vec![f32::NAN; rows * columns];
                matmul(left, right, &mut output);
                assert_eq!(output, expected, "{left:?} {right:?}");
                matmul_onto(left, right, 2.0, true, &mut output);
                assert_eq!(output, expected.iter().map(|element| 3.0 * element).collect::<Vec<_>>());
            }
            let mut output = vec![f32::NAN; rows * columns];
            matmul_transposed(&left_transposed, &right, [rows, columns], &mut output);
            assert_eq!(output, expected);
        }
    }

    #[test]
    fn a_product_with_an_empty_inner_dimension_is_zero() {
        let (left, right) = (Operand::new(&[], 1).transposed(), Operand::new(&[], 3));
        let mut output = [f32::NAN; 3];
        matmul(left, right, &mut output);
        assert_eq!(output, [0.0; 3]);
        matmul(Operand::new(&[], 3), Operand::new(&[1.0; 6], 2), &mut []);
    }

    /// The bits of a product by one kind of vectors, if the processor has them.
    fn by<S: pulp::Simd>(simd: Option<S>, [rows, inner, columns]: [usize; 3], few: bool) -> Option<Vec<u32>> {
        let left = matrix(rows, inner, |i, j| ((i * 37 + j * 101) as f32).sin());
        let right = matrix(inner, columns, |i, j| ((i * 53 + j * 71) as f32).cos());
        let mut output = vec![0.5; rows * columns];
        let mut panel = Panel::EMPTY;
        if few {
            let widths = [inner, columns];
            FewRows { left: &left, right: &right, widths, adds: true, output: &mut output }.with_simd(simd?);
            return Some(output.into_iter().map(f32::to_bits).collect());
        }
        let (left, right) = (Operand::new(&left, inner), Operand::new(&right, columns));
        let upcoming = Upcoming { table: left.data, width: inner, rows: &[0, u32::MAX, 1] };
        let product =
            Product { left, right, factor: 1.0, adds: true, panel: &mut panel, output: &mut output, upcoming };
        product.with_simd(simd?);
        Some(output.into_iter().map(f32::to_bits).collect())
    }

    #[test]
    fn products_depend_neither_on_the_width_of_vectors_nor_on_packing() {
        for shape in SHAPES {
            let expected = by(Some(Scalar128b), shape, false);
            assert!(expected.is_some() && by(Some(Scalar128b), shape, true) == expected, "{shape:?}");
            #[cfg(target_arch = "x86_64")]
            for few in [false, true] {
                for bits in [by(pulp::x86::V3::try_new(), shape, few), by(pulp::x86::V4::try_new(), shape, few)] {
                    assert!(bits.is_none() || bits == expected, "{shape:?}");
                }
            }
        }
    }
}
