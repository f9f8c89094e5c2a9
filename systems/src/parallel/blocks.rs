//! Partitions of rows into blocks.

use core::ops::Range;

/// A partition of rows into blocks.
#[derive(Clone, Copy, Debug)]
pub enum Blocks<'a> {
    /// Blocks of `size` rows, the last one shorter.
    Uniform {
        /// The first row.
        start: usize,
        /// The number of rows.
        rows: usize,
        /// Number of rows in a block; at least 1.
        size: usize,
    },
    /// From each boundary to the next.
    Boundaries(&'a [usize]),
}

impl<'a> Blocks<'a> {
    /// Blocks of rows of this width that fill a first-level cache.
    pub fn of_width(rows: usize, width: usize) -> Self {
        Self::Uniform { start: 0, rows, size: even_size(rows, (8192 / width.max(1)).max(32)) }
    }

    /// The same, but of at least 256 rows: packing a matrix for a product costs the same for fewer.
    pub fn of_products(rows: usize, width: usize) -> Self {
        Self::Uniform { start: 0, rows, size: even_size(rows, (8192 / width.max(1)).max(256)) }
    }

    /// The blocks within the rows `start..start + rows`. Boundaries must include both ends.
    pub fn within(self, start: usize, rows: usize) -> Self {
        match self {
            Self::Uniform { size, .. } => Self::Uniform { start, rows, size },
            Self::Boundaries(boundaries) => {
                let index = |row| boundaries.partition_point(|boundary| *boundary < row);
                Self::Boundaries(boundaries.get(index(start)..=index(start + rows)).unwrap_or(&[]))
            }
        }
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        match self {
            Self::Uniform { rows, size, .. } => rows.div_ceil(*size),
            Self::Boundaries(boundaries) => boundaries.len().saturating_sub(1),
        }
    }

    /// All rows.
    pub fn rows(&self) -> Range<usize> {
        match self {
            Self::Uniform { start, rows, .. } => *start..start + rows,
            Self::Boundaries(boundaries) => {
                boundaries.first().copied().unwrap_or(0)..boundaries.last().copied().unwrap_or(0)
            }
        }
    }

    /// The first row of block `index`, or the end of the last block.
    pub(super) fn boundary(&self, index: usize) -> usize {
        match self {
            Self::Uniform { start, rows, size } => start + (index * size).min(*rows),
            Self::Boundaries(boundaries) => boundaries[index],
        }
    }
}

/// The size of blocks, at most `largest`, for which workers have equal work.
pub(crate) fn even_size(rows: usize, largest: usize) -> usize {
    /// The number of blocks is a multiple of it.
    const MULTIPLE: usize = 8;
    let count = rows.div_ceil(largest.max(1));
    if count > 1 { rows.div_ceil(count.next_multiple_of(MULTIPLE)) } else { largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_within_a_table_keep_their_boundaries() {
        let boundaries = [0, 10, 25, 30, 60];
        let inner = Blocks::Boundaries(&boundaries).within(25, 35);
        assert_eq!((inner.count(), inner.rows()), (2, 25..60));
        assert_eq!(Blocks::Uniform { start: 0, rows: 0, size: 5 }.count(), 0);
    }
}
