//! Softmax cross-entropy, with one class for each row.

use connectome_components::{ClassLabel, SplitMetrics};
use core::marker::PhantomData;

use super::row::{LANES, RowLoss};
use crate::kernels::{exp, ln};

/// `-ln softmax(z)[y] = ln sum exp z - z[y]`, with gradient `softmax(z) - onehot(y)`.
pub(super) struct CrossEntropy<T = ClassLabel>(PhantomData<fn() -> T>);

impl<T> CrossEntropy<T> {
    pub(super) const NEW: Self = Self(PhantomData);
}

// Derived implementations would require the same of `T`.
impl<T> Clone for CrossEntropy<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for CrossEntropy<T> {}

/// The label of a class.
pub(super) trait Class: Copy + Send + Sync + 'static {
    fn index(self) -> u32;
}

impl Class for ClassLabel {
    #[inline(always)]
    fn index(self) -> u32 {
        self.0
    }
}

impl Class for u32 {
    #[inline(always)]
    fn index(self) -> u32 {
        self
    }
}

impl<T: Class> RowLoss for CrossEntropy<T> {
    type Target = T;

    const NAME: &'static str = "softmax_cross_entropy";

    #[inline(always)]
    fn terms(self, _: &[T], _: usize) -> usize {
        1
    }

    #[inline(always)]
    fn class(self, label: &[T]) -> Option<u32> {
        label.first().map(|label| label.index())
    }

    #[inline(always)]
    fn measure(self, logits: &[f32], label: &[T]) -> SplitMetrics {
        let largest = largest(logits);
        let sum = fold(
            logits,
            0.0,
            #[inline(always)]
            |sum, logit| sum + exp(logit - largest),
            add,
        );
        metrics(logits, self.class(label), largest, ln(sum))
    }

    #[inline(always)]
    fn differentiate(self, logits: &[f32], label: &[T], scale: f32, gradient: &mut [f32]) -> SplitMetrics {
        let largest = largest(logits);
        let total = exponentials(logits, largest, gradient);
        subtract_label(self.class(label), scale / total, scale, gradient);
        metrics(logits, self.class(label), largest, ln(total))
    }

    /// Step by step for some rows at a time, so that these do not wait for one another.
    #[inline(always)]
    fn differentiate_rows(
        self,
        logits: &[f32],
        labels: &[T],
        width: usize,
        scale: f32,
        gradients: &mut [f32],
        sums: &mut SplitMetrics,
    ) {
        /// Number of rows, a multiple of the lanes of every processor.
        const ROWS: usize = 16;
        let blocks = logits.chunks(ROWS * width).zip(labels.chunks(ROWS)).zip(gradients.chunks_mut(ROWS * width));
        for ((logits, labels), gradients) in blocks {
            let (mut largest_of, mut totals) = ([0.0; ROWS], [1.0; ROWS]);
            for (most, logits) in largest_of.iter_mut().zip(logits.chunks_exact(width)) {
                *most = largest(logits);
            }
            let rows = logits.chunks_exact(width).zip(gradients.chunks_exact_mut(width));
            for ((logits, gradient), (most, total)) in rows.zip(largest_of.iter().zip(&mut totals)) {
                *total = exponentials(logits, *most, gradient);
            }
            let (mut logarithms, mut factors) = (totals, totals);
            logarithms.iter_mut().for_each(|total| *total = ln(*total));
            factors.iter_mut().for_each(|total| *total = scale / *total);
            let rows = logits.chunks_exact(width).zip(labels).zip(gradients.chunks_exact_mut(width));
            for (row, ((logits, label), gradient)) in rows.enumerate() {
                let label = Some(label.index());
                subtract_label(label, factors[row], scale, gradient);
                sums.merge(&metrics(logits, label, largest_of[row], logarithms[row]));
            }
        }
    }

    #[inline(always)]
    fn predicted(self, logits: &[f32]) -> Option<u32> {
        let largest = largest(logits);
        logits.iter().position(|logit| *logit == largest).map(|class| class as u32)
    }

    #[inline(always)]
    fn rank(self, _: &[f32], _: &[T]) -> Option<(f32, bool)> {
        None
    }
}

