//! Elementwise losses: each element of a row has a target.

use connectome_components::{ClassCounts, SplitMetrics};

use super::row::{LANES, RowLoss, lanes, put_lanes};
use crate::kernels::{exp, ln_1p};

/// The loss of one element.
pub(super) trait ElementwiseLoss: Copy + Send + Sync + 'static {
    /// The name of the system.
    const NAME: &'static str;

    /// Whether an output says yes or no to its target, 1 or 0.
    const BINARY: bool = false;

    fn cost(self, output: f32, target: f32) -> f32;

    /// The derivative of the cost by the output.
    fn slope(self, output: f32, target: f32) -> f32;
}

/// `ln(1 + exp(z)) - y z`, written so that nothing overflows.
#[derive(Clone, Copy)]
pub(super) struct BinaryCrossEntropy;

impl ElementwiseLoss for BinaryCrossEntropy {
    const NAME: &'static str = "binary_cross_entropy";
    const BINARY: bool = true;

    #[inline(always)]
    fn cost(self, output: f32, target: f32) -> f32 {
        output.max(0.0) - output * target + ln_1p(exp(-output.abs()))
    }

    /// `sigmoid(z) - y`.
    #[inline(always)]
    fn slope(self, output: f32, target: f32) -> f32 {
        let small = exp(-output.abs());
        let sigmoid = if output >= 0.0 { 1.0 } else { small } / (1.0 + small);
        sigmoid - target
    }
}

/// `(z - y)^2`.
#[derive(Clone, Copy)]
pub(super) struct MeanSquaredError;

impl ElementwiseLoss for MeanSquaredError {
    const NAME: &'static str = "mean_squared_error";

    #[inline(always)]
    fn cost(self, output: f32, target: f32) -> f32 {
        (output - target) * (output - target)
    }

    #[inline(always)]
    fn slope(self, output: f32, target: f32) -> f32 {
        2.0 * (output - target)
    }
}

/// `|z - y|`.
#[derive(Clone, Copy)]
pub(super) struct MeanAbsoluteError;

impl ElementwiseLoss for MeanAbsoluteError {
    const NAME: &'static str = "mean_absolute_error";

    #[inline(always)]
    fn cost(self, output: f32, target: f32) -> f32 {
        (output - target).abs()
    }

    /// The sign of the difference; NaN if that is no number.
    #[inline(always)]
    fn slope(self, output: f32, target: f32) -> f32 {
        let difference = output - target;
        if difference == 0.0 { 0.0 } else { difference.signum() }
    }
}

/// A parabola up to `delta` on either side, and straight from there on.
#[derive(Clone, Copy)]
pub(super) struct Huber {
    pub(super) delta: f32,
}

impl ElementwiseLoss for Huber {
    const NAME: &'static str = "huber";

    #[inline(always)]
    fn cost(self, output: f32, target: f32) -> f32 {
        let distance = (output - target).abs();
        if distance > self.delta { self.delta * (distance - 0.5 * self.delta) } else { 0.5 * distance * distance }
    }

    #[inline(always)]
    fn slope(self, output: f32, target: f32) -> f32 {
        (output - target).clamp(-self.delta, self.delta)
    }
}

/// The sum of the losses of a row's elements.
#[derive(Clone, Copy)]
pub(super) struct Elementwise<L>(pub(super) L);

impl<L: ElementwiseLoss> RowLoss for Elementwise<L> {
    type Target = f32;

    const NAME: &'static str = L::NAME;

    fn terms(width: usize) -> usize {
        width
    }

    #[inline(always)]
    fn class(self, _: &[f32]) -> Option<u32> {
        None
    }

    #[inline(always)]
    fn measure(self, output: &[f32], target: &[f32]) -> SplitMetrics {
        match output.len() {
            // Few numbers are computed sooner than they are filled up.
            ..4 => self.in_lanes::<1>(output, target, |_, _| {}),
            _ => self.in_lanes::<LANES>(output, target, |_, _| {}),
        }
    }

    #[inline(always)]
    fn differentiate(self, output: &[f32], target: &[f32], scale: f32, gradient: &mut [f32]) -> SplitMetrics {
        match output.len() {
            ..4 => self.in_lanes::<1>(
                output,
                target,
                #[inline(always)]
                |start, slopes| put_lanes(gradient, start, slopes.map(|slope| scale * slope)),
            ),
            _ => self.in_lanes::<LANES>(
                output,
                target,
                #[inline(always)]
                |start, slopes| put_lanes(gradient, start, slopes.map(|slope| scale * slope)),
            ),
        }
    }

