//! Matrix views of a column, whose rows are in one or several tables.

use core::ops::Range;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A read-only `[N, width]` view of a column.
///
/// The rows of one table of the world are contiguous. Almost always there is one table; more if some entities carry
/// other components than the rest. Rows are indexed consecutively, table by table.
#[derive(Clone, Debug)]
pub struct Matrix<'a, T = f32> {
    width: usize,
    /// The rows of the first table.
    first: &'a [T],
    /// The other tables with the index of their first row. An empty `Vec` does not allocate.
    rest: Vec<(usize, &'a [T])>,
}

impl<'a, T> Matrix<'a, T> {
    /// A view of chunks whose lengths are multiples of `width`.
    pub fn new(width: usize, mut chunks: impl Iterator<Item = &'a [T]>) -> Self {
        let first = chunks.next().unwrap_or(&[]);
        let mut start = first.len() / width;
        let rest = chunks.map(|chunk| {
            let indexed = (start, chunk);
            start += chunk.len() / width;
            indexed
        });
        Self { width, first, rest: rest.collect() }
    }

    /// Width of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.rest.last().map_or(self.first.len() / self.width, |(start, chunk)| start + chunk.len() / self.width)
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [T] {
        match self.first.get(index * self.width..(index + 1) * self.width) {
            Some(row) => row,
            None => self.far_row(index),
        }
    }

    /// A range of the features of row `index`.
    ///
    /// # Panics
    /// If there is no such row or range.
    #[inline(always)]
    pub fn part(&self, index: usize, features: Range<usize>) -> &'a [T] {
        let start = index * self.width;
        match self.first.get(start + features.start..start + features.end) {
            Some(part) => part,
            None => &self.far_row(index)[features],
        }
    }

    #[cold]
    fn far_row(&self, index: usize) -> &'a [T] {
        let following = self.rest.partition_point(|(start, _)| *start <= index);
        let (start, chunk) = self.rest[following - 1];
        &chunk[(index - start) * self.width..(index - start + 1) * self.width]
    }

    /// The first rows, at most as many as there are.
    pub fn first_rows(self, count: usize) -> Self {
        let Self { width, first, rest } = self;
        let kept = |start: usize, chunk: &[T]| chunk.len().min(count.saturating_sub(start).saturating_mul(width));
        let first = &first[..kept(0, first)];
        let rest = rest.into_iter().filter(|(start, _)| *start < count);
        Self { width, first, rest: rest.map(|(start, chunk)| (start, &chunk[..kept(start, chunk)])).collect() }
    }

    /// Whether all rows are in one table.
    pub fn is_contiguous(&self) -> bool {
        self.rest.is_empty()
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &'a [T]> {
        let width = self.width;
        self.chunks().flat_map(move |(_, chunk)| chunk.chunks_exact(width))
    }

    /// The contiguous chunks, each with the index of its first row.
    pub fn chunks(&self) -> impl Iterator<Item = (usize, &'a [T])> {
        core::iter::once((0, self.first)).chain(self.rest.iter().copied())
    }

    /// A range of rows within one chunk.
    ///
    /// # Panics
    /// If they are not in one chunk.
    #[inline]
    pub fn slice(&self, rows: Range<usize>) -> &'a [T] {
        let width = self.width;
        match self.first.get(rows.start * width..rows.end * width) {
            Some(slice) => slice,
            None => {
                let following = self.rest.partition_point(|(start, _)| *start <= rows.start);
                let (start, chunk) = self.rest[following - 1];
                &chunk[(rows.start - start) * width..(rows.end - start) * width]
            }
        }
    }

    /// The contiguous chunks as `ndarray` views.
    pub fn views(&self) -> impl Iterator<Item = ArrayView2<'a, T>> {
        let width = self.width;
        self.chunks().filter_map(move |(_, chunk)| ArrayView2::from_shape((chunk.len() / width, width), chunk).ok())
    }
}

/// A writable `[N, width]` view of a column; see [`Matrix`].
#[derive(Debug)]
pub struct MatrixMut<'a, T = f32> {
    width: usize,
    first: &'a mut [T],
    rest: Vec<(usize, &'a mut [T])>,
}

impl<'a, T> MatrixMut<'a, T> {
    /// A view of chunks whose lengths are multiples of `width`.
    pub fn new(width: usize, mut chunks: impl Iterator<Item = &'a mut [T]>) -> Self {
        let first = chunks.next().unwrap_or(&mut []);
        let mut start = first.len() / width;
        let rest = chunks.map(|chunk| {
            let indexed = (start, chunk);
            start += indexed.1.len() / width;
            indexed
        });
        Self { width, first, rest: rest.collect() }
    }

