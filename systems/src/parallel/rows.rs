//! Outputs that are split among blocks of rows.

/// An output whose first rows can be split off, so that each block writes only its rows.
pub trait SplitRows: Send {
    /// The first `rows` rows, and the rest.
    fn split_rows(self, rows: usize) -> (Self, Self)
    where
        Self: Sized;
}

/// The rows of one block.
#[derive(Debug)]
pub struct RowsMut<'a, T = f32> {
    /// The elements, row by row.
    pub data: &'a mut [T],
    /// Width of a row.
    pub width: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows of `width` elements.
    pub fn new(data: &'a mut [T], width: usize) -> Self {
        Self { data, width }
    }
}

impl<T: Send> SplitRows for RowsMut<'_, T> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (first, rest) = self.data.split_at_mut(rows * self.width);
        (Self::new(first, self.width), Self::new(rest, self.width))
    }
}

/// One value for each block of `size` rows, such as a partial sum.
#[derive(Debug)]
pub struct PerBlock<'a, T> {
    /// The values; that of a single block is the first.
    pub data: &'a mut [T],
    size: usize,
}

impl<'a, T> PerBlock<'a, T> {
    /// Values for blocks of `size` rows; none for blocks beyond their end.
    pub fn new(data: &'a mut [T], size: usize) -> Self {
        Self { data, size }
    }
}

impl<T: Send> SplitRows for PerBlock<'_, T> {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let (first, rest) = self.data.split_at_mut((rows / self.size).min(self.data.len()));
        (Self::new(first, self.size), Self::new(rest, self.size))
    }
}

impl<A: SplitRows, B: SplitRows> SplitRows for (A, B) {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let ((a, rest_of_a), (b, rest_of_b)) = (self.0.split_rows(rows), self.1.split_rows(rows));
        ((a, b), (rest_of_a, rest_of_b))
    }
}

impl<A: SplitRows, B: SplitRows, C: SplitRows> SplitRows for (A, B, C) {
    fn split_rows(self, rows: usize) -> (Self, Self) {
        let ((a, b), (rest_of_a, rest_of_b)) = (self.0, self.1).split_rows(rows);
        let (c, rest_of_c) = self.2.split_rows(rows);
        ((a, b, c), (rest_of_a, rest_of_b, rest_of_c))
    }
}
