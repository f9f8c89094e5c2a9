//! Products cut into panels and tiles, after Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
//! (2008).

use core::{ops::Range, slice::Chunks};
use pulp::{Simd, WithSimd};

use super::{Operand, tile::Tile};
use crate::kernels::prefetch;

/// The largest block of the inner dimension.
const DEPTH: usize = 256;

/// The smallest block of the inner dimension, if it is that long.
const MIN_DEPTH: usize = 64;

/// Elements of the left matrix that stay in the near caches.
const NEAR_CACHE: usize = 1 << 14;

/// The most vectors of adjacent columns of the right matrix in a tile.
const MAX_VECTORS: usize = 3;

/// Elements of the widest vectors.
const MAX_LANES: usize = 16;

/// Some rows and columns of the right matrix, packed in the order of the products.
#[repr(align(64))]
pub(super) struct Panel([f32; DEPTH * MAX_VECTORS * MAX_LANES]);

impl Panel {
    pub const EMPTY: Self = Self([0.0; DEPTH * MAX_VECTORS * MAX_LANES]);
}

/// `output = left * factor * right`, or that added to `output`.
pub(super) struct Product<'a> {
    pub left: Operand<'a>,
    pub right: Operand<'a>,
    pub factor: f32,
    pub adds: bool,
    pub panel: &'a mut Panel,
    pub output: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The sums of a tile of rows, with the vectors of the right matrix and an element of the left one, fill the
        // registers.
        match S::REGISTER_COUNT {
            32.. => self.in_panels::<S, 16, 12, 8>(simd),
            _ => self.in_panels::<S, 12, 6, 4>(simd),
        }
    }
}

impl Product<'_> {
    /// Goes from panel to panel; tiles of one, two and three vectors have `ONE`, `TWO` and `THREE` rows.
    #[inline(always)]
    fn in_panels<S: Simd, const ONE: usize, const TWO: usize, const THREE: usize>(self, simd: S) {
        let Self { left, right, factor, adds, panel: Panel(packed), output } = self;
        let width = panel_width::<S>(right.columns);
        let is_panel = right.lies_in_rows() && factor == 1.0 && right.columns == width;
        let depth = match left.lies_in_rows() {
            true if is_panel => right.rows,
            true => DEPTH,
            // As many rows of memory as stay in a near cache while tiles go across them again and again, but not so few
            // that loading and storing the sums takes longer than the products.
            false => (NEAR_CACHE / left.rows.max(1)).clamp(MIN_DEPTH, DEPTH),
        };
        let height = [ONE, TWO, THREE][width / S::F32_LANES - 1];
        let tiles = left.rows.div_ceil(height) * right.columns.div_ceil(width);
        let mut start = 0;
        while start < right.rows {
            let inner = start..right.rows.min(start + depth);
            let mut ahead = ahead(left, right, &inner, height, tiles);
            let mut column = 0;
            while column < right.columns {
                let width = panel_width::<S>(right.columns - column);
                let columns = column..right.columns.min(column + width);
                let panel = if is_panel {
                    &right.data[inner.start * width..inner.end * width]
                } else {
                    let packed = &mut packed[..inner.len() * width];
                    right.pack(inner.clone(), columns.clone(), factor, width, packed);
                    packed
                };
                let (panel, _) = S::as_simd_f32s(panel);
                let tile = Tile { left, inner: inner.clone(), columns, adds: adds || start > 0 };
                match width / S::F32_LANES {
                    1 => in_tiles::<S, ONE, 1>(simd, &tile, panel, right.columns, &mut ahead, output),
                    2 => in_tiles::<S, TWO, 2>(simd, &tile, panel, right.columns, &mut ahead, output),
                    _ => in_tiles::<S, THREE, 3>(simd, &tile, panel, right.columns, &mut ahead, output),
                }
                column += width;
            }
            start += depth;
        }
    }
}

