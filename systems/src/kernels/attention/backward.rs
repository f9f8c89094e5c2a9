//! The gradients with respect to the inputs of attention.

use connectome_components::Matrix;
use core::ops::Range;

use super::{
    Attending, LANES, Link, Score, Tile, each, mask,
    score::{add_link_products, leaky_relu, leaky_relu_slope},
};
use crate::kernels::{
    exp,
    lanes::{by_size, combine},
};

/// The weights of some links, and the gradients with respect to their scores.
#[derive(Clone, Copy)]
pub struct Differentiated<'a> {
    links: &'a [Link],
    weights: &'a [f32],
    gradients: &'a [f32],
}

impl Tile {
    /// All links of a differentiated tile.
    #[inline(always)]
    pub fn all(&self) -> Differentiated<'_> {
        let Self { count, links, weights, gradients, .. } = self;
        Differentiated { links: &links[..*count], weights, gradients }
    }

    /// The links of a differentiated tile one by one.
    #[inline(always)]
    pub fn each_link(&self, heads: usize) -> impl Iterator<Item = (Link, Differentiated<'_>)> {
        self.links[..self.count].iter().enumerate().map(move |(index, link)| {
            let range = index * heads..(index + 1) * heads;
            let [weights, gradients] = [&self.weights, &self.gradients].map(|all| &all[range.clone()]);
            (*link, Differentiated { links: core::slice::from_ref(link), weights, gradients })
        })
    }
}

