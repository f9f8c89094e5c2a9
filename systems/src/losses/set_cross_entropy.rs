//! Softmax cross-entropy with sets of right answers, in groups of outputs.

use connectome_components::{SoftmaxGroups, SplitMetrics};
use core::ops::Range;

use super::row::RowLoss;
use crate::{
    kernels::{exp, ln},
    operators::choice::{is_candidate, is_right},
};

/// `ln sum over candidates of exp z - ln sum over right answers of exp z` in each group, with gradient
/// `softmax(z over candidates) - softmax(z over right answers)`.
#[derive(Clone, Copy)]
pub(super) struct SetCrossEntropy(pub(super) SoftmaxGroups);

/// The largest logit of a set, and the sum of `exp(z - largest)`, so that it does not overflow.
#[derive(Clone, Copy)]
struct Softmax {
    largest: f32,
    sum: f32,
}

impl Softmax {
    #[inline(always)]
    fn new(logits: &[f32], targets: &[f32], contains: impl Fn(f32) -> bool) -> Self {
        let pairs = || logits.iter().zip(targets);
        let largest =
            pairs().fold(
                f32::NEG_INFINITY,
                |largest, (logit, target)| {
                    if contains(*target) && *logit > largest { *logit } else { largest }
                },
            );
        let sum =
            pairs().fold(0.0, |sum, (logit, target)| sum + if contains(*target) { exp(logit - largest) } else { 0.0 });
        Self { largest, sum }
    }

    #[inline(always)]
    fn logarithm(self) -> f32 {
        self.largest + ln(self.sum)
    }

    #[inline(always)]
    fn probability(self, logit: f32) -> f32 {
        exp(logit - self.largest) / self.sum
    }
}

impl SetCrossEntropy {
    /// The groups with a right answer.
    #[inline(always)]
    fn groups(self, target: &[f32]) -> impl Iterator<Item = Range<usize>> {
        let has_answer = move |group: &Range<usize>| {
            target.get(group.clone()).is_some_and(|targets| targets.iter().any(|target| is_right(*target)))
        };
        self.0.ranges().filter(has_answer)
    }

    #[inline(always)]
    fn group(self, logits: &[f32], targets: &[f32]) -> ([Softmax; 2], SplitMetrics) {
        let softmax = [Softmax::new(logits, targets, is_candidate), Softmax::new(logits, targets, is_right)];
        let [all, right] = softmax;
        let metrics = SplitMetrics {
            count: 1,
            weight: 1.0,
            loss_sum: f64::from(all.logarithm() - right.logarithm()),
            classified: 1,
            correct: u64::from(right.largest == all.largest),
            ..SplitMetrics::default()
        };
        (softmax, metrics)
    }
}

impl RowLoss for SetCrossEntropy {
    type Target = f32;

    const NAME: &'static str = "set_cross_entropy";

    fn terms(self, target: &[f32], _: usize) -> usize {
        self.groups(target).count()
    }

    fn class(self, _: &[f32]) -> Option<u32> {
        None
    }

    #[inline(always)]
    fn measure(self, output: &[f32], target: &[f32]) -> SplitMetrics {
        let mut total = SplitMetrics::default();
        for group in self.groups(target) {
            total.merge(&self.group(&output[group.clone()], &target[group]).1);
        }
        total
    }

    #[inline(always)]
    fn differentiate(self, output: &[f32], target: &[f32], scale: f32, gradient: &mut [f32]) -> SplitMetrics {
        gradient.fill(0.0);
        let mut total = SplitMetrics::default();
        for group in self.groups(target) {
            let (logits, targets) = (&output[group.clone()], &target[group.clone()]);
            let ([all, right], metrics) = self.group(logits, targets);
            for ((gradient, logit), target) in gradient[group].iter_mut().zip(logits).zip(targets) {
                let minus = if is_right(*target) { right.probability(*logit) } else { 0.0 };
                let plus = if is_candidate(*target) { all.probability(*logit) } else { 0.0 };
                *gradient = scale * (plus - minus);
            }
            total.merge(&metrics);
        }
        total
    }

    #[inline(always)]
    fn rank(self, _: &[f32], _: &[f32]) -> Option<(f32, bool)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One group of two outputs, then two of three.
    const GROUPS: SoftmaxGroups = SoftmaxGroups { repeats: 1, leading: 2, following: 2, width: 3 };
    const TARGET: [f32; 8] = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 1.0];

    #[test]
    fn groups_without_an_answer_are_no_terms_and_excluded_outputs_have_no_gradient() {
        let logits = [0.0, 0.0, 5.0, 6.0, 7.0, 1.0, 100.0, 2.0];
        let mut gradient = [f32::NAN; 8];
        let trained = SetCrossEntropy(GROUPS).differentiate(&logits, &TARGET, 2.0, &mut gradient);
        assert_eq!((trained.count, trained.classified, trained.correct), (2, 2, 2));
        assert!((trained.loss_sum - 2f64.ln()).abs() < 1e-6, "all candidates of the last group are right: {trained:?}");
        assert_eq!(gradient[..2], [-1.0, 1.0]);
        assert_eq!(gradient[2..], [0.0; 6]);
        assert_eq!(SetCrossEntropy(GROUPS).measure(&logits, &TARGET), trained);
        assert_eq!(SetCrossEntropy(GROUPS).terms(&TARGET, 8), 2);
    }

    #[test]
    fn unlikely_answers_have_a_finite_loss() {
        let logits = [-500.0, 500.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let metrics = SetCrossEntropy(GROUPS).measure(&logits, &TARGET);
        assert!((metrics.loss_sum - 1000.0).abs() < 1e-3 && metrics.correct == 1, "{metrics:?}");
        let mut with_nan = logits;
        with_nan[0] = f32::NAN;
        assert!(!SetCrossEntropy(GROUPS).measure(&with_nan, &TARGET).loss_sum.is_finite());
    }
}
