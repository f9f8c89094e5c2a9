//! From logits to weights, and back.

use connectome_components::{GateLosses, Matrix};

use crate::kernels::{exp, ln};

/// The weights that a gate gives to experts, for each row.
#[derive(Debug, Default)]
pub(super) struct Gating {
    experts: usize,
    top_k: usize,
    /// The softmax of the logits `[R, E]`.
    probabilities: Vec<f32>,
    /// Whether an expert computes a row `[R, E]`.
    chosen: Vec<bool>,
    /// The weights `[R, E]`; 0 for those that are not chosen.
    weights: Vec<f32>,
    /// The logarithm of the sum of the exponentials of the logits `[R]`.
    log_sums: Vec<f32>,
    /// The expert with the largest logit `[R]`.
    first: Vec<u32>,
}

impl Gating {
    /// Chooses the `top_k` largest logits of each row, to which `noise` `[R, E]` is added unless there is none; of equal
    /// ones that of the earlier expert. A logit of NaN is the lowest.
    pub(super) fn choose(&mut self, logits: &Matrix<'_>, top_k: usize, noise: &[f32]) {
        let experts = logits.width();
        (self.experts, self.top_k) = (experts, top_k);
        for values in [&mut self.probabilities, &mut self.weights, &mut self.log_sums] {
            values.clear();
        }
        self.chosen.clear();
        self.first.clear();
        let mut order: Vec<usize> = Vec::with_capacity(experts);
        for row in logits.rows() {
            let start = self.weights.len();
            let logit = |expert: usize| if row[expert].is_nan() { f32::NEG_INFINITY } else { row[expert] };
            let first = (1..experts).fold(0, |first, expert| if logit(expert) > logit(first) { expert } else { first });
            self.first.push(first as u32);
            let most = row[first];
            let rank = |expert: usize| logit(expert) + noise.get(start + expert).unwrap_or(&0.0);
            order.clear();
            order.extend(0..experts);
            order.sort_by(|one, other| rank(*other).total_cmp(&rank(*one)));
            self.probabilities.extend(row.iter().map(|logit| exp(logit - most)));
            let probabilities = &mut self.probabilities[start..];
            let sum: f32 = probabilities.iter().sum();
            self.weights.resize(start + experts, 0.0);
            self.chosen.resize(start + experts, false);
            let kept: f32 = match top_k {
                1 => sum,
                // In the order of the experts, so that all of them have the sum of the softmax.
                _ => {
                    order[..top_k].sort_unstable();
                    order[..top_k].iter().map(|expert| probabilities[*expert]).sum()
                }
            };
            for expert in &order[..top_k] {
                self.weights[start + expert] = probabilities[*expert] / kept;
                self.chosen[start + expert] = true;
            }
            probabilities.iter_mut().for_each(|probability| *probability /= sum);
            self.log_sums.push(most + ln(sum));
        }
    }

    /// Number of rows.
    pub(super) fn row_count(&self) -> usize {
        self.log_sums.len()
    }

    pub(super) fn is_chosen(&self, row: usize, expert: usize) -> bool {
        self.chosen[row * self.experts + expert]
    }

    pub(super) fn weight(&self, row: usize, expert: usize) -> f32 {
        self.weights[row * self.experts + expert]
    }

    /// The weights `[R, E]`.
    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The gradients with respect to the logits, in place of those with respect to the weights `[R, E]`.
    pub(super) fn differentiate(&self, gradients: &mut [f32]) {
        let experts = self.experts.max(1);
        for (row, gradients) in gradients.chunks_exact_mut(experts).enumerate() {
            let range = row * experts..(row + 1) * experts;
            let (chosen, weights) = (&self.chosen[range.clone()], &self.weights[range.clone()]);
            let terms = || gradients.iter().zip(weights).zip(chosen).filter(|(_, chosen)| **chosen);
            let mean: f32 = terms().map(|((gradient, weight), _)| gradient * weight).sum();
            if self.top_k == 1 {
                // The weight is a probability, which depends on all logits.
                let probabilities = &self.probabilities[range];
                for ((gradient, chosen), probability) in gradients.iter_mut().zip(chosen).zip(probabilities) {
                    *gradient = if *chosen { probability * *gradient } else { 0.0 } - mean * probability;
                }
            } else {
                for ((gradient, chosen), weight) in gradients.iter_mut().zip(chosen).zip(weights) {
                    *gradient = if *chosen { weight * (*gradient - mean) } else { 0.0 };
                }
            }
        }
    }

    /// The auxiliary losses over some rows, and adds their gradients, by their weights, to those with respect to the
    /// logits `[R, E]`. Sums follow the order of `rows`.
    pub(super) fn losses(&self, rows: &[u32], loss_weights: GateLosses, gradients: &mut [f32]) -> GateLosses {
        let (experts, count) = (self.experts, rows.len() as f64);
        if rows.is_empty() {
            return GateLosses::default();
        }
        let mut means = vec![0.0; experts];
        let mut shares = vec![0.0; experts];
        let mut z = 0.0;
        for row in rows.iter().map(|row| *row as usize) {
            let probabilities = &self.probabilities[row * experts..(row + 1) * experts];
            means
                .iter_mut()
                .zip(probabilities)
                .for_each(|(mean, probability)| *mean += f64::from(*probability) / count);
            shares[self.first[row] as usize] += 1.0 / count;
            z += f64::from(self.log_sums[row]).powi(2) / count;
        }
        let width = experts as f64;
        let mean = means.iter().sum::<f64>() / width;
        let variance = means.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / width;
        let balance = width * shares.iter().zip(&means).map(|(share, mean)| share * mean).sum::<f64>();
        // The mean of the means is always 1 / E: what flows through it cancels in the softmax.
        let slopes: Vec<f64> = shares
            .iter()
            .zip(&means)
            .map(|(share, one)| {
                let by_importance = 2.0 * (one - mean) / (width * mean.powi(2));
                (f64::from(loss_weights.balance) * width * share + f64::from(loss_weights.importance) * by_importance)
                    / count
            })
            .collect();
        for row in rows.iter().map(|row| *row as usize) {
            let range = row * experts..(row + 1) * experts;
            let probabilities = &self.probabilities[range.clone()];
            let expected: f64 =
                slopes.iter().zip(probabilities).map(|(slope, probability)| slope * f64::from(*probability)).sum();
            let by_z = 2.0 * f64::from(loss_weights.z) * f64::from(self.log_sums[row]) / count;
            let terms = gradients[range].iter_mut().zip(&slopes).zip(probabilities);
            for ((gradient, slope), probability) in terms {
                *gradient += (f64::from(*probability) * (slope - expected + by_z)) as f32;
            }
        }
        GateLosses { balance: balance as f32, importance: (variance / mean.powi(2)) as f32, z: z as f32 }
    }
}
