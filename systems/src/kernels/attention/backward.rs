//! The gradients with respect to the inputs of attention.

use super::{
    Attending, Lanes, Link, Part, Rows, Score, Tile, Weighted,
    forward::{add_to, multiply_slopes},
    score::{leaky_relu, leaky_relu_slope, scale},
    tile::{accumulate, fold, zip_with},
};
use crate::kernels::{
    dot, exp,
    heads::sum_heads,
    lanes::{by_size, combine},
    prefetch,
};

/// What links read of their targets in the backward pass, beside the targets' term of the score.
#[derive(Clone, Copy, Debug)]
pub struct TargetStates<'a> {
    /// For each head the logarithm of the sum of the exponentials of the scores.
    pub logarithms: Part<'a>,
    /// For each head the dot product of the output and its gradient.
    pub products: Part<'a>,
    /// The gradient with respect to the output.
    pub gradients: Part<'a>,
}

/// The weights of some links, and the gradients with respect to their scores.
#[derive(Clone, Copy)]
pub struct Differentiated<'a> {
    links: &'a [Link],
    weights: &'a [f32],
    gradients: &'a [f32],
    stride: usize,
}

impl Tile {
    /// All links of a differentiated tile.
    #[inline(always)]
    pub fn all(&self) -> Differentiated<'_> {
        let [weights, gradients] = [&self.weights, &self.gradients].map(|all| all.as_flattened());
        Differentiated { links: self.links.all(), weights, gradients, stride: self.links.stride() }
    }

    /// The links of a differentiated tile one by one.
    #[inline(always)]
    pub fn each_link(&self) -> impl Iterator<Item = (Link, Differentiated<'_>)> {
        let Differentiated { links, weights, gradients, stride } = self.all();
        links.iter().enumerate().map(move |(index, link)| {
            let range = index * stride..(index + 1) * stride;
            let [weights, gradients] = [weights, gradients].map(|all| &all[range.clone()]);
            (*link, Differentiated { links: core::slice::from_ref(link), weights, gradients, stride })
        })
    }
}

