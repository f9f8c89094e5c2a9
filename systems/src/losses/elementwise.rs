//! Elementwise losses: each element of a row has a target.

use connectome_components::{ClassCounts, SplitMetrics};

use super::row::{LANES, RowLoss, load_lanes, store_lanes};
use crate::kernels::{exp, ln_1p};

/// The loss of one element.
pub(super) trait ElementwiseLoss: Copy + Send + Sync + 'static {
    /// The name of the system.
    const NAME: &'static str;

    /// Whether the loss is for classification, with targets of 0 or 1.
    const BINARY: bool = false;

    fn cost(self, output: f32, target: f32) -> f32;

    /// The derivative of the cost with respect to the output.
    fn derivative(self, output: f32, target: f32) -> f32;
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
    fn derivative(self, output: f32, target: f32) -> f32 {
        let exponential = exp(-output.abs());
        let sigmoid = if output >= 0.0 { 1.0 } else { exponential } / (1.0 + exponential);
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
    fn derivative(self, output: f32, target: f32) -> f32 {
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

    /// The sign of the difference; NaN if that is NaN.
    #[inline(always)]
    fn derivative(self, output: f32, target: f32) -> f32 {
        let difference = output - target;
        if difference == 0.0 { 0.0 } else { difference.signum() }
    }
}

/// Quadratic up to a difference of `delta`, and linear beyond.
#[derive(Clone, Copy)]
pub(super) struct Huber {
    pub(super) delta: f32,
}

impl ElementwiseLoss for Huber {
    const NAME: &'static str = "huber";

    #[inline(always)]
    fn cost(self, output: f32, target: f32) -> f32 {
        let error = (output - target).abs();
        if error > self.delta { self.delta * (error - 0.5 * self.delta) } else { 0.5 * error * error }
    }

    #[inline(always)]
    fn derivative(self, output: f32, target: f32) -> f32 {
        (output - target).clamp(-self.delta, self.delta)
    }
}

/// The sum of the losses of a row's elements.
#[derive(Clone, Copy)]
pub(super) struct Elementwise<L>(pub(super) L);

impl<L: ElementwiseLoss> RowLoss for Elementwise<L> {
    type Target = f32;

    const NAME: &'static str = L::NAME;

    #[inline(always)]
    fn terms(self, _: &[f32], width: usize) -> usize {
        width
    }

    #[inline(always)]
    fn class(self, _: &[f32]) -> Option<u32> {
        None
    }

    #[inline(always)]
    fn measure(self, output: &[f32], target: &[f32]) -> SplitMetrics {
        match output.len() {
            // For few elements padding takes longer than computing them one by one.
            ..4 => self.evaluate::<1>(output, target, |_, _| {}),
            _ => self.evaluate::<LANES>(output, target, |_, _| {}),
        }
    }

    #[inline(always)]
    fn differentiate(self, output: &[f32], target: &[f32], scale: f32, gradient: &mut [f32]) -> SplitMetrics {
        match output.len() {
            ..4 => self.evaluate::<1>(
                output,
                target,
                #[inline(always)]
                |start, derivatives| store_lanes(gradient, start, derivatives.map(|derivative| scale * derivative)),
            ),
            _ => self.evaluate::<LANES>(
                output,
                target,
                #[inline(always)]
                |start, derivatives| store_lanes(gradient, start, derivatives.map(|derivative| scale * derivative)),
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
    /// Evaluates the loss of a row, `LANES` elements at a time; passes the derivatives to `visit`.
    #[inline(always)]
    fn evaluate<const LANES: usize>(
        self,
        output: &[f32],
        target: &[f32],
        mut visit: impl FnMut(usize, [f32; LANES]),
    ) -> SplitMetrics {
        let (Self(loss), length) = (self, output.len());
        let (mut costs, mut scores) = ([0.0; LANES], [0.0; LANES]);
        let (mut squares, mut sums, mut target_squares) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for start in (0..length).step_by(LANES) {
            let (outputs, targets) = (load_lanes::<LANES>(output, start, 0.0), load_lanes::<LANES>(target, start, 0.0));
            let mut derivatives = [0.0; LANES];
            for lane in 0..LANES {
                let (output, target) = (outputs[lane], targets[lane]);
                // Padding counts nothing.
                let weight = if start + lane < length { 1.0 } else { 0.0 };
                costs[lane] += weight * loss.cost(output, target);
                scores[lane] += weight * self.score(output, target);
                derivatives[lane] = loss.derivative(output, target);
                if !L::BINARY {
                    squares[lane] += weight * (output - target) * (output - target);
                    sums[lane] += weight * target;
                    target_squares[lane] += weight * target * target;
                }
            }
            visit(start, derivatives);
        }
        let (count, loss_sum) = (length as u64, sum(costs));
        let metrics = SplitMetrics { count, weight: count as f64, loss_sum, ..SplitMetrics::default() };
        if L::BINARY {
            SplitMetrics { classified: count, correct: sum(scores) as u64, ..metrics }
        } else {
            let (absolute_error_sum, squared_error_sum) = (sum(scores), sum(squares));
            let (target_sum, squared_target_sum) = (sum(sums), sum(target_squares));
            let regressed = count;
            SplitMetrics { regressed, absolute_error_sum, squared_error_sum, target_sum, squared_target_sum, ..metrics }
        }
    }

    /// In classification 1 for a correct output and 0 for a wrong one; in regression the absolute error.
    #[inline(always)]
    fn score(self, output: f32, target: f32) -> f32 {
        if !L::BINARY {
            return (output - target).abs();
        }
        let is_correct = if is_one(target) { output > 0.0 } else { output <= 0.0 };
        if is_correct { 1.0 } else { 0.0 }
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
    fn large_outputs_stay_finite_and_nan_stays_nan() {
        for (output, target, cost, slope) in [(1e30, 1.0, 0.0, 0.0), (-1e30, 1.0, 1e30, -1.0), (200.0, 0.0, 200.0, 1.0)]
        {
            let loss = BinaryCrossEntropy;
            assert_eq!((loss.cost(output, target), loss.derivative(output, target)), (cost, slope), "{output}");
        }
        assert_eq!((MeanAbsoluteError.derivative(2.0, 2.0), MeanAbsoluteError.derivative(1.0, 2.0)), (0.0, -1.0));
        let huber = Huber { delta: 0.5 };
        assert_eq!((huber.cost(3.0, 1.0), huber.derivative(3.0, 1.0)), (0.875, 0.5));
        assert!(MeanAbsoluteError.derivative(f32::NAN, 0.0).is_nan() && huber.derivative(f32::NAN, 0.0).is_nan());
        assert!(huber.cost(f32::NAN, 0.0).is_nan() && BinaryCrossEntropy.cost(f32::NAN, 0.0).is_nan());
    }

    #[test]
    fn a_nan_logit_is_never_correct() {
        let metrics = Elementwise(BinaryCrossEntropy).measure(&[f32::NAN, 1.0, -1.0, 0.0], &[0.0, 1.0, 1.0, 0.0]);
        assert_eq!((metrics.correct, metrics.classified, metrics.count), (2, 4, 4));
    }
}
