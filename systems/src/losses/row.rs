//! What a loss is: the cost of one row, and how it changes with each of the row's numbers.

use connectome_components::{ClassCounts, SplitMetrics};

/// The cost of one row.
pub(super) trait RowLoss: Copy + Send + Sync + 'static {
    /// What the row is compared with.
    type Target: Send + Sync + 'static;

    /// The name of the system.
    const NAME: &'static str;

    /// How many terms of the mean come from a row of this width.
    fn terms(width: usize) -> usize;

    /// The class of a row, if it has one.
    fn class(self, target: &[Self::Target]) -> Option<u32>;

    /// The sums over the terms of one row.
    fn measure(self, output: &[f32], target: &[Self::Target]) -> SplitMetrics;

    /// As [`RowLoss::measure`]; and `gradient = scale * d loss / d output`.
    fn differentiate(self, output: &[f32], target: &[Self::Target], scale: f32, gradient: &mut [f32]) -> SplitMetrics;

    /// The class that a row is told to have, if it has one.
    fn predicted(self, output: &[f32]) -> Option<u32> {
        let _ = output;
        None
    }

    /// Counts the labels of a row of which each column is one.
    fn count(self, output: &[f32], target: &[Self::Target], counts: &mut Vec<ClassCounts>) {
        let _ = (output, target, counts);
    }

    /// The output by which rows are ranked, and whether the row is one of those that should come last; none if there is no
    /// such order.
    fn rank(self, output: &[f32], target: &[Self::Target]) -> Option<(f32, bool)>;
}

/// Numbers that are computed side by side, in one vector register of the widest kind.
pub(super) const LANES: usize = 16;

/// So many numbers of a row from `start` on, filled up where there are fewer: so few numbers, too, become a vector.
#[inline(always)]
pub(super) fn lanes<const LANES: usize>(row: &[f32], start: usize, filler: f32) -> [f32; LANES] {
    let rest = row.get(start..).unwrap_or(&[]);
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut filled = [filler; LANES];
            filled.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            filled
        }
    }
}

/// Puts numbers where [`lanes`] took them from.
#[inline(always)]
pub(super) fn put_lanes<const LANES: usize>(row: &mut [f32], start: usize, numbers: [f32; LANES]) {
    let rest = row.get_mut(start..).unwrap_or(&mut []);
    match rest.first_chunk_mut() {
        Some(whole) => *whole = numbers,
        None => rest.iter_mut().zip(numbers).for_each(|(to, from)| *to = from),
    }
}
