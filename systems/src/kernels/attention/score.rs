//! The scores of links.

use super::{
    Attending, Links, Part, Rows, Score, Scores, Tile,
    tile::{Lanes, zip_with},
};
use crate::kernels::{
    heads::add_products,
    lanes::{by_size, combine},
};

impl<'a> Attending<'a> {
    /// Computes the scores of a tile into its weights.
    #[inline(always)]
    pub(super) fn score(&self, tile: &mut Tile) {
        let Tile { links, sums, weights, .. } = tile;
        match self.score {
            Score::Decomposed { slope } => {
                links.gather(sums, Rows::Source(self.sources), |_, term| term);
                if let Some(targets) = self.targets {
                    links.gather(sums, Rows::Target(targets), |sum, term| sum + term);
                }
                if self.edges.iter().any(Option::is_some) {
                    links.gather(sums, Rows::Link(self.edges), |sum, term| sum + term);
                }
                zip_with(&mut weights[..links.blocks()], sums, |_, sum| leaky_relu(sum, slope));
            }
            Score::Additive { slope } => self.score_additive(links, weights, slope),
            Score::ScaledDot { factor } => self.score_scaled_dot(links, weights, factor),
        }
    }

    #[inline(always)]
    fn score_scaled_dot(&self, links: &Links, weights: &mut Scores, factor: f32) {
        let Some(targets) = self.targets.map(Rows::Target) else { return };
        weights[..links.blocks()].fill(Lanes::default());
        self.add_link_products(links, [Rows::Source(self.sources), targets], weights);
        if self.adds_edges() {
            self.add_link_products(links, [Rows::Link(self.edges), targets], weights);
        }
        scale(&mut weights[..links.blocks()], factor);
    }

    #[inline(always)]
    fn score_additive(&self, links: &Links, weights: &mut Scores, slope: f32) {
        by_size(
            self.vectors.len() / self.heads,
            #[inline(always)]
            |features| {
                let scores = weights.as_flattened_mut().chunks_exact_mut(links.stride());
                for (link, scores) in links.all().iter().zip(scores) {
                    let (source, target) = (self.sources.row(link.source as usize), self.target_term(link.target));
                    let edge = Rows::Link(self.edges).of(link);
                    for (head, score) in scores[..self.heads].iter_mut().enumerate() {
                        let range = head * features..(head + 1) * features;
                        let endpoints = [source, target].map(|row| &row[range.clone()]);
                        let edge = edge.map(|row| &row[range.clone()]);
                        *score = leaky_relu_dot(&self.vectors[range], endpoints, edge, slope);
                    }
                }
            },
        );
    }

    /// A target's term in [`Score::Additive`].
    #[inline(always)]
    pub(super) fn target_term(&self, target: u32) -> &'a [f32] {
        self.targets.map_or(&[], |targets: Part| targets.row(target as usize))
    }

    /// `products[k, h] += one[h] . other[h]` for each head of each link that has two rows.
    #[inline(always)]
    pub(super) fn add_link_products(&self, links: &Links, [ones, others]: [Rows; 2], products: &mut Scores) {
        by_size(
            self.values.width() / self.heads,
            #[inline(always)]
            |features| {
                let products = products.as_flattened_mut().chunks_exact_mut(links.stride());
                for (link, products) in links.all().iter().zip(products) {
                    if let (Some(one), Some(other)) = (ones.of(link), others.of(link)) {
                        add_products(one, other, features, &mut products[..self.heads]);
                    }
                }
            },
        );
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

#[inline(always)]
pub(super) fn scale(values: &mut [Lanes], factor: f32) {
    for value in values.as_flattened_mut() {
        *value *= factor;
    }
}

/// `sum of vector[i] * leaky_relu(one[i] + other[i] + edge[i])`, in the order of [`dot`](crate::kernels::dot).
#[inline(always)]
fn leaky_relu_dot(vector: &[f32], [one, other]: [&[f32]; 2], edge: Option<&[f32]>, slope: f32) -> f32 {
    const LANES: usize = 8;

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