/// The width of the next panel if `columns` are left: three vectors, or two.
#[inline(always)]
fn panel_width<S: Simd>(columns: usize) -> usize {
    match columns.div_ceil(S::F32_LANES) {
        vectors if vectors <= MAX_VECTORS => vectors.max(1) * S::F32_LANES,
        _ => 2 * S::F32_LANES,
    }
}

/// The chunks of memory that the next tiles read, to be prefetched meanwhile: a tile reads many rows of memory at once,
/// which processors do not predict.
#[inline(always)]
fn ahead<'a>(
    left: Operand<'a>,
    right: Operand<'a>,
    inner: &Range<usize>,
    height: usize,
    tiles: usize,
) -> [Chunks<'a, f32>; 2] {
    let of = |numbers: &'a [f32], count: usize| numbers.chunks(count.max(1));
    if left.lies_in_rows() {
        // The rows of the next tile, unless they are so long that processors predict them.
        let size = height * left.columns;
        let is_first = inner.start == 0 && left.columns <= 2 * DEPTH;
        return [of(left.data.get(size..).filter(|_| is_first).unwrap_or(&[]), size), of(&[], 1)];
    }
    // The rows of memory that come after those of all tiles.
    let next = inner.end..right.rows.min(inner.end + inner.len());
    [(left.data, left.column_stride), (right.data, right.row_stride)].map(|(matrix, stride)| {
        let numbers = &matrix[next.start * stride..next.end * stride];
        of(numbers, numbers.len().div_ceil(tiles.max(1)).next_multiple_of(MAX_LANES))
    })
}

/// Multiplies all rows of the left matrix with a panel.
#[inline(always)]
fn in_tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    tile: &Tile,
    panel: &[S::f32s],
    stride: usize,
    ahead: &mut [Chunks<f32>; 2],
    output: &mut [f32],
) {
    /// Rows of a tile where a whole one is too many.
    const FEW: usize = 4;
    let mut row = 0;
    while row < tile.left.rows {
        for numbers in &mut *ahead {
            prefetch(numbers.next().unwrap_or(&[]));
        }
        let rest = tile.left.rows - row;
        let output = &mut output[row * stride..];
        row += if rest >= ROWS {
            tile.multiply::<S, ROWS, VECTORS>(simd, row, panel, stride, output)
        } else if rest >= FEW {
            tile.multiply::<S, FEW, VECTORS>(simd, row, panel, stride, output)
        } else {
            tile.multiply::<S, 1, VECTORS>(simd, row, panel, stride, output)
        };
    }
}

impl Operand<'_> {
    /// Copies some rows and columns, times `factor`, into rows of `stride` elements, padded with zeros.
    #[inline(always)]
    fn pack(&self, rows: Range<usize>, columns: Range<usize>, factor: f32, stride: usize, packed: &mut [f32]) {
        if columns.len() < stride {
            packed.fill(0.0);
        }
        if self.column_stride == 1 {
            let sources = self.data.chunks_exact(self.row_stride).skip(rows.start);
            for (packed, source) in packed.chunks_exact_mut(stride).zip(sources) {
                let pairs = packed.iter_mut().zip(&source[columns.clone()]);
                pairs.for_each(|(packed, number)| *packed = factor * number);
            }
            return;
        }
        let mut place = 0;
        while place < columns.len() {
            let source = |column| &self.data[(columns.start + place + column) * self.column_stride..][rows.clone()];
            let packed = packed.chunks_exact_mut(stride);
            if columns.len() - place >= 4 {
                // Together they are stored at once.
                let sources = source(0).iter().zip(source(1)).zip(source(2).iter().zip(source(3)));
                for (packed, ((first, second), (third, fourth))) in packed.zip(sources) {
                    let numbers = [first, second, third, fourth].map(|number| factor * number);
                    packed[place..place + 4].copy_from_slice(&numbers);
                }
                place += 4;
            } else {
                packed.zip(source(0)).for_each(|(packed, number)| packed[place] = factor * number);
                place += 1;
            }
        }
    }
}
