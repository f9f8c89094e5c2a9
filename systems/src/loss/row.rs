//! What a loss is: the cost of one row, and how it changes with each of the row's numbers.

use connectome_components::SplitMetrics;

/// The cost of one row.
pub(super) trait RowLoss: Copy + Send + Sync + 'static {
    /// What the row is compared with.
    type Target: Send + Sync + 'static;

    /// The name of the system.
    const NAME: &'static str;

    /// How many terms of the mean come from a row of this width.
    fn terms(width: usize) -> usize;

    /// The sums over the terms of one row.
    fn measure(self, output: &[f32], target: &[Self::Target]) -> SplitMetrics;

    /// As [`RowLoss::measure`]; and `gradient = scale * d loss / d output`.
    fn differentiate(self, output: &[f32], target: &[Self::Target], scale: f32, gradient: &mut [f32]) -> SplitMetrics;

    /// The output by which rows are ranked, and whether the row is one of those that should come last; none if there is no
    /// such order.
    fn rank(self, output: &[f32], target: &[Self::Target]) -> Option<(f32, bool)>;
}

/// Folds every 16th number into a lane of its own, then the lanes in their order: that many can be folded at once, and
/// always alike.
#[inline(always)]
pub(super) fn fold_in_lanes(
    numbers: &[f32],
    initial: f32,
    fold: impl Fn(f32, f32) -> f32,
    merge: impl Fn(f32, f32) -> f32,
) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [initial; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = fold(*lane, *number);
        }
    }
    for (lane, number) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *number);
    }
    let mut total = initial;
    for lane in lanes {
        total = merge(total, lane);
    }
    total
}

/// `sum of term(output, target)` over the numbers of a row: in 16 lanes if there are so many, else one after the other.
#[inline(always)]
pub(super) fn sum_in_lanes(outputs: &[f32], targets: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = outputs.as_chunks::<LANES>();
    let (target_chunks, target_rest) = targets.as_chunks::<LANES>();
    for (outputs, targets) in chunks.iter().zip(target_chunks) {
        for (lane, (output, target)) in lanes.iter_mut().zip(outputs.iter().zip(targets)) {
            *lane += term(*output, *target);
        }
    }
    let mut total = 0.0;
    if !chunks.is_empty() {
        lanes.iter().for_each(|lane| total += f64::from(*lane));
    }
    rest.iter().zip(target_rest).for_each(|(output, target)| total += f64::from(term(*output, *target)));
    total
}
