//! Metrics of a binary classifier that do not depend on a threshold: ROC AUC and average precision.

use serde::{Deserialize, Serialize};

use crate::Split;

/// The scores of the rows of all splits, each positive or negative; those of several batches can be merged.
///
/// An entry is one integer that sorts by split, then by score.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
pub struct Ranking {
    entries: Vec<u64>,
    /// Splits with a score that is NaN, which has no order.
    unordered: [bool; 4],
    is_sorted: bool,
}

impl Clone for Ranking {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), unordered: self.unordered, is_sorted: self.is_sorted }
    }

    fn clone_from(&mut self, source: &Self) {
        let Self { entries, unordered, is_sorted } = source;
        self.entries.clone_from(entries);
        (self.unordered, self.is_sorted) = (*unordered, *is_sorted);
    }
}

impl Ranking {
    /// Removes all rows and keeps their memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.unordered = [false; 4];
        self.is_sorted = false;
    }

    /// Removes the rows of one split.
    pub fn forget(&mut self, split: Split) {
        self.entries.retain(|entry| entry >> 33 != split as u64);
        self.unordered[split as usize] = false;
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, split: Split, score: f32, positive: bool) {
        self.unordered[split as usize] |= score.is_nan();
        // Adding 0 turns -0 into 0.
        let bits = (score + 0.0).to_bits();
        // Floats are ordered as their bits, negative ones in reverse and before the others.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        self.entries.push((split as u64) << 33 | u64::from(ordered) << 1 | u64::from(positive));
        self.is_sorted = false;
    }

    /// Adds the rows of another batch.
    pub fn merge(&mut self, other: &Self) {
        self.entries.extend_from_slice(&other.entries);
        self.unordered.iter_mut().zip(other.unordered).for_each(|(unordered, other)| *unordered |= other);
        self.is_sorted = self.entries.is_empty();
    }

    /// Sorts the rows, so that the metrics need not sort a copy each.
    pub fn sort(&mut self) {
        self.entries.sort_unstable();
        self.is_sorted = true;
    }

    /// The area under the ROC curve; none without a pair of a positive and a negative row, NaN if a score is NaN.
    pub fn area_under_curve(&self, split: Split) -> Option<f64> {
        self.measure(split, area_under_curve)
    }

    /// The average precision `sum of (R_n - R_{n-1}) P_n` over the distinct scores in descending order, with precision
    /// `P_n` and recall `R_n` at each. None without a positive row, NaN if a score is NaN.
    pub fn average_precision(&self, split: Split) -> Option<f64> {
        self.measure(split, average_precision)
    }

    fn measure(&self, split: Split, measure: impl Fn(&[u64]) -> Option<f64>) -> Option<f64> {
        if self.unordered[split as usize] {
            return Some(f64::NAN);
        }
        let is_before = |entry: &u64| entry >> 33 < split as u64;
        let is_of = |entry: &u64| entry >> 33 == split as u64;
        if self.is_sorted {
            let start = self.entries.partition_point(is_before);
            let rows = &self.entries[start..];
            return measure(&rows[..rows.partition_point(is_of)]);
        }
        let mut rows: Vec<u64> = self.entries.iter().copied().filter(is_of).collect();
        rows.sort_unstable();
        measure(&rows)
    }
}

/// The fraction of pairs of a positive and a negative row in which the positive one has the greater score; ties count
/// half (Hanley & McNeil 1982). The counts are integers, so it is exact up to the final division.
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

/// See [`Ranking::average_precision`].
fn average_precision(sorted: &[u64]) -> Option<f64> {
    let positives = sorted.iter().filter(|entry| **entry & 1 == 1).count();
    let (mut found, mut seen, mut sum) = (0, 0, 0.0);
    for tied in sorted.chunk_by(|a, b| a >> 1 == b >> 1).rev() {
        let positive = tied.iter().filter(|entry| **entry & 1 == 1).count();
        found += positive;
        seen += tied.len();
        sum += positive as f64 * found as f64 / seen as f64;
    }
    (positives > 0).then(|| sum / positives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The area under the curve, asserted to be the same for one batch and for two merged ones.
    fn area(rows: &[(f32, bool)]) -> Option<f64> {
        let ranking = |rows: &[(f32, bool)]| {
            let mut ranking = Ranking::default();
            rows.iter().for_each(|(score, positive)| ranking.push(Split::Test, *score, *positive));
            ranking
        };
        let mut whole = ranking(rows);
        let (one, other) = rows.split_at(rows.len() / 3);
        let mut merged = ranking(one);
        merged.sort();
        merged.merge(&ranking(other));
        let area = whole.area_under_curve(Split::Test);
        let same = |one: Option<f64>, other: Option<f64>| one.map(f64::to_bits) == other.map(f64::to_bits);
        assert!(same(area, merged.area_under_curve(Split::Test)), "merged batches");
        let precision = whole.average_precision(Split::Test);
        whole.sort();
        assert!(same(area, whole.area_under_curve(Split::Test)));
        assert!(same(precision, whole.average_precision(Split::Test)));
        assert_eq!(whole.area_under_curve(Split::Train), None);
        area
    }

    /// Pseudorandom scores in `[0, 1)`.
    fn scores(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).map(next).collect()
    }

    /// The area under the curve by comparing all pairs.
    fn by_pairs(rows: &[(f32, bool)]) -> Option<f64> {
        let of = |class| rows.iter().filter(move |(_, positive)| *positive == class).map(|(score, _)| *score);
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
    fn the_area_is_the_fraction_of_ordered_pairs_with_ties_half() {
        for (seed, levels) in [(0, 3.0), (1, 10.0), (2, 1e6)] {
            let random = scores(seed, 300);
            let (scores, classes) = random.split_at(150);
            let score = |score: &f32| (score * levels).floor() / levels - 0.5;
            let rows: Vec<_> = scores.iter().map(score).zip(classes.iter().map(|class| *class > 0.6)).collect();
            assert_eq!(area(&rows), by_pairs(&rows), "{levels} levels");
        }
    }

    #[test]
    fn extreme_scores_and_a_single_class() {
        assert_eq!(area(&[]), None);
        assert_eq!(area(&[(1.0, true), (2.0, true)]), None);
        assert_eq!(area(&[(0.0, true), (-0.0, false)]), Some(0.5));
        let infinite = [(f32::NEG_INFINITY, false), (f32::MIN, false), (f32::MAX, true), (f32::INFINITY, true)];
        assert_eq!(area(&infinite), Some(1.0));
        assert_eq!(area(&infinite.map(|(score, positive)| (-score, positive))), Some(0.0));
        assert!(area(&[(f32::NAN, true), (1.0, false)]).is_some_and(f64::is_nan));
    }

    #[test]
    fn average_precision_of_worked_examples() {
        let precision = |rows: &[(f32, bool)]| {
            let mut ranking = Ranking::default();
            rows.iter().for_each(|(score, positive)| ranking.push(Split::Test, *score, *positive));
            ranking.average_precision(Split::Test)
        };
        // The example of scikit-learn's `average_precision_score`.
        assert_eq!(precision(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), Some(0.5 + 0.5 * 2.0 / 3.0));
        // Three tied rows, two of them positive, then a negative one.
        assert_eq!(precision(&[(0.5, true), (0.5, false), (0.5, true), (0.1, false)]), Some(2.0 / 3.0));
        assert_eq!(precision(&[(0.5, false)]), None);
    }
}
