//! The weighted sums of attention.

use super::{
    Attending, Lanes, Link, Part, Rows, Score, Tile, Weighted,
    score::leaky_relu_slope,
    tile::{Totals, accumulate, fold, with_totals, zip_with},
};
use crate::kernels::{exp, heads::sum_heads, ln};

impl Attending<'_> {
    /// Starts a row of the output and of the slopes, if they are wanted.
    #[inline(always)]
    pub fn begin(&self, tile: &mut Tile, output: &mut [f32], slopes: &mut [f32]) {
        let period = tile.links.period();
        output.fill(0.0);
        slopes.fill(0.0);
        tile.totals[..period].fill(Lanes::default());
        tile.slopes[..period].fill(Lanes::default());
        tile.largest[..period].fill([f32::NEG_INFINITY; _]);
    }

    /// Adds the values of a tile to a row, each times the exponential of its score minus the largest one so far.
    /// Earlier terms are rescaled when the largest score grows, so no exponential overflows (online softmax).
    ///
    /// To the slopes `[H + H C]` of [`Score::Decomposed`], unless they are empty, the same is added times the derivative of
    /// each score with respect to the target's term: for each head the sum of the weights, and then that of the values.
    #[inline(always)]
    pub fn add(&self, tile: &mut Tile, output: &mut [f32], slopes: &mut [f32]) {
        self.score(tile);
        let Tile { links, sums, weights, gradients, largest, before, totals, slopes: slope_totals, .. } = tile;
        links.pad(weights, f32::NEG_INFINITY);
        let (blocks, period, stride) = (links.blocks(), links.period(), links.stride());
        let [largest, before, totals, slope_totals] =
            [largest, before, totals, slope_totals].map(|totals: &mut Totals| &mut totals[..period]);
        let (_, value_slopes) = slopes.split_at_mut(slopes.len().min(self.heads));
        before.copy_from_slice(largest);
        accumulate(largest, &weights[..blocks], greater);
        fold(largest, stride, greater);
        if before[0][0] != f32::NEG_INFINITY {
            zip_with(
                before,
                largest,
                #[inline(always)]
                |before, largest| exp(before - largest),
            );
            for totals in [&mut *totals, slope_totals] {
                zip_with(totals, before, |total, factor| total * factor);
            }
            self.scale_heads(output, before);
            self.scale_heads(value_slopes, before);
        }
        with_totals(
            &mut weights[..blocks],
            largest,
            #[inline(always)]
            |score, largest| exp(score - largest),
        );
        accumulate(totals, &weights[..blocks], |total, weight| total + weight);
        let has_slopes = match self.score {
            Score::Decomposed { slope } if !value_slopes.is_empty() => {
                multiply_slopes(&weights[..blocks], sums, slope, gradients);
                accumulate(slope_totals, &gradients[..blocks], |total, slope| total + slope);
                true
            }
            _ => false,
        };
        if let Some(masks) = self.mask_rows() {
            links.gather(weights, masks, |weight, mask| weight * mask);
            if has_slopes {
                links.gather(gradients, masks, |slope, mask| slope * mask);
            }
        }
        let (links, weights, rows) = (links.all(), weights.as_flattened(), Rows::Source(self.values));
        if has_slopes {
            let coefficients = [weights, gradients.as_flattened()];
            sum_heads(
                &Weighted { links, coefficients, stride, rows },
                self.values,
                self.heads,
                #[inline(always)]
                |feature, [sums, slopes]| {
                    add_to(&mut output[feature..], sums);
                    add_to(&mut value_slopes[feature..], slopes);
                },
            );
            return;
        }
        self.add_rows(Weighted { links, coefficients: [weights], stride, rows }, self.values, output);
        if let ([Some(edges), _], true) = (self.edges, self.adds_edges()) {
            let rows = Rows::Link([Some(edges), None]);
            self.add_rows(Weighted { links, coefficients: [weights], stride, rows }, edges, output);
        }
    }

    /// Ends a row: divides by the sum of the exponentials of the scores, and writes its logarithm to `logarithms`;
    /// without links that is minus infinity.
    /// Zeros for a row without links.
    #[inline(always)]
    pub fn end(&self, tile: &mut Tile, output: &mut [f32], logarithms: &mut [f32], slopes: &mut [f32]) {
        let Tile { links, largest, totals, slopes: slope_totals, .. } = tile;
        let [largest, totals, slope_totals] =
            [largest, totals, slope_totals].map(|totals: &mut Totals| &mut totals[..links.period()]);
        fold(totals, links.stride(), |one, other| one + other);
        zip_with(
            largest,
            totals,
            #[inline(always)]
            |largest, total| if total != 0.0 { largest + ln(total) } else { f32::NEG_INFINITY },
        );
        for total in totals.as_flattened_mut() {
            *total = if *total != 0.0 { 1.0 / *total } else { 0.0 };
        }
        self.scale_heads(output, totals);
        logarithms.copy_from_slice(&largest.as_flattened()[..self.heads]);
        if let Some((sums, values)) = slopes.split_at_mut_checked(self.heads) {
            fold(slope_totals, links.stride(), |one, other| one + other);
            zip_with(slope_totals, totals, |sum, factor| sum * factor);
            sums.copy_from_slice(&slope_totals.as_flattened()[..self.heads]);
            self.scale_heads(values, totals);
        }
    }

    /// The weights of one link for each head: the exponentials of its scores minus the logarithms that [`Attending::end`] has
    /// written for its target.
    #[inline(always)]
    pub fn weigh(&self, tile: &mut Tile, link: Link, logarithms: &[f32], weights: &mut [f32]) {
        tile.set(link);
        self.score(tile);
        for ((weight, score), logarithm) in weights.iter_mut().zip(tile.weights.as_flattened()).zip(logarithms) {
            *weight = exp(score - logarithm);
        }
    }

    /// Adds rows of links to a sum, each head times its coefficient.
    #[inline(always)]
    pub(super) fn add_rows(&self, terms: Weighted<1>, rows: Part, output: &mut [f32]) {
        sum_heads(
            &terms,
            rows,
            self.heads,
            #[inline(always)]
            |feature, [sums]| add_to(&mut output[feature..], sums),
        );
    }

    /// Multiplies each head with its factor.
    #[inline(always)]
    fn scale_heads(&self, values: &mut [f32], factors: &[Lanes]) {
        let features = self.values.width() / self.heads;
        for (values, factor) in values.chunks_exact_mut(features).zip(factors.as_flattened()) {
            let (eights, rest) = values.as_chunks_mut::<8>();
            for values in eights {
                values.iter_mut().for_each(|value| *value *= factor);
            }
            rest.iter_mut().for_each(|value| *value *= factor);
        }
    }
}

#[inline(always)]
fn greater(one: f32, other: f32) -> f32 {
    if other > one { other } else { one }
}

#[inline(always)]
pub(super) fn add_to(values: &mut [f32], terms: &[f32]) {
    for (value, term) in values.iter_mut().zip(terms) {
        *value += term;
    }
}

/// The weights times the derivatives of the leaky ReLU.
#[inline(always)]
pub(super) fn multiply_slopes(weights: &[Lanes], sums: &[Lanes], slope: f32, products: &mut [Lanes]) {
    for ((products, sums), weights) in products.iter_mut().zip(sums).zip(weights) {
        let mut lanes = *weights;
        for (lane, sum) in lanes.iter_mut().zip(sums) {
            *lane *= leaky_relu_slope(*sum, slope);
        }
        *products = lanes;
    }
}
