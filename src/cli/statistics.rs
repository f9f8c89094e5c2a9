//! Mean and deviation of several runs.

use connectome::{
    components::Split,
    output::{EpochReport, Measures, MetricFormat, Summary},
};
use serde::Serialize;
use std::fmt;

/// Mean and standard deviation of a metric over several runs.
///
/// Its JSON form is one line, the last one of a command that trains more than once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// What was measured, and where.
    #[serde(skip)]
    name: String,
    /// Whether it is a fraction, shown in percent.
    #[serde(skip)]
    is_fraction: bool,
    /// Number of runs.
    pub runs: usize,
    /// The epoch that is the best on average, in cross-validation: every fold is evaluated there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Mean over the runs.
    pub mean: f64,
    /// Standard deviation over the runs; 0 for a single one.
    pub deviation: f64,
}

impl Statistics {
    /// Those of a metric on a split. It is the one that chooses the epoch, `score`, or else the main one.
    fn new(score: Option<&str>, split: Split, epoch: Option<u64>, runs: &[&Measures]) -> Self {
        let metric = score.unwrap_or_else(|| runs.first().map_or("loss", |run| run.main_metric()));
        let MetricFormat { label, is_fraction } = MetricFormat::of(metric);
        let name = match epoch {
            Some(_) => format!("{label} on the fold held out"),
            None => format!("{} {label}", split.name()),
        };
        let values: Vec<f64> = runs.iter().map(|run| run.get(split, metric).unwrap_or(f64::NAN)).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        Self { name, is_fraction, runs: values.len(), epoch, mean, deviation }
    }

    /// The statistics of the test rows of each run.
    pub fn of_test(score: Option<&str>, summaries: &[Summary]) -> Self {
        let runs: Vec<&Measures> = summaries.iter().map(|summary| &summary.metrics).collect();
        Self::new(score, Split::Test, None, &runs)
    }

    /// The statistics of the held-out fold of each run, in the epoch with the best mean of the score, or of the loss without
    /// one; as in K. Xu et al., *How Powerful are Graph Neural Networks?*, ICLR 2019. Each run is given by its reports; none
    /// if the runs have no common epoch.
    pub fn of_folds(score: Option<&str>, runs: &[Vec<EpochReport>]) -> Option<Self> {
        let epochs = runs.iter().map(Vec::len).min()?;
        let goodness = |report: &EpochReport| {
            let [score_value, negative_loss] = report.rank(score).unwrap_or([f64::NEG_INFINITY; 2]);
            if score.is_some() { score_value } else { negative_loss }
        };
        let sum = |epoch: usize| runs.iter().map(|run| goodness(&run[epoch])).sum::<f64>();
        // The first of the best.
        let best = (0..epochs).reduce(|best, epoch| if sum(best) >= sum(epoch) { best } else { epoch })?;
        let reports: Vec<&Measures> = runs.iter().map(|run| &run[best].metrics).collect();
        Some(Self::new(score, Split::Validation, Some(best as u64 + 1), &reports))
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mean, deviation, runs, .. } = self;
        match self.is_fraction {
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
        let run = |accuracies: &[f64]| -> Vec<EpochReport> {
            let report = |accuracy: &f64| EpochReport {
                metrics: [(Split::Validation, "loss", *accuracy), (Split::Validation, "accuracy", *accuracy)].into(),
                ..EpochReport::default()
            };
            accuracies.iter().map(report).collect()
        };
        let runs = [run(&[0.5, 0.9, 0.7]), run(&[0.9, 0.6, 0.8])];
        let statistics = Statistics::of_folds(Some("accuracy"), &runs).unwrap();
        assert_eq!((statistics.epoch, statistics.runs), (Some(2), 2));
        assert!(
            statistics
                .to_string()
                .starts_with("accuracy on the fold held out 75.00 % +- 21.21 over 2 runs in epoch 2,")
        );
        assert!(
            (statistics.mean - 0.75).abs() < 1e-6 && (statistics.deviation - 0.045f64.sqrt()).abs() < 1e-6,
            "{statistics:?}"
        );
        let by_loss = Statistics::of_folds(None, &runs).unwrap();
        assert_eq!((by_loss.epoch, by_loss.mean), (Some(1), 0.7));
        assert_eq!(Statistics::of_folds(None, &[run(&[0.1, 0.2]), Vec::new()]), None);
        assert_eq!(Statistics::of_folds(None, &[]), None);
    }
}
