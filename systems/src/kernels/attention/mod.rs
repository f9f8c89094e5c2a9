//! Attention: scores of links, their softmax and their gradients, computed for a tile of links at a time.

mod backward;
mod forward;
mod score;

use connectome_components::Matrix;

use super::{HeadTerms, prefetch};

/// The maximum number of heads.
pub const MAX_HEADS: usize = 256;

/// The maximum number of links of a tile, so that their rows stay in the first-level cache.
const MAX_LINKS: usize = 128;

/// The maximum number of scores of a tile, one for each head of each link.
const MAX_SCORES: usize = 1024;

/// Scores that are computed together: as many as were stored together, so that loads do not wait for the stores.
const LANES: usize = 8;

/// A link, along which one row attends to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// The row that attends.
    pub target: u32,
    /// The row that is attended to.
    pub source: u32,
    /// The row of the edge; none for an added self-loop.
    pub edge: Option<u32>,
}

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
    pub values: &'a Matrix<'a>,
    /// The sources' term of the score.
    pub sources: &'a Matrix<'a>,
    /// The targets' term of the score; optional for [`Score::Decomposed`] only.
    pub targets: Option<&'a Matrix<'a>>,
    /// The links' term of the score.
    pub edges: Option<&'a Matrix<'a>>,
    /// The added self-loops' term of the score, by node.
    pub own_edges: Option<&'a Matrix<'a>>,
    /// The vectors of [`Score::Additive`], `[H C]`.
    pub vectors: &'a [f32],
    /// The dropout masks of the weights: of edges and of added self-loops.
    pub masks: Option<[&'a Matrix<'a>; 2]>,
}

impl<'a> Attending<'a> {
    /// Prefetches the rows of a source.
    #[inline(always)]
    pub fn prefetch_source(&self, source: usize) {
        prefetch(self.values.row(source));
        if !matches!(self.score, Score::Additive { .. }) {
            prefetch(self.sources.row(source));
        }
    }

    /// Prefetches the rows of a target that the backward pass reads.
    #[inline(always)]
    pub fn prefetch_target(&self, states: &Matrix, gradients: &Matrix, target: usize) {
        prefetch(gradients.row(target));
        prefetch(states.row(target));
        if let Some(targets) = self.targets {
            prefetch(targets.row(target));
        }
    }

    /// Whether the links' term is added to the values as well.
    #[inline(always)]
    fn adds_edges(&self) -> bool {
        matches!(self.score, Score::ScaledDot { .. }) && self.edges.is_some()
    }

    /// The links' term of one link.
    #[inline(always)]
    fn edge(&self, link: &Link) -> Option<&'a [f32]> {
        match link.edge {
            Some(edge) => Some(self.edges?.row(edge as usize)),
            None => Some(self.own_edges?.row(link.target as usize)),
        }
    }
}

/// The dropout mask of a link.
#[inline(always)]
fn mask<'a>([edges, self_loops]: [&'a Matrix<'a>; 2], link: &Link) -> &'a [f32] {
    match link.edge {
        Some(edge) => edges.row(edge as usize),
        None => self_loops.row(link.target as usize),
    }
}

/// Some links, with scores, weights and gradients for each head of each.
pub struct Tile {
    capacity: usize,
    count: usize,
    links: [Link; MAX_LINKS],
    /// The sums before the leaky ReLU of [`Score::Decomposed`].
    sums: [f32; MAX_SCORES],
    /// The scores, and then the weights.
    weights: [f32; MAX_SCORES],
    /// The gradients with respect to the scores; with [`Score::Decomposed`], to the sums before the leaky ReLU.
    gradients: [f32; MAX_SCORES],
    /// The largest score of each head so far, and that before the current tile.
    largest: [f32; MAX_HEADS],
    before: [f32; MAX_HEADS],
    /// The sum of the exponentials of each head.
    totals: [f32; MAX_HEADS],
}

impl Tile {
    /// A tile for this number of heads, at most [`MAX_HEADS`].
    pub fn new(heads: usize) -> Self {
        Self {
            capacity: (MAX_SCORES / heads).min(MAX_LINKS),
            count: 0,
            links: [Link::default(); MAX_LINKS],
            sums: [0.0; MAX_SCORES],
            weights: [0.0; MAX_SCORES],
            gradients: [0.0; MAX_SCORES],
            largest: [0.0; MAX_HEADS],
            before: [0.0; MAX_HEADS],
            totals: [0.0; MAX_HEADS],
        }
    }

    /// Calls `body` with the links, a tile at a time, skipping those that are none.
    #[inline(always)]
    pub fn for_each(&mut self, count: usize, link: impl Fn(usize) -> Option<Link>, mut body: impl FnMut(&mut Self)) {
        let mut next = 0;
        while next < count {
            self.count = 0;
            let end = count.min(next + self.capacity);
            for index in next..end {
                if let Some(link) = link(index) {
                    self.links[self.count] = link;
                    self.count += 1;
                }
            }
            next = end;
            if self.count > 0 {
                body(self);
            }
        }
    }
}

/// Coefficients of rows: the weights of some links, or gradients.
#[derive(Clone, Copy)]
struct Weighted<'a, R> {
    links: &'a [Link],
    weights: &'a [f32],
    heads: usize,
    /// The row that a link's coefficients multiply, if any.
    row: R,
}

impl<R: Fn(&Link) -> Option<u32>> HeadTerms for Weighted<'_, R> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, &[f32])) {
        for (link, weights) in self.links.iter().zip(self.weights.chunks_exact(self.heads)) {
            if let Some(row) = (self.row)(link) {
                add(row as usize, weights);
            }
        }
    }
}

/// `values[i] = f(values[i])` for the first `count`, and for padding after them.
#[inline(always)]
fn each(values: &mut [f32; MAX_SCORES], count: usize, f: impl Fn(f32) -> f32) {
    let (lanes, _) = values.as_chunks_mut::<LANES>();
    for lanes in &mut lanes[..count.div_ceil(LANES)] {
        for value in lanes {
            *value = f(*value);
        }
    }
}
