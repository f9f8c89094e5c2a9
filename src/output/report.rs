//! The two records of a training run: one line per epoch, one for the whole.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// What one epoch of training came to.
///
/// Accuracies are shares between 0 and 1. A number that was not measured is NaN. As JSON, every non-finite number is
/// written as `null`, which reads back as NaN: infinities do not survive the trip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, counted from 1.
    pub epoch: u64,
    /// Mean loss over the training rows.
    #[serde(deserialize_with = "null_as_nan")]
    pub train_loss: f32,
    /// Share of the training rows that were classified rightly.
    #[serde(deserialize_with = "null_as_nan")]
    pub train_accuracy: f32,
    /// Mean loss over the validation rows.
    #[serde(deserialize_with = "null_as_nan")]
    pub validation_loss: f32,
    /// Share of the validation rows that were classified rightly.
    #[serde(deserialize_with = "null_as_nan")]
    pub validation_accuracy: f32,
    /// Share of the test rows that were classified rightly.
    #[serde(deserialize_with = "null_as_nan")]
    pub test_accuracy: f32,
    /// Area under the ROC curve over the validation rows, where pairs of nodes are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_area_under_curve: Option<f64>,
    /// The same over the test rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_area_under_curve: Option<f64>,
    /// Mean distance between output and target over the training rows, where targets are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_mean_absolute_error: Option<f32>,
    /// The same over the validation rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_mean_absolute_error: Option<f32>,
    /// The same over the test rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_mean_absolute_error: Option<f32>,
    /// Learning rate the epoch was trained with.
    #[serde(deserialize_with = "null_as_nan")]
    pub learning_rate: f32,
    /// Wall-clock milliseconds of the forward pass, the backward pass and the step of the optimizer.
    #[serde(deserialize_with = "null_as_nan")]
    pub train_milliseconds: f64,
    /// Wall-clock milliseconds of the evaluation that followed.
    #[serde(deserialize_with = "null_as_nan")]
    pub evaluation_milliseconds: f64,
}

/// What a whole training run came to.
///
/// Its [`Display`](fmt::Display) form is one line of JSON, made to be the last line a program prints. The keys come in
/// the order of the fields, and non-finite numbers are treated as in [`EpochReport`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Training loss of the epoch that counts (the last one, or the one chosen by validation).
    #[serde(deserialize_with = "null_as_nan")]
    pub train_loss: f32,
    /// Training accuracy of that epoch, between 0 and 1.
    #[serde(deserialize_with = "null_as_nan")]
    pub train_accuracy: f32,
    /// Validation accuracy of that epoch, between 0 and 1.
    #[serde(deserialize_with = "null_as_nan")]
    pub validation_accuracy: f32,
    /// Test accuracy of that epoch, between 0 and 1.
    #[serde(deserialize_with = "null_as_nan")]
    pub test_accuracy: f32,
    /// Area under the ROC curve over the validation rows in that epoch, where pairs of nodes are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_area_under_curve: Option<f64>,
    /// The same over the test rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_area_under_curve: Option<f64>,
    /// Mean distance between output and target over the training rows in that epoch, where targets are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_mean_absolute_error: Option<f32>,
    /// The same over the validation rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_mean_absolute_error: Option<f32>,
    /// The same over the test rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_mean_absolute_error: Option<f32>,
    /// Epochs trained.
    pub epochs: u64,
    /// Wall-clock milliseconds of training per epoch, evaluation apart.
    #[serde(deserialize_with = "null_as_nan")]
    pub milliseconds_per_epoch: f64,
    /// Wall-clock milliseconds of evaluation per epoch.
    #[serde(deserialize_with = "null_as_nan")]
    pub evaluation_milliseconds: f64,
    /// Threads that worked on the run.
    pub workers: usize,
    /// Seed of the run.
    pub seed: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&line)
    }
}

