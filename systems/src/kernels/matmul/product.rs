//! Blocked products in panels and tiles, after Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
//! (2008).

use core::ops::Range;
use pulp::{Simd, WithSimd};

use super::{
    Operand,
    ahead::{Ahead, Upcoming},
    tile::Tile,
};

/// The largest block of the inner dimension.
const DEPTH: usize = 256;

/// The smallest block of the inner dimension, if it is that long.
const MIN_DEPTH: usize = 64;

/// Number of elements of the left matrix that stay in the first-level caches.
const NEAR_CACHE: usize = 1 << 14;

/// Rows of memory at a multiple of so many elements are in few sets of a first-level cache.
const FEW_SETS: usize = 64;

/// More panels than these read a transposed left matrix so often that it is worth a copy.
const MANY_PANELS: usize = 4;

/// Number of elements between two copied rows: at a distance of a power of 2 all rows would be in the same few sets of
/// a cache.
const PADDING: usize = 16;

/// The maximum number of vectors of adjacent columns of the right matrix in a tile.
const MAX_VECTORS: usize = 3;

/// Elements of the widest vectors.
const MAX_LANES: usize = 16;

/// A block of the right matrix, packed in the order of the products, and a copy of one of a transposed left matrix.
#[repr(align(64))]
pub(super) struct Panel {
    right: [f32; DEPTH * MAX_VECTORS * MAX_LANES],
    left: [f32; NEAR_CACHE + DEPTH * PADDING],
}

impl Panel {
    pub const EMPTY: Self =
        Self { right: [0.0; DEPTH * MAX_VECTORS * MAX_LANES], left: [0.0; NEAR_CACHE + DEPTH * PADDING] };
}

/// `output = left * factor * right`, or that added to `output`.
pub(super) struct Product<'a> {
    pub left: Operand<'a>,
    pub right: Operand<'a>,
    pub factor: f32,
    pub adds: bool,
    pub panel: &'a mut Panel,
    pub output: &'a mut [f32],
    pub upcoming: Upcoming<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The sums of a tile of rows, with the vectors of the right matrix and an element of the left one, fill the
        // registers.
        match S::REGISTER_COUNT {
            32.. => self.multiply_panels::<S, 16, 12, 8>(simd),
            _ => self.multiply_panels::<S, 12, 6, 4>(simd),
        }
    }
}

impl Product<'_> {
    /// Multiplies panel by panel; tiles of one, two and three vectors have `ONE`, `TWO` and `THREE` rows.
    #[inline(always)]
    fn multiply_panels<S: Simd, const ONE: usize, const TWO: usize, const THREE: usize>(self, simd: S) {
        let Self { left, right, factor, adds, panel: Panel { right: packed, left: copied }, output, upcoming } = self;
        let width = panel_width::<S>(right.columns);
        let is_panel = right.is_row_major() && factor == 1.0 && right.columns == width;
        let depth = match left.is_row_major() {
            true if is_panel => right.rows,
            true => DEPTH,
            // As many rows of memory as stay in a near cache while all tiles read them, but not so few that loading and
            // storing the sums takes longer than the products.
            false => (NEAR_CACHE / left.rows.max(1)).clamp(MIN_DEPTH, DEPTH),
        };
        let height = [ONE, TWO, THREE][width / S::F32_LANES - 1];
        let tiles = [left.rows.div_ceil(height), right.columns.div_ceil(width)];
        let is_copied =
            !left.is_row_major() && left.column_stride.is_multiple_of(FEW_SETS) && right.columns > MANY_PANELS * width;
        let most = if is_copied { most_rows(left.rows, depth) } else { left.rows };
        let mut start = 0;
        while start < right.rows {
            let inner = start..right.rows.min(start + depth);
            let mut ahead = ahead([left, right], &inner, height, tiles, upcoming);
            let mut first = 0;
            while first < left.rows {
                let rows = first..left.rows.min(first + most);
                let output = &mut output[first * right.columns..rows.end * right.columns];
                first = rows.end;
                let left = if is_copied { left.copy_block(rows, inner.clone(), copied) } else { left };
                let of_left = if is_copied { 0..inner.len() } else { inner.clone() };
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
                    let tile = Tile { left, inner: of_left.clone(), columns, adds: adds || start > 0 };
                    match width / S::F32_LANES {
                        1 => multiply_tiles::<S, ONE, 1>(simd, &tile, panel, right.columns, &mut ahead, output),
                        2 => multiply_tiles::<S, TWO, 2>(simd, &tile, panel, right.columns, &mut ahead, output),
                        _ => multiply_tiles::<S, THREE, 3>(simd, &tile, panel, right.columns, &mut ahead, output),
                    }
                    column += width;
                }
            }
            start += depth;
        }
    }
}

/// How many rows of a transposed left matrix are copied at once: all, or as many whole tiles as stay in a near cache.
fn most_rows(rows: usize, depth: usize) -> usize {
    /// A multiple of the rows of tiles.
    const TILES: usize = 48;
    let most = NEAR_CACHE / depth;
    if rows <= most { rows } else { most / TILES * TILES }
}