    /// Width of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether all rows are in one table.
    pub fn is_contiguous(&self) -> bool {
        self.rest.is_empty()
    }

    /// The rows of the first table.
    pub fn first_chunk_mut(&mut self) -> &mut [T] {
        self.first
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline(always)]
    pub fn row_mut(&mut self, index: usize) -> &mut [T] {
        let (width, rows) = (self.width, self.first.len() / self.width);
        if index < rows {
            return &mut self.first[index * width..(index + 1) * width];
        }
        let following = self.rest.partition_point(|(start, _)| *start <= index);
        let (start, chunk) = &mut self.rest[following - 1];
        &mut chunk[(index - *start) * width..(index - *start + 1) * width]
    }

    /// Writes a value to all elements of some rows, as far as there are such.
    pub fn fill_rows(self, rows: Range<usize>, value: T)
    where
        T: Clone,
    {
        let width = self.width;
        for (start, chunk) in self.chunks_mut() {
            let element = |row: usize| row.saturating_sub(start).saturating_mul(width).min(chunk.len());
            let elements = element(rows.start)..element(rows.end).max(element(rows.start));
            chunk[elements].fill(value.clone());
        }
    }

    /// A shorter borrow of the same rows.
    pub fn reborrow(&mut self) -> MatrixMut<'_, T> {
        let rest = self.rest.iter_mut().map(|(start, chunk)| (*start, &mut **chunk)).collect();
        MatrixMut { width: self.width, first: self.first, rest }
    }

    /// The first rows, at most as many as there are.
    pub fn first_rows(self, count: usize) -> Self {
        let Self { width, first, rest } = self;
        let kept = |start: usize, chunk: &[T]| chunk.len().min(count.saturating_sub(start).saturating_mul(width));
        let rows = kept(0, first);
        let rest = rest.into_iter().filter(|(start, _)| *start < count).map(|(start, chunk)| {
            let rows = kept(start, chunk);
            (start, &mut chunk[..rows])
        });
        Self { width, first: &mut first[..rows], rest: rest.collect() }
    }

    /// The same rows, read-only.
    pub fn as_matrix(&self) -> Matrix<'_, T> {
        let rest = self.rest.iter().map(|(start, chunk)| (*start, &**chunk)).collect();
        Matrix { width: self.width, first: self.first, rest }
    }

    /// The contiguous chunks, each with the index of its first row.
    pub fn chunks_mut(self) -> impl Iterator<Item = (usize, &'a mut [T])> {
        core::iter::once((0, self.first)).chain(self.rest)
    }

    /// The rows, in order.
    pub fn rows_mut(self) -> impl Iterator<Item = &'a mut [T]> {
        let width = self.width;
        self.chunks_mut().flat_map(move |(_, chunk)| chunk.chunks_exact_mut(width))
    }

    /// The contiguous chunks as `ndarray` views.
    pub fn views_mut(self) -> impl Iterator<Item = ArrayViewMut2<'a, T>> {
        let width = self.width;
        let view = move |chunk: &'a mut [T]| ArrayViewMut2::from_shape((chunk.len() / width, width), chunk).ok();
        self.chunks_mut().filter_map(move |(_, chunk)| view(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_rows_end_within_any_table() {
        let (mut one, mut other) = ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9]);
        for count in 0..7 {
            let matrix = Matrix::new(2, [&one[..], &other[..]].into_iter()).first_rows(count);
            let expected: Vec<u32> = (0..2 * count.min(5) as u32).collect();
            assert_eq!(
                (matrix.row_count(), matrix.rows().flatten().copied().collect()),
                (count.min(5), expected.clone())
            );
            let matrix = MatrixMut::new(2, [&mut one[..], &mut other[..]].into_iter()).first_rows(count);
            assert_eq!(matrix.rows_mut().flatten().map(|value| *value).collect::<Vec<u32>>(), expected);
        }
    }

    #[test]
    fn rows_are_filled_across_tables() {
        for (start, end) in (0..7).flat_map(|start| (0..7).map(move |end| (start, end))) {
            let (mut one, mut other) = ([0; 4], [0; 6]);
            MatrixMut::new(2, [&mut one[..], &mut other[..]].into_iter()).fill_rows(start..end, 1);
            let filled = |row: usize| u32::from((start..end).contains(&row));
            let expected: Vec<u32> = (0..10).map(|element| filled(element / 2)).collect();
            assert_eq!([&one[..], &other[..]].concat(), expected, "{start}..{end}");
        }
    }
}