    #[inline(always)]
    fn count(self, output: &[f32], target: &[f32], counts: &mut Vec<ClassCounts>) {
        if !L::BINARY {
            return;
        }
        counts.resize(output.len(), ClassCounts::default());
        for ((output, target), counts) in output.iter().zip(target).zip(counts) {
            let (predicted, actual) = (*output > 0.0, is_one(*target));
            counts.predicted += u64::from(predicted);
            counts.actual += u64::from(actual);
            counts.correct += u64::from(predicted && actual);
        }
    }

    #[inline(always)]
    fn rank(self, output: &[f32], target: &[f32]) -> Option<(f32, bool)> {
        match (output, target) {
            ([output], [target]) if L::BINARY => Some((*output, is_one(*target))),
            _ => None,
        }
    }
}

impl<L: ElementwiseLoss> Elementwise<L> {
    /// Goes through a row so many numbers at a time; the slopes are handed on.
    #[inline(always)]
    fn in_lanes<const LANES: usize>(
        self,
        output: &[f32],
        target: &[f32],
        mut hand_on: impl FnMut(usize, [f32; LANES]),
    ) -> SplitMetrics {
        let (Self(loss), length) = (self, output.len());
        let (mut costs, mut scores) = ([0.0; LANES], [0.0; LANES]);
        let (mut squares, mut sums, mut target_squares) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for start in (0..length).step_by(LANES) {
            let (outputs, targets) = (lanes::<LANES>(output, start, 0.0), lanes::<LANES>(target, start, 0.0));
            let mut slopes = [0.0; LANES];
            for lane in 0..LANES {
                let (output, target) = (outputs[lane], targets[lane]);
                // What was filled up counts nothing.
                let share = if start + lane < length { 1.0 } else { 0.0 };
                costs[lane] += share * loss.cost(output, target);
                scores[lane] += share * self.score(output, target);
                slopes[lane] = loss.slope(output, target);
                if !L::BINARY {
                    squares[lane] += share * (output - target) * (output - target);
                    sums[lane] += share * target;
                    target_squares[lane] += share * target * target;
                }
            }
            hand_on(start, slopes);
        }
        let (count, loss_sum) = (length as u64, sum(costs));
        let metrics = SplitMetrics { count, weight: count as f64, loss_sum, ..SplitMetrics::default() };
        if L::BINARY {
            SplitMetrics { classified: count, correct: sum(scores) as u64, ..metrics }
        } else {
            let (absolute_error_sum, squared_error_sum) = (sum(scores), sum(squares));
            let (target_sum, squared_target_sum) = (sum(sums), sum(target_squares));
            SplitMetrics { absolute_error_sum, squared_error_sum, target_sum, squared_target_sum, ..metrics }
        }
    }

    /// 1 where the output is right and 0 where it is wrong; its distance where there is no right and wrong.
    #[inline(always)]
    fn score(self, output: f32, target: f32) -> f32 {
        if !L::BINARY {
            return (output - target).abs();
        }
        let is_right = if is_one(target) { output > 0.0 } else { output <= 0.0 };
        if is_right { 1.0 } else { 0.0 }
    }
}

#[inline(always)]
fn sum<const LANES: usize>(lanes: [f32; LANES]) -> f64 {
    let mut sum = 0.0;
    for lane in lanes {
        sum += f64::from(lane);
    }
    sum
}

#[inline(always)]
fn is_one(target: f32) -> bool {
    target > 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_stay_finite_and_what_is_no_number_stays_none() {
        for (output, target, cost, slope) in [(1e30, 1.0, 0.0, 0.0), (-1e30, 1.0, 1e30, -1.0), (200.0, 0.0, 200.0, 1.0)]
        {
            let loss = BinaryCrossEntropy;
            assert_eq!((loss.cost(output, target), loss.slope(output, target)), (cost, slope), "{output}");
        }
        assert_eq!((MeanAbsoluteError.slope(2.0, 2.0), MeanAbsoluteError.slope(1.0, 2.0)), (0.0, -1.0));
        let huber = Huber { delta: 0.5 };
        assert_eq!((huber.cost(3.0, 1.0), huber.slope(3.0, 1.0)), (0.875, 0.5));
        assert!(MeanAbsoluteError.slope(f32::NAN, 0.0).is_nan() && huber.slope(f32::NAN, 0.0).is_nan());
        assert!(huber.cost(f32::NAN, 0.0).is_nan() && BinaryCrossEntropy.cost(f32::NAN, 0.0).is_nan());
    }

    #[test]
    fn a_logit_that_is_no_number_is_right_about_nothing() {
        let metrics = Elementwise(BinaryCrossEntropy).measure(&[f32::NAN, 1.0, -1.0, 0.0], &[0.0, 1.0, 1.0, 0.0]);
        assert_eq!((metrics.correct, metrics.classified, metrics.count), (2, 4, 4));
    }
}
