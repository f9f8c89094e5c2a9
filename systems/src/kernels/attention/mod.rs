//! Attention: scores of links, their softmax and their gradients, computed for a tile of links at a time.

mod backward;
mod forward;
mod score;
mod tile;

use super::{Part, prefetch};
pub use backward::TargetStates;
use tile::{Lanes, Links, Rows, Scores, Weighted};
pub use tile::{Link, MAX_HEADS, Tile};

/// The score of a link for each head.
#[derive(Clone, Copy, Debug)]
pub enum Score {
    /// The leaky ReLU of the sum of a scalar of the source, one of the target and one of the link (GAT).
    Decomposed {
        /// Slope of the leaky ReLU below 0.
        slope: f32,
    },
    /// The dot product of a vector with the leaky ReLU of the sum of a row of the source, one of the target and one of
    /// the link (GATv2).
    Additive {
        /// Slope of the leaky ReLU below 0.
        slope: f32,
    },
    /// The scaled dot product of a row of the target with the sum of one of the source and one of the link
    /// (transformer).
    ScaledDot {
        /// The scale of the product.
        factor: f32,
    },
}

/// The inputs of attention.
#[derive(Clone, Copy, Debug)]
pub struct Attending<'a> {
    /// The score of a link.
    pub score: Score,
    /// Number of heads, among which the features are divided.
    pub heads: usize,
    /// The values of the sources; with [`Score::ScaledDot`] those of the link are added.
    pub values: Part<'a>,
    /// The sources' term of the score.
    pub sources: Part<'a>,
    /// The targets' term of the score; optional for [`Score::Decomposed`] only.
    pub targets: Option<Part<'a>>,
    /// The links' term of the score: of edges, and of added self-loops, by node.
    pub edges: [Option<Part<'a>>; 2],
    /// The vectors of [`Score::Additive`], `[H C]`.
    pub vectors: &'a [f32],
    /// The dropout masks of the weights: of edges and of added self-loops.
    pub masks: Option<[Part<'a>; 2]>,
}

impl Attending<'_> {
    /// Prefetches what the scores read of a source.
    #[inline(always)]
    pub fn prefetch_source(&self, source: usize) {
        prefetch(self.sources.row(source));
    }

    /// Whether the links' term is added to the values as well.
    #[inline(always)]
    fn adds_edges(&self) -> bool {
        matches!(self.score, Score::ScaledDot { .. }) && self.edges[0].is_some()
    }

    /// The dropout masks of links.
    #[inline(always)]
    fn mask_rows(&self) -> Option<Rows<'_>> {
        self.masks.map(|masks| Rows::Link(masks.map(Some)))
    }
}
