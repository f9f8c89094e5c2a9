//! A loaded graph as plain data.

use connectome_components::Split;

/// A graph as plain data, checked: every index is in range and every number finite.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphData {
    /// How many nodes there are; they are numbered from 0.
    pub nodes: usize,
    /// One row for each node.
    pub features: Features,
    /// The class of each node, less than `classes`. That of a node in no split may mean nothing.
    pub labels: Vec<u32>,
    /// The part of the data each node belongs to.
    pub splits: Vec<Split>,
    /// The largest label plus 1.
    pub classes: usize,
    /// Source and target of each edge, in the order of the file.
    pub edges: Vec<[u32; 2]>,
    /// The weight of each edge; without it, all weigh 1.
    pub weights: Option<Vec<f32>>,
    /// The name of each node; empty if the nodes have only numbers.
    pub names: Vec<String>,
}

impl GraphData {
    /// How many nodes belong to `split`.
    pub fn count(&self, split: Split) -> usize {
        self.splits.iter().filter(|&&other| other == split).count()
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
        /// Where each row begins and, at last, where the final one ends: one more than there are rows.
        offsets: Vec<usize>,
        /// The column of each value.
        indices: Vec<u32>,
        /// The values that are stored.
        values: Vec<f32>,
    },
}

impl Features {
    /// The one-hot code of each node's own number, sparse.
    pub fn identity(nodes: u32) -> Self {
        Self::Sparse {
            width: nodes as usize,
            offsets: (0..=nodes as usize).collect(),
            indices: (0..nodes).collect(),
            values: vec![1.0; nodes as usize],
        }
    }

    /// How many columns there are.
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
            // Without columns there is nothing to scale, and no way to tell rows apart.
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
