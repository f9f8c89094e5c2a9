//! The scores of links.

use super::{Attending, LANES, Link, Score, Tile, each};
use crate::kernels::{
    heads::add_products,
    lanes::{by_size, combine},
};

impl<'a> Attending<'a> {
    /// The scores of a tile, in place of its weights.
    #[inline(always)]
    pub(super) fn score(&self, tile: &mut Tile) {
        match self.score {
            Score::Decomposed { slope } => self.add_terms(tile, slope),
            Score::Additive { slope } => self.multiply_rectified(tile, slope),
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

    /// The scores of [`Score::Decomposed`], and the sums before the rectifier.
    #[inline(always)]
    fn add_terms(&self, tile: &mut Tile, slope: f32) {
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
                    combine(scores, sums, |_, sum| rectify(sum, slope));
                }
            },
        );
    }

    #[inline(always)]
    fn multiply_rectified(&self, tile: &mut Tile, slope: f32) {
        let Tile { count, links, weights, .. } = tile;
        let links = &links[..*count];
        by_size(
            self.vectors.len() / self.heads,
            #[inline(always)]
            |columns| {
                for (link, scores) in links.iter().zip(weights.chunks_exact_mut(self.heads)) {
                    let (ends, edge) = (self.rectified(link), self.edge(link));
                    for (head, score) in scores.iter_mut().enumerate() {
                        let part = head * columns..(head + 1) * columns;
                        let ends = ends.map(|row| &row[part.clone()]);
                        let edge = edge.map(|row| &row[part.clone()]);
                        *score = rectified_product(&self.vectors[part], ends, edge, slope);
                    }
                }
            },
        );
    }

    /// The rows of a link's endpoints whose sum is rectified.
    #[inline(always)]
    pub(super) fn rectified(&self, link: &Link) -> [&'a [f32]; 2] {
        let targets = self.targets.unwrap_or(self.sources);
        [self.sources.row(link.source as usize), targets.row(link.target as usize)]
    }
}

/// The leaky rectifier.
#[inline(always)]
pub(super) fn rectify(x: f32, slope: f32) -> f32 {
    if x > 0.0 { x } else { slope * x }
}

/// Its derivative.
#[inline(always)]
pub(super) fn slope_at(x: f32, slope: f32) -> f32 {
    if x > 0.0 { 1.0 } else { slope }
}

/// `numbers[k, h] += one[h] . other[h]` for each head of each link that has two rows, with `columns` in a head.
#[inline(always)]
pub(super) fn add_link_products<'a>(
    links: &[Link],
    [heads, columns]: [usize; 2],
    numbers: &mut [f32],
    rows: impl Fn(&Link) -> Option<[&'a [f32]; 2]>,
) {
    by_size(
        columns,
        #[inline(always)]
        |columns| {
            for (link, numbers) in links.iter().zip(numbers.chunks_exact_mut(heads)) {
                if let Some([one, other]) = rows(link) {
                    add_products(one, other, columns, numbers);
                }
            }
        },
    );
}

/// `sum of vector[i] * rectified sum[i]`, in the order of [`dot`](crate::kernels::dot).
#[inline(always)]
fn rectified_product(vector: &[f32], [one, other]: [&[f32]; 2], edge: Option<&[f32]>, slope: f32) -> f32 {
    let (vectors, rest) = vector.as_chunks::<LANES>();
    let (ones, others) = (one.as_chunks::<LANES>().0, other.as_chunks::<LANES>().0);
    let edges = edge.map(|edge| edge.as_chunks::<LANES>().0);
    let mut lanes = [0.0; LANES];
    for (place, ((vector, one), other)) in vectors.iter().zip(ones).zip(others).enumerate() {
        let mut sums = *one;
        combine(&mut sums, other, |sum, term| sum + term);
        if let Some(edges) = edges {
            combine(&mut sums, &edges[place], |sum, term| sum + term);
        }
        for ((lane, sum), vector) in lanes.iter_mut().zip(sums).zip(vector) {
            *lane += vector * rectify(sum, slope);
        }
    }
    let mut last = 0.0;
    for place in vector.len() - rest.len()..vector.len() {
        let sum = one[place] + other[place] + edge.map_or(0.0, |edge| edge[place]);
        last += vector[place] * rectify(sum, slope);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + last
}
