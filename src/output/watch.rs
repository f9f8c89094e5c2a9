//! Which epoch is kept, and when training stops early.

use super::EpochReport;
use crate::scene::{Monitor, Selection};

/// What of the validation of a run is watched.
#[derive(Clone, Copy, Debug)]
pub struct ValidationCriteria<'a> {
    /// Which epoch is kept.
    pub keep: Selection,
    /// What has to get better for training to go on.
    pub monitor: Monitor,
    /// The name of a metric, the greater the better, if there is one beside the loss.
    pub score: Option<&'a str>,
}

/// Watches the validation of a run, epoch by epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationWatch {
    /// The [rank](EpochReport::rank) of the epoch to keep.
    pub(crate) kept: Option<[f64; 2]>,
    /// The greatest score and the greatest negative loss so far, be they of different epochs.
    pub(crate) best: [f64; 2],
    pub(crate) waited: u64,
}

/// A watch that has seen no epoch.
impl Default for ValidationWatch {
    fn default() -> Self {
        Self { kept: None, best: [f64::NEG_INFINITY; 2], waited: 0 }
    }
}

impl ValidationWatch {
    /// Looks at the next epoch; returns whether it is to be kept instead of the one before.
    ///
    /// Without validation rows that is each epoch.
    pub fn observe(&mut self, report: &EpochReport, criteria: ValidationCriteria<'_>) -> bool {
        let rank = report.rank(criteria.score);
        let [score, loss] = rank.unwrap_or([f64::NEG_INFINITY; 2]);
        let [best_score, best_loss] = self.best;
        let has_score = score > f64::NEG_INFINITY;
        let improves = match criteria.monitor {
            Monitor::Score if criteria.score.is_some() => score > best_score,
            Monitor::Loss | Monitor::Score => loss > best_loss,
            Monitor::LossOrScore => rank.is_some() && (loss >= best_loss || has_score && score >= best_score),
        };
        self.waited = if improves { 0 } else { self.waited + 1 };
        let is_kept = match criteria.keep {
            Selection::Last => true,
            Selection::BestValidation => rank >= self.kept,
            Selection::BestLoss => rank.map(|[_, loss]| loss) >= self.kept.map(|[_, loss]| loss),
            Selection::BestLossAndScore => {
                self.kept.is_none() || rank.is_some() && loss >= best_loss && score >= best_score
            }
        };
        if is_kept {
            self.kept = rank;
        }
        self.best = [best_score.max(score), best_loss.max(loss)];
        is_kept
    }

    /// Epochs since the last that was an improvement.
    pub fn waited(&self) -> u64 {
        self.waited
    }
}

/// The number of the epoch that is kept; `None` if nothing was validated, or the last epoch is kept whatever it is.
#[must_use]
pub fn best_epoch(reports: &[EpochReport], keep: Selection, score: Option<&str>) -> Option<u64> {
    let mut watch = ValidationWatch::default();
    let criteria = ValidationCriteria { keep, monitor: Monitor::Loss, score };
    let validated = reports.iter().filter(|report| keep != Selection::Last && report.rank(score).is_some());
    validated.filter(|report| watch.observe(report, criteria)).last().map(|report| report.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::Split;

    /// Epochs with these accuracies and losses of validation.
    fn reports(values: &[(f64, f64)]) -> Vec<EpochReport> {
        let report = |(epoch, &(accuracy, loss))| EpochReport {
            epoch,
            metrics: [(Split::Validation, "accuracy", accuracy), (Split::Validation, "loss", loss)].into(),
            ..EpochReport::default()
        };
        (1..).zip(values).map(report).collect()
    }

    const RUN: [(f64, f64); 6] = [(0.5, 0.9), (0.6, 0.8), (0.7, 0.85), (0.65, 0.7), (0.7, 0.7), (0.7, 0.75)];

    #[test]
    fn the_epoch_is_chosen_by_loss_by_score_or_by_both() {
        let best = |keep| best_epoch(&reports(&RUN), keep, Some("accuracy"));
        assert_eq!(best(Selection::BestValidation), Some(5));
        assert_eq!(best(Selection::BestLoss), Some(5));
        assert_eq!(best(Selection::BestLossAndScore), Some(5));
        assert_eq!(best(Selection::Last), None);
        let best = |keep| best_epoch(&reports(&RUN[..4]), keep, Some("accuracy"));
        assert_eq!(best(Selection::BestValidation), Some(3));
        assert_eq!(best(Selection::BestLoss), Some(4));
        // Neither epoch 3 nor epoch 4 is as good in both as what was before.
        assert_eq!(best(Selection::BestLossAndScore), Some(2));
        assert_eq!(
            best_epoch(&reports(&[(f64::NAN, 0.5), (f64::NAN, 0.4)]), Selection::BestLossAndScore, None),
            Some(2)
        );
    }

    #[test]
    fn patience_watches_loss_score_or_either() {
        let waited = |monitor, score| {
            let mut watch = ValidationWatch::default();
            let criteria = ValidationCriteria { keep: Selection::Last, monitor, score };
            let wait = |report: &EpochReport| {
                watch.observe(report, criteria);
                watch.waited()
            };
            reports(&RUN).iter().map(wait).collect::<Vec<u64>>()
        };
        assert_eq!(waited(Monitor::Loss, Some("accuracy")), [0, 0, 1, 0, 1, 2]);
        assert_eq!(waited(Monitor::Score, Some("accuracy")), [0, 0, 0, 1, 2, 3]);
        assert_eq!(waited(Monitor::Score, None), [0, 0, 1, 0, 1, 2]);
        // As good as the best is enough, as for the authors of GAT.
        assert_eq!(waited(Monitor::LossOrScore, Some("accuracy")), [0; 6]);
        assert_eq!(waited(Monitor::LossOrScore, None), [0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn the_best_epoch_has_the_greatest_score_then_the_least_loss_and_is_the_last_of_equal_ones() {
        let best = |score, values: [(f64, f64); 3]| {
            let report = |(epoch, (accuracy, loss))| EpochReport {
                epoch,
                metrics: [(Split::Validation, "accuracy", accuracy), (Split::Validation, "loss", loss)].into(),
                ..EpochReport::default()
            };
            best_epoch(&(1..).zip(values).map(report).collect::<Vec<_>>(), Selection::BestValidation, score)
        };
        let nan = f64::NAN;
        assert_eq!(best(Some("accuracy"), [(0.5, 0.9), (0.6, 1.0), (0.6, 1.1)]), Some(2));
        assert_eq!(best(Some("accuracy"), [(0.5, 0.9), (0.5, 0.8), (0.5, 0.8)]), Some(3));
        assert_eq!(best(Some("accuracy"), [(nan, 0.3), (nan, 0.2), (nan, 0.4)]), Some(2));
        assert_eq!(best(Some("accuracy"), [(0.5, 0.3), (0.9, nan), (nan, 0.1)]), Some(1));
        assert_eq!(best(Some("area_under_curve"), [(0.5, 0.3), (0.6, 0.2), (0.7, 0.4)]), Some(2));
        assert_eq!(best(None, [(0.5, 0.3), (0.6, 0.2), (0.7, 0.4)]), Some(2));
        assert_eq!(best(None, [(0.5, nan); 3]), None);
    }
}