impl Attending<'_> {
    /// Recomputes the weights of a tile, and computes the gradients with respect to its scores. For each target,
    /// `states` hold the logarithms of [`Attending::end`] of each head, then the dot products of the output and its
    /// gradient.
    #[inline(always)]
    pub fn differentiate(&self, tile: &mut Tile, states: &Matrix, output_gradients: &Matrix) {
        self.score(tile);
        let Tile { count, links, sums, weights, gradients, .. } = tile;
        let (links, scores) = (&links[..*count], *count * self.heads);
        let shape = [self.heads, self.values.width() / self.heads];
        gradients[..scores].fill(0.0);
        add_link_products(
            links,
            shape,
            gradients,
            #[inline(always)]
            |link| Some([self.values.row(link.source as usize), output_gradients.row(link.target as usize)]),
        );
        if self.adds_edges() {
            add_link_products(
                links,
                shape,
                gradients,
                #[inline(always)]
                |link| Some([self.edge(link)?, output_gradients.row(link.target as usize)]),
            );
        }
        by_size(
            self.heads,
            #[inline(always)]
            |heads| {
                for (link, scores) in links.iter().zip(weights.chunks_exact_mut(heads)) {
                    let logarithms = &states.row(link.target as usize)[..heads];
                    combine(scores, logarithms, |score, logarithm| score - logarithm);
                }
                each(weights, scores, exp);
                let rows = weights.chunks_exact_mut(heads).zip(gradients.chunks_exact_mut(heads));
                for (link, (weights, gradients)) in links.iter().zip(rows) {
                    let means = &states.row(link.target as usize)[heads..2 * heads];
                    let mask = self.masks.map(|masks| &mask(masks, link)[..heads]);
                    if let Some(mask) = mask {
                        combine(gradients, mask, |gradient, mask| gradient * mask);
                    }
                    combine(gradients, means, |gradient, mean| gradient - mean);
                    combine(gradients, weights, |gradient, weight| gradient * weight);
                    if let Some(mask) = mask {
                        combine(weights, mask, |weight, mask| weight * mask);
                    }
                }
            },
        );
        match self.score {
            Score::Decomposed { slope } => {
                let (gradients, _) = gradients.as_chunks_mut::<LANES>();
                let (sums, _) = sums.as_chunks::<LANES>();
                for (gradients, sums) in gradients.iter_mut().zip(sums).take(scores.div_ceil(LANES)) {
                    combine(gradients, sums, |gradient, sum| gradient * leaky_relu_slope(sum, slope));
                }
            }
            Score::Additive { .. } => {}
            Score::ScaledDot { factor } => each(
                gradients,
                scores,
                #[inline(always)]
                |gradient| factor * gradient,
            ),
        }
    }

    /// Adds the terms of some links to the gradient with respect to a row of the values: the output gradients of their
    /// targets times their weights.
    #[inline(always)]
    pub fn add_by_values(&self, links: Differentiated, output_gradients: &Matrix, sum: &mut [f32]) {
        self.add_rows(links.links, links.weights, output_gradients, |link| Some(link.target), sum);
    }

    /// Adds the terms of some links to the gradient with respect to a target's term of the scores.
    #[inline(always)]
    pub fn add_by_target(&self, links: Differentiated, sum: &mut [f32]) {
        match self.score {
            Score::ScaledDot { .. } => {
                self.add_rows(links.links, links.gradients, self.sources, |link| Some(link.source), sum);
                if let Some(edges) = self.edges {
                    self.add_rows(links.links, links.gradients, edges, |link| link.edge, sum);
                }
            }
            _ => self.add_by_term(links, sum),
        }
    }

    /// Adds the terms of some links to the gradient with respect to a source's or a link's term of the scores.
    #[inline(always)]
    pub fn add_by_source(&self, links: Differentiated, sum: &mut [f32]) {
        match (self.score, self.targets) {
            (Score::ScaledDot { .. }, Some(targets)) => {
                self.add_rows(links.links, links.gradients, targets, |link| Some(link.target), sum);
            }
            _ => self.add_by_term(links, sum),
        }
    }

    /// Adds the terms of some links to the gradient with respect to the vectors of [`Score::Additive`].
    #[inline(always)]
    pub fn add_by_vectors(&self, links: Differentiated, sum: &mut [f32]) {
        let Score::Additive { slope } = self.score else { return };
        self.for_each_sum(
            links,
            sum,
            #[inline(always)]
            |element, gradient, _, sum| *element += gradient * leaky_relu(sum, slope),
        );
    }

    /// Adds the terms of some links to the gradient with respect to a term of the sums before the leaky ReLU.
    #[inline(always)]
    fn add_by_term(&self, links: Differentiated, sum: &mut [f32]) {
        match self.score {
            Score::Additive { slope } => self.for_each_sum(
                links,
                sum,
                #[inline(always)]
                |element, gradient, vector, sum| *element += gradient * vector * leaky_relu_slope(sum, slope),
            ),
            _ => by_size(
                self.heads,
                #[inline(always)]
                |heads| {
                    let Differentiated { links, gradients, .. } = links;
                    let sum = &mut sum[..heads];
                    for gradients in gradients[..links.len() * heads].chunks_exact(heads) {
                        combine(sum, gradients, |sum, gradient| sum + gradient);
                    }
                },
            ),
        }
    }

    /// Calls `body` for each feature of each link with the element of `row`, the gradient with respect to the score,
    /// the element of the vector, and the sum before the leaky ReLU.
    #[inline(always)]
    fn for_each_sum(&self, links: Differentiated, row: &mut [f32], body: impl Fn(&mut f32, f32, f32, f32)) {
        by_size(
            self.vectors.len() / self.heads,
            #[inline(always)]
            |features| {
                let range = |head: usize| -> Range<usize> { head * features..(head + 1) * features };
                for (link, gradients) in links.links.iter().zip(links.gradients.chunks_exact(self.heads)) {
                    let ([one, other], edge) = (self.endpoint_terms(link), self.edge(link));
                    for (head, gradient) in gradients.iter().enumerate() {
                        let sums = one[range(head)].iter().zip(&other[range(head)]);
                        let terms = row[range(head)].iter_mut().zip(&self.vectors[range(head)]).zip(sums);
                        match edge {
                            None => {
                                for ((element, vector), (one, other)) in terms {
                                    body(element, *gradient, *vector, one + other);
                                }
                            }
                            Some(edge) => {
                                for (((element, vector), (one, other)), edge) in terms.zip(&edge[range(head)]) {
                                    body(element, *gradient, *vector, one + other + edge);
                                }
                            }
                        }
                    }
                }
            },
        );
    }
}