/// `exponentials[c] = exp(z[c] - largest)`, which does not overflow; returns the sum.
#[inline(always)]
fn exponentials(logits: &[f32], largest: f32, exponentials: &mut [f32]) -> f32 {
    for (exponential, logit) in exponentials.iter_mut().zip(logits) {
        *exponential = exp(logit - largest);
    }
    fold(exponentials, 0.0, add, add)
}

/// `gradient = factor * gradient - scale * onehot(label)`.
#[inline(always)]
fn subtract_label(label: Option<u32>, factor: f32, scale: f32, gradient: &mut [f32]) {
    gradient.iter_mut().for_each(|gradient| *gradient *= factor);
    if let Some(gradient) = label.and_then(|label| gradient.get_mut(label as usize)) {
        *gradient -= scale;
    }
}

/// The metrics of a row; `logarithm` is that of the sum of `exp(z - largest)`.
#[inline(always)]
fn metrics(logits: &[f32], label: Option<u32>, largest: f32, logarithm: f32) -> SplitMetrics {
    let label = label.map_or(usize::MAX, |label| label as usize);
    let logit = logits.get(label).copied().unwrap_or(f32::NAN);
    // The first of the largest logits is predicted; none if all are NaN.
    let is_correct = logit == largest && logits.iter().take(label).all(|earlier| *earlier != largest);
    SplitMetrics {
        count: 1,
        weight: 1.0,
        loss_sum: f64::from(largest + logarithm - logit),
        classified: 1,
        correct: u64::from(is_correct),
        ..SplitMetrics::default()
    }
}

#[inline(always)]
fn largest(logits: &[f32]) -> f32 {
    fold(logits, f32::NEG_INFINITY, larger, larger)
}

/// The larger of two values; not NaN if the first is not.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
fn add(a: f32, b: f32) -> f32 {
    a + b
}

/// Folds every 16th value into one lane, then the lanes in order, which vectorizes in the same order on every
/// processor. Fewer values are folded one after the other, to the same bits.
#[inline(always)]
fn fold(values: &[f32], initial: f32, fold: impl Fn(f32, f32) -> f32, merge: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    if chunks.is_empty() {
        return rest.iter().fold(
            initial,
            #[inline(always)]
            |total, value| fold(total, *value),
        );
    }
    let mut lanes = [initial; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *value);
    }
    let mut total = initial;
    for lane in lanes {
        total = merge(total, lane);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_logits_and_labels_out_of_range_make_the_loss_nan() {
        for (logits, label) in [([f32::NAN; 3], 0), ([0.0, f32::NAN, 1.0], 2), ([0.0, 1.0, 2.0], 3)] {
            let mut gradient = [0.0; 3];
            let trained =
                CrossEntropy::<ClassLabel>::NEW.differentiate(&logits, &[ClassLabel(label)], 1.0, &mut gradient);
            let measured = CrossEntropy::<ClassLabel>::NEW.measure(&logits, &[ClassLabel(label)]);
            assert!(trained.loss_sum.is_nan() && measured.loss_sum.is_nan(), "{logits:?} {label}");
        }
        assert_eq!(CrossEntropy::<ClassLabel>::NEW.measure(&[f32::NAN; 3], &[ClassLabel(0)]).correct, 0);
    }

    #[test]
    fn large_logits_neither_overflow_nor_vanish() {
        let mut gradient = [0.0; 3];
        let metrics =
            CrossEntropy::<ClassLabel>::NEW.differentiate(&[1e30, -1e30, 0.0], &[ClassLabel(0)], 1.0, &mut gradient);
        assert_eq!((metrics.loss_sum, gradient), (0.0, [0.0; 3]));
        let metrics = CrossEntropy::<ClassLabel>::NEW.differentiate(
            &[-500.0, -500.0, -900.0],
            &[ClassLabel(2)],
            1.0,
            &mut gradient,
        );
        assert!((metrics.loss_sum - 400.0 - 2f64.ln()).abs() < 1e-4, "{}", metrics.loss_sum);
        assert_eq!(gradient, [0.5, 0.5, -1.0]);
    }
}