/// The epoch that did best on the validation split, by the rule of the trainer: the largest area under the ROC curve or else
/// accuracy, of equal ones the lowest loss, of equal ones the last. `None` when nothing was validated.
#[must_use]
pub fn best_epoch(reports: &[EpochReport]) -> Option<u64> {
    let score = |report: &EpochReport| {
        let accuracy = if report.validation_accuracy.is_nan() { 0.0 } else { report.validation_accuracy };
        report.validation_area_under_curve.unwrap_or_else(|| accuracy.into())
    };
    let validated = reports.iter().filter(|report| !report.validation_loss.is_nan());
    let best = validated.max_by(|left, right| {
        let by_score = score(left).total_cmp(&score(right));
        by_score.then(right.validation_loss.total_cmp(&left.validation_loss))
    });
    best.map(|report| report.epoch)
}

/// Undoes what JSON does to a number that is not finite.
fn null_as_nan<'de, D, Number>(deserializer: D) -> Result<Number, D::Error>
where
    D: Deserializer<'de>,
    Number: Deserialize<'de> + From<f32>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(|| Number::from(f32::NAN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: Summary = Summary {
        train_loss: 0.6,
        train_accuracy: 0.98,
        validation_accuracy: 0.79,
        test_accuracy: 0.815,
        validation_area_under_curve: None,
        test_area_under_curve: None,
        train_mean_absolute_error: None,
        validation_mean_absolute_error: None,
        test_mean_absolute_error: None,
        epochs: 200,
        milliseconds_per_epoch: 3.25,
        evaluation_milliseconds: 1.5,
        workers: 4,
        seed: 7,
    };

    #[test]
    fn a_summary_is_one_line_with_its_keys_in_the_promised_order() {
        let expected = concat!(
            r#"{"train_loss":0.6,"train_accuracy":0.98,"validation_accuracy":0.79,"test_accuracy":0.815,"#,
            r#""epochs":200,"milliseconds_per_epoch":3.25,"evaluation_milliseconds":1.5,"workers":4,"seed":7}"#
        );
        assert_eq!(SUMMARY.to_string(), expected);
        assert_eq!(serde_json::from_str::<Summary>(expected).unwrap(), SUMMARY);
    }

    #[test]
    fn a_number_that_is_not_finite_becomes_null_and_reads_back_as_nan() {
        let diverged = Summary { train_loss: f32::INFINITY, ..SUMMARY };
        let line = diverged.to_string();
        assert!(line.starts_with(r#"{"train_loss":null,"#));
        let back: Summary = serde_json::from_str(&line).unwrap();
        assert!(back.train_loss.is_nan());
    }

    #[test]
    fn the_best_epoch_is_chosen_as_by_the_trainer() {
        let report = |(epoch, accuracy, loss, area)| EpochReport {
            epoch,
            train_loss: 0.0,
            train_accuracy: 1.0,
            validation_loss: loss,
            validation_accuracy: accuracy,
            test_accuracy: 1.0,
            validation_area_under_curve: area,
            test_area_under_curve: None,
            train_mean_absolute_error: None,
            validation_mean_absolute_error: None,
            test_mean_absolute_error: None,
            learning_rate: 0.01,
            train_milliseconds: 3.0,
            evaluation_milliseconds: 1.0,
        };
        let best = |reports: [(u64, f32, f32, Option<f64>); 3]| best_epoch(&reports.map(report));
        assert_eq!(best([(1, 0.5, 0.9, None), (2, 0.6, 1.0, None), (3, 0.6, 1.1, None)]), Some(2));
        assert_eq!(best([(1, 0.5, 0.9, None), (2, 0.5, 0.8, None), (3, 0.5, 0.8, None)]), Some(3));
        assert_eq!(best([(1, f32::NAN, 0.3, None), (2, f32::NAN, 0.2, None), (3, f32::NAN, 0.4, None)]), Some(2));
        assert_eq!(best([(1, 0.9, 0.1, Some(0.5)), (2, 0.1, 0.2, Some(0.6)), (3, 0.1, f32::NAN, None)]), Some(2));
        assert_eq!(best([(1, f32::NAN, f32::NAN, None); 3]), None);
    }
}
