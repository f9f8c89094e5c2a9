//! How well one number tells two kinds of rows apart, whatever the threshold.

use connectome_components::{Metrics, Split};

/// The scores of the rows of all splits, each with its kind. Kept between runs for its memory.
///
/// An entry is one integer whose order is that of splits, then of scores: sorting is all there is to do.
#[derive(Default)]
pub(super) struct Ranking {
    entries: Vec<u64>,
    /// Splits with a score that is no number, which has no place in the order.
    unordered: [bool; 4],
}

impl Ranking {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.unordered = [false; 4];
    }

    #[inline]
    pub(super) fn push(&mut self, split: Split, score: f32, positive: bool) {
        self.unordered[split as usize] |= score.is_nan();
        // Adding 0 makes the two zeros one.
        let bits = (score + 0.0).to_bits();
        // Floats are ordered as their bits, the negative ones the other way round and before the others.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        self.entries.push((split as u64) << 33 | u64::from(ordered) << 1 | u64::from(positive));
    }

    /// Writes the area under the ROC curve of each split.
    pub(super) fn measure(&mut self, metrics: &mut Metrics) {
        self.entries.sort_unstable();
        for entries in self.entries.chunk_by(|a, b| a >> 33 == b >> 33) {
            let split = (entries[0] >> 33) as usize;
            let area = if self.unordered[split] { Some(f64::NAN) } else { area_under_curve(entries) };
            metrics.splits[split].area_under_curve = area;
        }
    }
}

/// The share of pairs of a positive and a negative row in which the positive one has the greater score; equal scores count
/// half (Hanley & McNeil 1982). The counts are integers, so it is exact up to the last division.
fn area_under_curve(sorted: &[u64]) -> Option<f64> {
    let (mut positives, mut negatives) = (0, 0);
    let mut twice_won = 0;
    for tied in sorted.chunk_by(|a, b| a >> 1 == b >> 1) {
        let positive = tied.iter().filter(|entry| **entry & 1 == 1).count() as u128;
        let negative = tied.len() as u128 - positive;
        twice_won += positive * (2 * negatives + negative);
        positives += positive;
        negatives += negative;
    }
    let pairs = positives * negatives;
    (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Philox;

    fn area(rows: &[(f32, bool)]) -> Option<f64> {
        let (mut ranking, mut metrics) = (Ranking::default(), Metrics::default());
        rows.iter().for_each(|(score, positive)| ranking.push(Split::Test, *score, *positive));
        ranking.measure(&mut metrics);
        assert_eq!(metrics.of(Split::Train).area_under_curve, None);
        metrics.of(Split::Test).area_under_curve
    }

    /// All pairs, one by one.
    fn by_pairs(rows: &[(f32, bool)]) -> Option<f64> {
        let of = |kind| rows.iter().filter(move |(_, positive)| *positive == kind).map(|(score, _)| *score);
        let (mut won, mut pairs) = (0.0, 0.0);
        for (positive, negative) in of(true).flat_map(|positive| of(false).map(move |negative| (positive, negative))) {
            pairs += 1.0;
            won += if positive > negative {
                1.0
            } else if positive == negative {
                0.5
            } else {
                0.0
            };
        }
        (pairs > 0.0).then_some(won / pairs)
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_order_with_ties_half() {
        for (seed, levels) in [(0, 3.0), (1, 10.0), (2, 1e6)] {
            let mut numbers = [0.0; 300];
            Philox::new(seed, 0, 0).fill_uniform(&mut numbers);
            let (scores, kinds) = numbers.split_at(150);
            let score = |number: &f32| (number * levels).floor() / levels - 0.5;
            let rows: Vec<_> = scores.iter().map(score).zip(kinds.iter().map(|kind| *kind > 0.6)).collect();
            assert_eq!(area(&rows), by_pairs(&rows), "{levels} levels");
        }
    }

    #[test]
    fn extremes_and_one_kind_alone() {
        assert_eq!(area(&[]), None);
        assert_eq!(area(&[(1.0, true), (2.0, true)]), None);
        assert_eq!(area(&[(0.0, true), (-0.0, false)]), Some(0.5));
        let infinite = [(f32::NEG_INFINITY, false), (f32::MIN, false), (f32::MAX, true), (f32::INFINITY, true)];
        assert_eq!(area(&infinite), Some(1.0));
        assert_eq!(area(&infinite.map(|(score, positive)| (-score, positive))), Some(0.0));
        assert!(area(&[(f32::NAN, true), (1.0, false)]).is_some_and(f64::is_nan));
    }
}