impl Attending<'_> {
    /// Prefetches what the weights read of a target.
    #[inline(always)]
    pub fn prefetch_target(&self, states: &TargetStates, target: usize) {
        prefetch(states.logarithms.row(target));
        prefetch(states.products.row(target));
        if let Some(targets) = self.targets {
            prefetch(targets.row(target));
        }
    }

    /// Recomputes the weights of a tile, without masks; its states become the products of the targets.
    #[inline(always)]
    fn weigh_again(&self, tile: &mut Tile, states: &TargetStates) {
        self.score(tile);
        let Tile { links, weights, states: gathered, .. } = tile;
        links.gather(gathered, Rows::Target(states.logarithms), |_, logarithm| logarithm);
        zip_with(
            &mut weights[..links.blocks()],
            gathered,
            #[inline(always)]
            |score, logarithm| exp(score - logarithm),
        );
        links.pad(weights, 0.0);
        links.gather(gathered, Rows::Target(states.products), |_, product| product);
    }

    /// Recomputes the weights of a tile, and computes the gradients with respect to its scores.
    #[inline(always)]
    pub fn differentiate(&self, tile: &mut Tile, states: &TargetStates) {
        self.weigh_again(tile, states);
        let Tile { links, sums, weights, gradients, states: products, .. } = tile;
        let (blocks, output_gradients) = (links.blocks(), Rows::Target(states.gradients));
        gradients[..blocks].fill(Lanes::default());
        self.add_link_products(links, [Rows::Source(self.values), output_gradients], gradients);
        if self.adds_edges() {
            self.add_link_products(links, [Rows::Link(self.edges), output_gradients], gradients);
        }
        let masks = self.mask_rows();
        if let Some(masks) = masks {
            links.gather(gradients, masks, |gradient, mask| gradient * mask);
        }
        zip_with(&mut gradients[..blocks], products, |gradient, product| gradient - product);
        zip_with(&mut gradients[..blocks], weights, |gradient, weight| gradient * weight);
        if let Some(masks) = masks {
            links.gather(weights, masks, |weight, mask| weight * mask);
        }
        match self.score {
            Score::Decomposed { slope } => {
                zip_with(&mut gradients[..blocks], sums, |gradient, sum| gradient * leaky_relu_slope(sum, slope));
            }
            Score::Additive { .. } => {}
            Score::ScaledDot { factor } => scale(&mut gradients[..blocks], factor),
        }
    }

    /// Starts the gradient of a row with [`Attending::add_by_slopes`].
    #[inline(always)]
    pub fn begin_slopes(&self, tile: &mut Tile) {
        let period = tile.links.period();
        tile.totals[..period].fill(Lanes::default());
    }

    /// Adds the terms of a tile with [`Score::Decomposed`] to the gradients with respect to a row of the values and to a
    /// source's term of the score.
    ///
    /// With the weight `w` of a link, its slope `v = w LeakyReLU'(sum)`, its mask `m`, the output gradient `g` and the
    /// product `p` of its target, the latter is `sum of v (m g . x - p) = x . (sum of v m g) - sum of v p`: no dot product for
    /// each link, but one for the source with its values `x`.
    #[inline(always)]
    pub fn add_by_slopes(&self, tile: &mut Tile, states: &TargetStates, source: usize, [values, sum]: [&mut [f32]; 2]) {
        let Score::Decomposed { slope } = self.score else { return };
        self.weigh_again(tile, states);
        let Tile { links, sums, weights, gradients, states: products, totals, .. } = tile;
        let blocks = links.blocks();
        multiply_slopes(&weights[..blocks], sums, slope, gradients);
        zip_with(&mut products[..blocks], gradients, |product, slope| product * slope);
        accumulate(&mut totals[..links.period()], &products[..blocks], |total, term| total + term);
        if let Some(masks) = self.mask_rows() {
            links.gather(weights, masks, |weight, mask| weight * mask);
            links.gather(gradients, masks, |slope, mask| slope * mask);
        }
        let coefficients = [weights.as_flattened(), gradients.as_flattened()];
        let rows = Rows::Target(states.gradients);
        let row = self.values.row(source);
        sum_heads(
            &Weighted { links: links.all(), coefficients, stride: links.stride(), rows },
            states.gradients,
            self.heads,
            #[inline(always)]
            |feature, [by_weight, by_slope]| {
                add_to(&mut values[feature..], by_weight);
                add_products_from(feature, row, by_slope, sum);
            },
        );
    }

    /// Ends it: subtracts the sum of the slopes times the products.
    #[inline(always)]
    pub fn end_slopes(&self, tile: &mut Tile, sum: &mut [f32]) {
        let Tile { links, totals, .. } = tile;
        let totals = &mut totals[..links.period()];
        fold(totals, links.stride(), |one, other| one + other);
        combine(sum, &totals.as_flattened()[..self.heads], |sum, total| sum - total);
    }

    /// Adds the terms of some links to the gradient with respect to a row of the values: the output gradients of their
    /// targets times their weights.
    #[inline(always)]
    pub fn add_by_values(&self, links: Differentiated, states: &TargetStates, sum: &mut [f32]) {
        self.add_rows(links.times(links.weights, Rows::Target(states.gradients)), states.gradients, sum);
    }

    /// Adds the terms of some links to the gradient with respect to a target's term of the scores.
    #[inline(always)]
    pub fn add_by_target(&self, links: Differentiated, sum: &mut [f32]) {
        match self.score {
            Score::ScaledDot { .. } => {
                self.add_rows(links.times(links.gradients, Rows::Source(self.sources)), self.sources, sum);
                if let [Some(edges), _] = self.edges {
                    self.add_rows(links.times(links.gradients, Rows::Link([Some(edges), None])), edges, sum);
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
                self.add_rows(links.times(links.gradients, Rows::Target(targets)), targets, sum);
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
            _ => {
                for (_, gradients) in links.links.iter().zip(links.gradients.chunks_exact(links.stride)) {
                    combine(&mut sum[..self.heads], &gradients[..self.heads], |sum, gradient| sum + gradient);
                }
            }
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
                for (link, gradients) in links.links.iter().zip(links.gradients.chunks_exact(links.stride)) {
                    let [source, target] = [self.sources.row(link.source as usize), self.target_term(link.target)];
                    let edge = Rows::Link(self.edges).of(link);
                    for (head, gradient) in gradients[..self.heads].iter().enumerate() {
                        let range = head * features..(head + 1) * features;
                        let sums = source[range.clone()].iter().zip(&target[range.clone()]);
                        let terms = row[range.clone()].iter_mut().zip(&self.vectors[range.clone()]).zip(sums);
                        match edge {
                            None => {
                                for ((element, vector), (one, other)) in terms {
                                    body(element, *gradient, *vector, one + other);
                                }
                            }
                            Some(edge) => {
                                for (((element, vector), (one, other)), edge) in terms.zip(&edge[range]) {
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

impl<'a> Differentiated<'a> {
    #[inline(always)]
    fn times(self, coefficients: &'a [f32], rows: Rows<'a>) -> Weighted<'a, 1> {
        Weighted { links: self.links, coefficients: [coefficients], stride: self.stride, rows }
    }
}

/// Adds to the dot product of each head that of some features from `feature` on, as [`sum_heads`] gives them.
#[inline(always)]
fn add_products_from(feature: usize, row: &[f32], sums: &[f32], products: &mut [f32]) {
    let features = row.len() / products.len();
    let row = &row[feature..feature + sums.len()];
    if features == 1 {
        let terms = row.iter().zip(sums);
        return products[feature..].iter_mut().zip(terms).for_each(|(product, (one, sum))| *product += one * sum);
    }
    for (index, (row, sums)) in row.chunks(8).zip(sums.chunks(8)).enumerate() {
        products[(feature + 8 * index) / features] += dot(row, sums);
    }
}
