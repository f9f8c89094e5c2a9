//! Weighted sums of gathered rows: aggregation over neighbours, and products with sparse matrices.

use connectome_components::Matrix;

/// What one output row is the sum of: rows of the source by number, each with its coefficient.
///
/// Called once for each tile of columns, so it is cheap to start over.
pub trait Terms {
    /// Calls `add(row, coefficient)` for each term, always in the same order.
    fn for_each(&self, add: impl FnMut(usize, f32));
}

/// `output = sum of coefficient * source[row]` over the terms.
///
/// Columns are taken in tiles that stay in registers while the rows pass by. A tile that would reach beyond the last
/// column starts earlier instead, and computes some columns a second time, to the same bits.
#[inline(always)]
pub fn gather(terms: &impl Terms, source: &Matrix, output: &mut [f32]) {
    let width = output.len();
    let mut column = 0;
    while column < width {
        column = match width - column {
            64.. => tile::<64>(terms, source, column, output),
            32.. => tile::<32>(terms, source, column, output),
            9.. if width >= 16 => tile::<16>(terms, source, column.min(width - 16), output),
            5.. if width >= 8 => tile::<8>(terms, source, column.min(width - 8), output),
            2.. if width >= 4 => tile::<4>(terms, source, column.min(width - 4), output),
            _ => tile::<1>(terms, source, column, output),
        };
    }
}

/// Sums `TILE` columns of the output from `column` on; returns the column after them.
#[inline(always)]
fn tile<const TILE: usize>(terms: &impl Terms, source: &Matrix, column: usize, output: &mut [f32]) -> usize {
    let mut sums = [0.0; TILE];
    terms.for_each(
        #[inline(always)]
        |row, coefficient| {
            let values = &source.row(row)[column..column + TILE];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += coefficient * value;
            }
        },
    );
    output[column..column + TILE].copy_from_slice(&sums);
    column + TILE
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs(Vec<(usize, f32)>);

    impl Terms for Pairs {
        fn for_each(&self, mut add: impl FnMut(usize, f32)) {
            self.0.iter().for_each(|(row, coefficient)| add(*row, *coefficient));
        }
    }

    #[test]
    fn every_width_is_summed_as_by_the_plain_loop() {
        for width in (1..70).chain([127, 128, 129, 256]) {
            let source: Vec<f32> = (0..5 * width).map(|i| (i * 7 % 23) as f32 - 11.0).collect();
            let source = Matrix::new(width, core::iter::once(&source[..]));
            let terms = Pairs(vec![(4, 0.5), (0, -1.25), (2, 3.0), (4, 0.1)]);
            let mut output = vec![f32::NAN; width];
            gather(&terms, &source, &mut output);
            for (column, sum) in output.iter().enumerate() {
                let mut expected = 0.0;
                terms.for_each(|row, coefficient| expected += coefficient * source.row(row)[column]);
                assert_eq!(*sum, expected, "width {width}, column {column}");
            }
        }
    }
}
