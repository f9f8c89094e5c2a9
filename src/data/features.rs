//! Features and targets of nodes, edges and graphs.

/// A dense row-major matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseRows {
    /// Width of a row.
    pub width: usize,
    /// The values, row by row.
    pub values: Vec<f32>,
}

impl DenseRows {
    /// Some of the rows, in that order.
    pub(crate) fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let values = rows.flat_map(|row| &self.values[row * self.width..(row + 1) * self.width]);
        Self { width: self.width, values: values.copied().collect() }
    }
}

/// A matrix of features, one row for each node.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Every value is stored.
    Dense {
        /// Values in a row.
        width: usize,
        /// Row after row.
        values: Vec<f32>,
    },
    /// Compressed sparse rows: row `i` has `values[k]` in column `indices[k]` for `k` in `offsets[i]..offsets[i + 1]`.
    Sparse {
        /// Columns.
        width: usize,
        /// The start of each row, and the end of the last one: one more than there are rows.
        offsets: Vec<usize>,
        /// The column of each value.
        indices: Vec<u32>,
        /// The values that are stored.
        values: Vec<f32>,
    },
}

impl Default for Features {
    /// No columns.
    fn default() -> Self {
        Self::Dense { width: 0, values: Vec::new() }
    }
}

impl Features {
    /// The one-hot encoding of each node's number, sparse.
    pub fn identity(nodes: u32) -> Self {
        Self::one_hot((0..nodes).collect(), nodes as usize)
    }

    /// For each node a 1 in its column of `columns`, sparse; each must be less than `width`.
    pub fn one_hot(columns: Vec<u32>, width: usize) -> Self {
        let nodes = columns.len();
        Self::Sparse { width, offsets: (0..=nodes).collect(), indices: columns, values: vec![1.0; nodes] }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense { width, .. } | Self::Sparse { width, .. } => *width,
        }
    }

    /// The values that are stored, row after row.
    pub fn values(&self) -> &[f32] {
        match self {
            Self::Dense { values, .. } | Self::Sparse { values, .. } => values,
        }
    }

    /// Divides each row by its sum; rows that sum to 0 are left.
    ///
    /// Sums are taken in double precision, in the order of the row. A row with tiny sum may become infinite.
    pub fn normalize_rows(&mut self) {
        match self {
            // Without columns there is nothing to scale, and rows cannot be chunked.
            Self::Dense { width: 0, .. } => {}
            Self::Dense { width, values } => values.chunks_exact_mut(*width).for_each(normalize),
            Self::Sparse { offsets, values, .. } => {
                for row in offsets.windows(2) {
                    normalize(&mut values[row[0]..row[1]]);
                }
            }
        }
    }
}

fn normalize(row: &mut [f32]) {
    let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
    if sum != 0.0 {
        row.iter_mut().for_each(|value| *value = (f64::from(*value) / sum) as f32);
    }
}
