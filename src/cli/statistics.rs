//! Mean and deviation of several runs.

use connectome::output::Summary;
use serde::Serialize;
use std::fmt;

/// Mean and standard deviation of a metric over several runs.
///
/// Its JSON form is one line, the last one of a command that trains more than once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// What was measured.
    #[serde(skip)]
    name: &'static str,
    /// Whether it is a fraction, shown in percent, and not an error.
    #[serde(skip)]
    is_share: bool,
    /// Number of runs.
    pub runs: usize,
    /// The epoch that is the best on average, in cross-validation: every fold is evaluated there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Mean over the runs: a fraction between 0 and 1, or a mean absolute error.
    pub mean: f64,
    /// Standard deviation over the runs; 0 for a single one.
    pub deviation: f64,
}

impl Statistics {
    fn new(name: &'static str, epoch: Option<u64>, values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        Self { name, is_share: true, runs: values.len(), epoch, mean, deviation }
    }

    /// The statistics of the test rows of each run.
    pub fn of_test(summaries: &[Summary]) -> Self {
        if summaries.iter().any(|summary| summary.train_mean_absolute_error.is_some()) {
            let error = |summary: &Summary| summary.test_mean_absolute_error.map_or(f64::NAN, f64::from);
            let errors: Vec<f64> = summaries.iter().map(error).collect();
            return Self { is_share: false, ..Self::new("test mean absolute error", None, &errors) };
        }
        let areas: Option<Vec<f64>> = summaries.iter().map(|summary| summary.test_area_under_curve).collect();
        match areas {
            Some(areas) => Self::new("test area under the ROC curve", None, &areas),
            None => {
                let accuracies: Vec<f64> = summaries.iter().map(|summary| f64::from(summary.test_accuracy)).collect();
                Self::new("test accuracy", None, &accuracies)
            }
        }
    }

    /// The statistics of the accuracy on the held-out fold of each run, in the epoch with the best mean; as in
    /// K. Xu et al., *How Powerful are Graph Neural Networks?*, ICLR 2019. Each run is given by its accuracies in each
    /// epoch; none if the runs have no common epoch.
    pub fn of_folds(runs: &[Vec<f32>]) -> Option<Self> {
        let epochs = runs.iter().map(Vec::len).min()?;
        let sum = |epoch: usize| runs.iter().map(|run| f64::from(run[epoch])).sum::<f64>();
        // The first of the best.
        let best = (0..epochs).fold(None, |best: Option<usize>, epoch| match best {
            Some(best) if sum(best) >= sum(epoch) => Some(best),
            _ => Some(epoch),
        })?;
        let values: Vec<f64> = runs.iter().map(|run| f64::from(run[best])).collect();
        Some(Self::new("accuracy on the fold held out", Some(best as u64 + 1), &values))
    }

    /// One line of JSON.
    pub fn to_json(self) -> String {
        serde_json::to_string(&self).unwrap_or_default()
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mean, deviation, runs, .. } = self;
        match self.is_share {
            true => write!(formatter, "{name} {:.2} % +- {:.2}", 100.0 * mean, 100.0 * deviation)?,
            false => write!(formatter, "{name} {mean:.4} +- {deviation:.4}")?,
        }
        write!(formatter, " over {runs} runs")?;
        match self.epoch {
            Some(epoch) => write!(formatter, " in epoch {epoch}, the best on average"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_that_is_best_on_average_is_the_same_for_all_folds() {
        let runs = [vec![0.5, 0.9, 0.7], vec![0.9, 0.6, 0.8]];
        let statistics = Statistics::of_folds(&runs).unwrap();
        assert_eq!((statistics.epoch, statistics.runs), (Some(2), 2));
        assert!(
            (statistics.mean - 0.75).abs() < 1e-6 && (statistics.deviation - 0.045f64.sqrt()).abs() < 1e-6,
            "{statistics:?}"
        );
        assert_eq!(Statistics::of_folds(&[vec![0.1, 0.2], Vec::new()]), None);
        assert_eq!(Statistics::of_folds(&[]), None);
    }
}