/// The width of the next panel if `columns` are left: up to three vectors if that covers all of them, otherwise two. With 16
/// registers it is never three: their tiles of four rows would need each of them, and are half as quick.
#[inline(always)]
fn panel_width<S: Simd>(columns: usize) -> usize {
    let most = if S::REGISTER_COUNT >= 32 { MAX_VECTORS } else { 2 };
    match columns.div_ceil(S::F32_LANES) {
        vectors if vectors <= most => vectors.max(1) * S::F32_LANES,
        _ => 2 * S::F32_LANES,
    }
}

/// What to prefetch during a block of the inner dimension: `upcoming`, or else the memory that the next tiles read, for a tile
/// reads many rows of memory at once, which processors do not predict.
#[inline(always)]
fn ahead<'a>(
    [left, right]: [Operand<'a>; 2],
    inner: &Range<usize>,
    height: usize,
    [tiles, panels]: [usize; 2],
    upcoming: Upcoming<'a>,
) -> Ahead<'a> {
    let (steps, none) = (tiles * panels * inner.len(), Upcoming::default());
    if !upcoming.rows.is_empty() {
        let is_first = inner.start == 0;
        return Ahead::new([&[]; 2], if is_first { upcoming } else { none }, steps);
    }
    if left.is_row_major() {
        // The rows of the tile after the next, while the first panel is multiplied, unless they are so long that processors
        // predict them.
        let is_first = inner.start == 0 && left.columns <= 2 * DEPTH;
        let rest = left.data.get(2 * height * left.columns..).filter(|_| is_first).unwrap_or(&[]);
        return Ahead::new([rest, &[]], none, tiles.saturating_sub(2) * inner.len());
    }
    // The rows of memory of the next block.
    let next = inner.end..right.rows.min(inner.end + inner.len());
    let rows = |matrix: &'a [f32], stride| &matrix[next.start * stride..next.end * stride];
    Ahead::new([rows(left.data, left.column_stride), rows(right.data, right.row_stride)], none, steps)
}

/// Multiplies all rows of the left matrix with a panel.
#[inline(always)]
fn multiply_tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    tile: &Tile,
    panel: &[S::f32s],
    stride: usize,
    ahead: &mut Ahead,
    output: &mut [f32],
) {
    /// Number of rows of a smaller tile, for the last rows.
    const FEW: usize = 4;
    let mut row = 0;
    while row < tile.left.rows {
        let rest = tile.left.rows - row;
        let output = &mut output[row * stride..];
        row += if rest >= ROWS {
            tile.multiply::<S, ROWS, VECTORS>(simd, row, panel, stride, ahead, output)
        } else if rest >= FEW {
            tile.multiply::<S, FEW, VECTORS>(simd, row, panel, stride, ahead, output)
        } else {
            tile.multiply::<S, 1, VECTORS>(simd, row, panel, stride, ahead, output)
        };
    }
}

impl Operand<'_> {
    /// Copies a block of a transposed matrix.
    #[inline(always)]
    fn copy_block<'a>(&self, rows: Range<usize>, columns: Range<usize>, copied: &'a mut [f32]) -> Operand<'a> {
        let (count, stride) = (rows.len(), rows.len() + PADDING);
        let sources = self.data.chunks(self.column_stride).skip(columns.start).take(columns.len());
        for (copied, source) in copied.chunks_exact_mut(stride).zip(sources) {
            copied[..count].copy_from_slice(&source[rows.clone()]);
        }
        Operand { data: copied, rows: count, columns: columns.len(), row_stride: 1, column_stride: stride }
    }

    /// Copies a block, times `factor`, into rows of `stride` elements, padded with zeros.
    #[inline(always)]
    fn pack(&self, rows: Range<usize>, columns: Range<usize>, factor: f32, stride: usize, packed: &mut [f32]) {
        if columns.len() < stride {
            packed.fill(0.0);
        }
        if self.column_stride == 1 {
            let sources = self.data.chunks_exact(self.row_stride).skip(rows.start);
            for (packed, source) in packed.chunks_exact_mut(stride).zip(sources) {
                let pairs = packed.iter_mut().zip(&source[columns.clone()]);
                pairs.for_each(|(packed, element)| *packed = factor * element);
            }
            return;
        }
        let mut index = 0;
        while index < columns.len() {
            let source = |column| &self.data[(columns.start + index + column) * self.column_stride..][rows.clone()];
            let packed = packed.chunks_exact_mut(stride);
            if columns.len() - index >= 4 {
                // Four columns are stored by one instruction.
                let sources = source(0).iter().zip(source(1)).zip(source(2).iter().zip(source(3)));
                for (packed, ((first, second), (third, fourth))) in packed.zip(sources) {
                    let elements = [first, second, third, fourth].map(|element| factor * element);
                    packed[index..index + 4].copy_from_slice(&elements);
                }
                index += 4;
            } else {
                packed.zip(source(0)).for_each(|(packed, element)| packed[index] = factor * element);
                index += 1;
            }
        }
    }
}
