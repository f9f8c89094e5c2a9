//! The interface of losses: the loss of one row and its gradient.

use connectome_components::{ClassCounts, SplitMetrics};

/// The loss of one row.
pub(super) trait RowLoss: Copy + Send + Sync + 'static {
    /// An element of the target of a row.
    type Target: Send + Sync + 'static;

    /// The name of the system.
    const NAME: &'static str;

    /// Number of terms of the mean for a row of this width.
    fn terms(self, target: &[Self::Target], width: usize) -> usize;

    /// The class of a row, if it has one.
    fn class(self, target: &[Self::Target]) -> Option<u32>;

    /// The sums over the terms of one row.
    fn measure(self, output: &[f32], target: &[Self::Target]) -> SplitMetrics;

    /// As [`RowLoss::measure`]; also writes `gradient = scale * d loss / d output`.
    fn differentiate(self, output: &[f32], target: &[Self::Target], scale: f32, gradient: &mut [f32]) -> SplitMetrics;

    /// Does [`RowLoss::differentiate`] for some rows, and adds their metrics to `sums`.
    #[inline(always)]
    fn differentiate_rows(
        self,
        outputs: &[f32],
        targets: &[Self::Target],
        width: usize,
        scale: f32,
        gradients: &mut [f32],
        sums: &mut SplitMetrics,
    ) {
        let count = outputs.len() / width;
        let targets = targets.chunks_exact((targets.len() / count.max(1)).max(1));
        let rows = outputs.chunks_exact(width).zip(targets).zip(gradients.chunks_exact_mut(width));
        for ((output, target), gradient) in rows {
            sums.merge(&self.differentiate(output, target, scale, gradient));
        }
    }

    /// The predicted class, if the loss is for classes.
    fn predicted(self, output: &[f32]) -> Option<u32> {
        let _ = output;
        None
    }

    /// Adds the counts of each label of a row, if each output dimension is a label.
    fn count(self, output: &[f32], target: &[Self::Target], counts: &mut Vec<ClassCounts>) {
        let _ = (output, target, counts);
    }

    /// The score of a row in a binary ranking, and whether the row is positive; none for other losses.
    fn rank(self, output: &[f32], target: &[Self::Target]) -> Option<(f32, bool)>;
}

/// Number of elements that are computed together, those of the widest vectors.
pub(super) const LANES: usize = 16;

/// Loads the elements of a row from `start` on, padded at its end.
#[inline(always)]
pub(super) fn load_lanes<const LANES: usize>(row: &[f32], start: usize, padding: f32) -> [f32; LANES] {
    let rest = row.get(start..).unwrap_or(&[]);
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut padded = [padding; LANES];
            padded.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            padded
        }
    }
}

/// Stores what [`load_lanes`] loads, without padding.
#[inline(always)]
pub(super) fn store_lanes<const LANES: usize>(row: &mut [f32], start: usize, values: [f32; LANES]) {
    let rest = row.get_mut(start..).unwrap_or(&mut []);
    match rest.first_chunk_mut() {
        Some(whole) => *whole = values,
        None => rest.iter_mut().zip(values).for_each(|(to, from)| *to = from),
    }
}
