//! Tiles of a product, whose sums stay in registers.

use core::ops::Range;
use pulp::Simd;

use super::{Operand, ahead::Ahead};

/// The settings that the tiles of a panel share.
pub(super) struct Tile<'a> {
    pub left: Operand<'a>,
    /// The range of the inner dimension.
    pub inner: Range<usize>,
    /// The columns of the output.
    pub columns: Range<usize>,
    /// Whether products are added to the output.
    pub adds: bool,
}

impl Tile<'_> {
    /// Multiplies `ROWS` rows from `first_row` on, whose output rows start `output`, by a panel of `VECTORS` vectors in
    /// a row; returns `ROWS`.
    #[inline(always)]
    pub fn multiply<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        first_row: usize,
        panel: &[S::f32s],
        stride: usize,
        ahead: &mut Ahead,
        output: &mut [f32],
    ) -> usize {
        let output = &mut output[..ROWS * stride];
        let start = |row: usize| row * stride + self.columns.start;
        let is_whole = self.columns.len() == VECTORS * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        // Whole vectors use a plain loop of constant length, so that the sums never leave the registers.
        if self.adds && is_whole {
            for (row, sums) in sums.iter_mut().enumerate() {
                let (vectors, _) = S::as_simd_f32s(&output[start(row)..]);
                sums.iter_mut().zip(&vectors[..VECTORS]).for_each(|(sum, vector)| *sum = *vector);
            }
        } else if self.adds {
            sums = self.load_partial(simd, &output[self.columns.start..], stride);
        }
        let (panel, _) = panel.as_chunks::<VECTORS>();
        let sums = if self.left.is_row_major() {
            add_row_products(simd, self, first_row, panel, ahead, sums)
        } else {
            add_column_products(simd, self, first_row, panel, ahead, sums)
        };
        if is_whole {
            for (row, sums) in sums.iter().enumerate() {
                let (vectors, _) = S::as_mut_simd_f32s(&mut output[start(row)..]);
                vectors[..VECTORS].iter_mut().zip(sums).for_each(|(vector, sum)| *vector = *sum);
            }
        } else {
            self.store_partial(simd, sums, &mut output[self.columns.start..], stride);
        }
        ROWS
    }

    /// Loads vectors, padding the last one with zeros.
    #[inline(always)]
    fn load_partial<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        output: &[f32],
        stride: usize,
    ) -> [[S::f32s; VECTORS]; ROWS] {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            let row = &output[row * stride..][..self.columns.len()];
            let (whole, rest) = row.split_at((VECTORS - 1) * S::F32_LANES);
            sums.iter_mut().zip(S::as_simd_f32s(whole).0).for_each(|(sum, vector)| *sum = *vector);
            sums[VECTORS - 1] = simd.partial_load_f32s(rest);
        }
        sums
    }

    /// Stores vectors up to the end of the output.
    #[inline(always)]
    fn store_partial<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        sums: [[S::f32s; VECTORS]; ROWS],
        output: &mut [f32],
        stride: usize,
    ) {
        for (row, sums) in sums.iter().enumerate() {
            let row = &mut output[row * stride..][..self.columns.len()];
            let (whole, rest) = row.split_at_mut((VECTORS - 1) * S::F32_LANES);
            S::as_mut_simd_f32s(whole).0.iter_mut().zip(sums).for_each(|(vector, sum)| *vector = *sum);
            simd.partial_store_f32s(rest, sums[VECTORS - 1]);
        }
    }
}

/// `sums += left * panel`, with contiguous rows.
#[inline(always)]
fn add_row_products<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    Tile { left, inner, .. }: &Tile,
    first_row: usize,
    panel: &[[S::f32s; VECTORS]],
    ahead: &mut Ahead,
    mut sums: [[S::f32s; VECTORS]; ROWS],
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut rows = [&left.data[..inner.len()]; ROWS];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = &left.data[(first_row + index) * left.row_stride + inner.start..][..inner.len()];
    }
    let mut place = ahead.place;
    for (index, vectors) in panel.iter().take(inner.len()).enumerate() {
        ahead.step(&mut place);
        let elements = rows.iter().map(
            #[inline(always)]
            |row| row[index],
        );
        add_outer_product::<S, ROWS, VECTORS>(simd, elements, vectors, &mut sums);
    }
    ahead.place = place;
    sums
}

/// `sums += left * panel`, with contiguous columns.
#[inline(always)]
fn add_column_products<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    Tile { left, inner, .. }: &Tile,
    first_row: usize,
    panel: &[[S::f32s; VECTORS]],
    ahead: &mut Ahead,
    mut sums: [[S::f32s; VECTORS]; ROWS],
) -> [[S::f32s; VECTORS]; ROWS] {
    let columns = left.data[inner.start * left.column_stride + first_row..].chunks(left.column_stride);
    let mut place = ahead.place;
    for (column, vectors) in columns.zip(panel).take(inner.len()) {
        ahead.step(&mut place);
        let Some(column) = column.first_chunk::<ROWS>() else { break };
        add_outer_product::<S, ROWS, VECTORS>(simd, column.iter().copied(), vectors, &mut sums);
    }
    ahead.place = place;
    sums
}

/// Adds the outer product of a column of the left matrix and a row of the panel.
#[inline(always)]
fn add_outer_product<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    elements: impl Iterator<Item = f32>,
    vectors: &[S::f32s; VECTORS],
    sums: &mut [[S::f32s; VECTORS]; ROWS],
) {
    for (element, sums) in elements.zip(sums) {
        let element = simd.splat_f32s(element);
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            *sum = simd.mul_add_f32s(element, *vector, *sum);
        }
    }
}
