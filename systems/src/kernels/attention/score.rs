//! The scores of links.

use super::{Attending, LANES, Link, Score, Tile, each};
use crate::kernels::{
    heads::add_products,
    lanes::{by_size, combine},
};

impl<'a> Attending<'a> {
    /// Computes the scores of a tile into its weights.
    #[inline(always)]
    pub(super) fn score(&self, tile: &mut Tile) {
        match self.score {
            Score::Decomposed { slope } => self.score_decomposed(tile, slope),
            Score::Additive { slope } => self.score_additive(tile, slope),
            Score::ScaledDot { factor } => {
                let Some(targets) = self.targets else { return };
                let Tile { count, links, weights, .. } = tile;
                let links = &links[..*count];
                let shape = [self.heads, self.sources.width() / self.heads];
                weights[..*count * self.heads].fill(0.0);
                add_link_products(
                    links,
                    shape,
                    weights,
                    #[inline(always)]
                    |link| Some([self.sources.row(link.source as usize), targets.row(link.target as usize)]),
                );
                if self.edges.is_some() {
                    add_link_products(
                        links,
                        shape,
                        weights,
                        #[inline(always)]
                        |link| Some([self.edge(link)?, targets.row(link.target as usize)]),
                    );
                }
                each(
                    weights,
                    *count * self.heads,
                    #[inline(always)]
                    |product| factor * product,
                );
            }
        }
    }

    /// The scores of [`Score::Decomposed`], and the sums before the leaky ReLU.
    #[inline(always)]
    fn score_decomposed(&self, tile: &mut Tile, slope: f32) {
        let Tile { count, links, sums, weights, .. } = tile;
        let links = &links[..*count];
        by_size(
            self.heads,
            #[inline(always)]
            |heads| {
                let rows = sums.chunks_exact_mut(heads).zip(weights.chunks_exact_mut(heads));
                for (link, (sums, scores)) in links.iter().zip(rows) {
                    sums.copy_from_slice(&self.sources.row(link.source as usize)[..heads]);
                    if let Some(targets) = self.targets {
                        let terms = &targets.row(link.target as usize)[..heads];
                        combine(sums, terms, |sum, term| sum + term);
                    }
                    if let Some(terms) = self.edge(link) {
                        combine(sums, &terms[..heads], |sum, term| sum + term);
                    }
                    combine(scores, sums, |_, sum| leaky_relu(sum, slope));
                }
            },
        );
    }

    /// The scores of [`Score::Additive`].
    #[inline(always)]
    fn score_additive(&self, tile: &mut Tile, slope: f32) {
        let Tile { count, links, weights, .. } = tile;
        let links = &links[..*count];
        by_size(
            self.vectors.len() / self.heads,
            #[inline(always)]
            |features| {
                for (link, scores) in links.iter().zip(weights.chunks_exact_mut(self.heads)) {
                    let (endpoints, edge) = (self.endpoint_terms(link), self.edge(link));
                    for (head, score) in scores.iter_mut().enumerate() {
                        let range = head * features..(head + 1) * features;
                        let endpoints = endpoints.map(|row| &row[range.clone()]);
                        let edge = edge.map(|row| &row[range.clone()]);
                        *score = leaky_relu_dot(&self.vectors[range], endpoints, edge, slope);
                    }
                }
            },
        );
    }

    /// The terms of a link's endpoints in [`Score::Additive`].
    #[inline(always)]
    pub(super) fn endpoint_terms(&self, link: &Link) -> [&'a [f32]; 2] {
        let targets = self.targets.unwrap_or(self.sources);
        [self.sources.row(link.source as usize), targets.row(link.target as usize)]
    }
}

/// The leaky ReLU.
#[inline(always)]
pub(super) fn leaky_relu(x: f32, slope: f32) -> f32 {
    if x > 0.0 { x } else { slope * x }
}

/// The derivative of the leaky ReLU.
#[inline(always)]
pub(super) fn leaky_relu_slope(x: f32, slope: f32) -> f32 {
    if x > 0.0 { 1.0 } else { slope }
}

/// `products[k, h] += one[h] . other[h]` for each head of each link that has two rows, with `features` in a head.
#[inline(always)]
pub(super) fn add_link_products<'a>(
    links: &[Link],
    [heads, features]: [usize; 2],
    products: &mut [f32],
    rows: impl Fn(&Link) -> Option<[&'a [f32]; 2]>,
) {
    by_size(
        features,
        #[inline(always)]
        |features| {
            for (link, products) in links.iter().zip(products.chunks_exact_mut(heads)) {
                if let Some([one, other]) = rows(link) {
                    add_products(one, other, features, products);
                }
            }
        },
    );
}

/// `sum of vector[i] * leaky_relu(one[i] + other[i] + edge[i])`, in the order of [`dot`](crate::kernels::dot).
#[inline(always)]
fn leaky_relu_dot(vector: &[f32], [one, other]: [&[f32]; 2], edge: Option<&[f32]>, slope: f32) -> f32 {
    let (vectors, rest) = vector.as_chunks::<LANES>();
    let (ones, others) = (one.as_chunks::<LANES>().0, other.as_chunks::<LANES>().0);
    let edges = edge.map(|edge| edge.as_chunks::<LANES>().0);
    let mut lanes = [0.0; LANES];
    for (index, ((vector, one), other)) in vectors.iter().zip(ones).zip(others).enumerate() {
        let mut sums = *one;
        combine(&mut sums, other, |sum, term| sum + term);
        if let Some(edges) = edges {
            combine(&mut sums, &edges[index], |sum, term| sum + term);
        }
        for ((lane, sum), vector) in lanes.iter_mut().zip(sums).zip(vector) {
            *lane += vector * leaky_relu(sum, slope);
        }
    }
    let mut last = 0.0;
    for index in vector.len() - rest.len()..vector.len() {
        let sum = one[index] + other[index] + edge.map_or(0.0, |edge| edge[index]);
        last += vector[index] * leaky_relu(sum, slope);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + last
}
