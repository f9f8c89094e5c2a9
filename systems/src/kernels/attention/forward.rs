//! The weighted sums of attention.

use connectome_components::Matrix;

use super::{Attending, Link, Score, Tile, Weighted, each, mask};
use crate::kernels::{
    add_heads, exp,
    lanes::{by_size, combine},
    ln,
};

impl Attending<'_> {
    /// Starts a row of the output.
    #[inline(always)]
    pub fn begin(&self, tile: &mut Tile, output: &mut [f32]) {
        output.fill(0.0);
        tile.totals[..self.heads].fill(0.0);
        tile.largest[..self.heads].fill(f32::NEG_INFINITY);
    }

    /// Adds the values of a tile to a row, each times the exponential of its score minus the largest one so far.
    /// Earlier terms are rescaled when the largest score grows, so no exponential overflows (online softmax).
    #[inline(always)]
    pub fn add(&self, tile: &mut Tile, output: &mut [f32]) {
        self.score(tile);
        let features = output.len() / self.heads;
        by_size(
            self.heads,
            #[inline(always)]
            |heads| {
                let Tile { count, weights, largest, before, totals, .. } = &mut *tile;
                let count = *count * heads;
                let (largest, before, totals) = (&mut largest[..heads], &mut before[..heads], &mut totals[..heads]);
                before.copy_from_slice(largest);
                for scores in weights[..count].chunks_exact(heads) {
                    combine(largest, scores, f32::max);
                }
                if before[0] != f32::NEG_INFINITY {
                    for (head, output) in output.chunks_exact_mut(features).enumerate() {
                        let factor = exp(before[head] - largest[head]);
                        totals[head] *= factor;
                        scale(output, factor);
                    }
                }
                for scores in weights[..count].chunks_exact_mut(heads) {
                    combine(scores, largest, |score, largest| score - largest);
                }
                each(weights, count, exp);
                for weights in weights[..count].chunks_exact(heads) {
                    combine(totals, weights, |total, weight| total + weight);
                }
            },
        );
        let Tile { count, links, weights, .. } = tile;
        let links = &links[..*count];
        if let Some(masks) = self.masks {
            for (link, weights) in links.iter().zip(weights.chunks_exact_mut(self.heads)) {
                combine(weights, mask(masks, link), |weight, mask| weight * mask);
            }
        }
        self.add_rows(links, weights, self.values, |link| Some(link.source), output);
        if let (Score::ScaledDot { .. }, Some(edges)) = (self.score, self.edges) {
            self.add_rows(links, weights, edges, |link| link.edge, output);
        }
    }

    /// Ends a row: divides by the sum of the exponentials of the scores, and writes its logarithm to `logarithms`;
    /// without links that is minus infinity.
    /// Zeros for a row without links.
    #[inline(always)]
    pub fn end(&self, tile: &Tile, output: &mut [f32], logarithms: &mut [f32]) {
        let features = output.len() / self.heads;
        let heads = output.chunks_exact_mut(features).zip(logarithms).zip(tile.totals.iter().zip(&tile.largest));
        for ((output, logarithm), (total, largest)) in heads {
            let has_links = *total != 0.0;
            let factor = if has_links { 1.0 / total } else { 0.0 };
            scale(output, factor);
            *logarithm = if has_links { largest + ln(*total) } else { f32::NEG_INFINITY };
        }
    }

    /// The weights of one link for each head: the exponentials of its scores minus the logarithms that [`Attending::end`] has
    /// written for its target.
    #[inline(always)]
    pub fn weigh(&self, tile: &mut Tile, link: Link, logarithms: &[f32], weights: &mut [f32]) {
        (tile.links[0], tile.count) = (link, 1);
        self.score(tile);
        for ((weight, score), logarithm) in weights.iter_mut().zip(&tile.weights).zip(logarithms) {
            *weight = exp(score - logarithm);
        }
    }

    /// Adds rows of the links to a sum, each head times its weight.
    #[inline(always)]
    pub(super) fn add_rows(
        &self,
        links: &[Link],
        weights: &[f32],
        rows: &Matrix,
        row: impl Fn(&Link) -> Option<u32>,
        output: &mut [f32],
    ) {
        add_heads(&Weighted { links, weights, heads: self.heads, row }, rows, self.heads, output);
    }
}

#[inline(always)]
fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}
