//! Vectors of graphs: counts of what is in their neighborhoods, hashed to 128 dimensions.

use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};

use crate::colors::{Colors, hash};
use crate::error::MemoryError;

/// The number of dimensions of a vector.
pub const DIMENSIONS: usize = 128;

/// Counts of what a graph consists of; near vectors are of graphs with a small edit distance.
///
/// The features, with their weights: nodes (1); edges (1); for each d the nodes with more than d neighbors (2), together
/// from 5 on; and by hash, in the other 120 dimensions, each node by its label (2), by its color after one round of
/// Weisfeiler-Leman refinement (1) and by its degree and those of its neighbors (1), and each edge by its label, if it has
/// one (1). An edit operation changes few of them. The weights were chosen by the ranking of the molecules AIDS700nef.
///
/// N. Shervashidze et al., *Weisfeiler-Lehman Graph Kernels*, Journal of Machine Learning Research 12, 2011; hashed as in
/// K. Weinberger et al., *Feature Hashing for Large Scale Multitask Learning*, ICML 2009.
///
/// ```
/// use connectome_memory::GraphVector;
/// use connectome_systems::algorithms::LabeledGraph;
///
/// let path = LabeledGraph::new(vec![0, 0, 1], [([0, 1], 0), ([1, 2], 0)]);
/// let renumbered = LabeledGraph::new(vec![1, 0, 0], [([0, 1], 0), ([1, 2], 0)]);
/// let other = LabeledGraph::new(vec![1, 0, 1], [([0, 1], 0), ([1, 2], 0)]);
/// let vector = GraphVector::of(&path);
/// assert_eq!(vector.distance(&GraphVector::of(&renumbered)), 0);
/// assert!(vector.distance(&GraphVector::of(&other)) > 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphVector(pub(crate) [u8; DIMENSIONS]);

// The dimensions of the counts of nodes and edges, and the first of those of degrees.
const NODES: usize = 0;
const EDGES: usize = 1;
const DEGREES: usize = 2;

/// Nodes with more neighbors are counted together.
const MAX_DEGREE: usize = 5;

/// The first dimension of features that are hashed.
const HASHED: usize = DEGREES + MAX_DEGREE + 1;

/// The kinds of features that are hashed.
#[derive(Clone, Copy)]
enum Feature {
    Label,
    Color,
    Shape,
    EdgeLabel,
}

impl GraphVector {
    /// The vector of a graph; equal for isomorphic graphs. The cost is proportional to nodes and edges.
    pub fn of(graph: &LabeledGraph) -> Self {
        let labels = Colors::of_labels(graph);
        let refined = labels.refined(graph);
        Self::from_colors(graph, &labels, &refined)
    }

    /// The same, from the colors before and after the first round.
    pub(crate) fn from_colors(graph: &LabeledGraph, labels: &Colors, refined: &Colors) -> Self {
        let mut counts = [0_u32; DIMENSIONS];
        let mut add = |dimension: usize, weight: u32| counts[dimension] = counts[dimension].saturating_add(weight);
        let hashed =
            |feature: Feature, value: u64| HASHED + hash([feature as u64, value]) as usize % (DIMENSIONS - HASHED);
        let shapes = Colors::of_degrees(graph).refined(graph);
        for node in graph.nodes() {
            let index = node as usize;
            add(NODES, 1);
            (0..graph.graph().degree(node)).for_each(|degree| add(DEGREES + degree.min(MAX_DEGREE), 2));
            add(hashed(Feature::Label, labels.0[index]), 2);
            add(hashed(Feature::Color, refined.0[index]), 1);
            add(hashed(Feature::Shape, shapes.0[index]), 1);
        }
        for (_, label) in graph.labeled_edges() {
            add(EDGES, 1);
            if label != LabeledGraph::NO_LABEL {
                add(hashed(Feature::EdgeLabel, label.into()), 1);
            }
        }
        Self(counts.map(compressed))
    }

    /// The direction of an embedding, such as what a trained model makes of a graph: of at most 128 values, each as one of
    /// 255 steps between -4 and 4 times their root mean square; what is beyond is cut off. Zeros have no direction, and are as
    /// near to an embedding as to its opposite.
    ///
    /// # Errors
    /// If there are no values, more than 128, or one is not finite.
    pub fn from_embedding(embedding: &[f32]) -> Result<Self, MemoryError> {
        let width = embedding.len();
        if !(1..=DIMENSIONS).contains(&width) || embedding.iter().any(|value| !value.is_finite()) {
            return Err(MemoryError::Embedding { width });
        }
        let squares: f64 = embedding.iter().map(|value| f64::from(*value).powi(2)).sum();
        let unit = (squares / width as f64).sqrt();
        let step =
            |value: f32| if unit > 0.0 { 127.0 * (f64::from(value) / (4.0 * unit)).clamp(-1.0, 1.0) } else { 0.0 };
        let mut values = [128; DIMENSIONS];
        values.iter_mut().zip(embedding).for_each(|(byte, value)| *byte = (128.0 + step(*value)).round() as u8);
        Ok(Self(values))
    }

    /// The counts, as bytes: exact below 128.
    pub fn values(&self) -> &[u8; DIMENSIONS] {
        &self.0
    }

    /// The sum of the absolute differences of all dimensions.
    pub fn distance(&self, other: &Self) -> u32 {
        distance(&self.0, &other.0)
    }
}

/// The sum of absolute differences.
pub(crate) fn distance(one: &[u8; DIMENSIONS], other: &[u8; DIMENSIONS]) -> u32 {
    // Sixteen bytes at once; their sum fits 16 bits.
    let chunks = one.as_chunks::<16>().0.iter().zip(other.as_chunks::<16>().0);
    let sums = chunks.map(|(one, other)| {
        let differences = one.iter().zip(other).map(|(one, other)| u16::from(one.abs_diff(*other)));
        // Checks for overflow would keep it from the vector instructions.
        differences.fold(0, u16::wrapping_add)
    });
    sums.map(u32::from).sum()
}

/// A count as a byte: itself below 128; beyond, in steps of an eighth of its power of two, up to 2^23.
fn compressed(count: u32) -> u8 {
    const STEPS: u32 = 8;
    if count < 128 {
        return count as u8;
    }
    let exponent = count.ilog2();
    let step = (count >> (exponent - 3)) & (STEPS - 1);
    (128 + (exponent - 7) * STEPS + step).min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_their_order() {
        assert!((0..100_000).map(compressed).is_sorted());
        assert_eq!([0, 127, 128, 143, 144, 255, 256].map(compressed), [0, 127, 128, 128, 129, 135, 136]);
        assert_eq!([(1 << 23) - 1, 1 << 23, u32::MAX].map(compressed), [255; 3]);
    }

    #[test]
    fn an_edit_operation_moves_the_vector_a_little() {
        let ring = |size: u32, labels: Vec<u32>| {
            LabeledGraph::new(labels, (0..size).map(|node| ([node, (node + 1) % size], 0)))
        };
        let vector = |graph: &LabeledGraph| GraphVector::of(graph);
        let hexagon = vector(&ring(6, vec![0; 6]));
        let relabeled = vector(&ring(6, vec![0, 0, 0, 0, 0, 1])).distance(&hexagon);
        let far = vector(&ring(12, vec![2; 12])).distance(&hexagon);
        assert!(relabeled > 0 && relabeled < far, "{relabeled} {far}");
    }
}
