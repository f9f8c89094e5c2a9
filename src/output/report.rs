//! The two records of a training run: one for each epoch, one for the whole.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::Measures;
use crate::components::Split;

/// What was measured in an epoch of training.
///
/// As JSON it is one object, with the keys of its [`Measures`] beside the others. Numbers that are not finite are `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, counted from 1.
    pub epoch: u64,
    /// Those of the training split are measured during training, with dropout; there are fewer of them.
    #[serde(flatten)]
    pub metrics: Measures,
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

impl EpochReport {
    /// The value of a metric on a split, if it was measured.
    #[must_use]
    pub fn get(&self, split: Split, name: &str) -> Option<f64> {
        self.metrics.get(split, name)
    }

    /// How good the epoch is on the validation split; the epoch to keep has the greatest rank, the last one of equal ones.
    ///
    /// It is the value of the metric `score`, the greater the better, then the negative loss; without a score the loss alone
    /// counts. None if nothing was validated.
    #[must_use]
    pub fn rank(&self, score: Option<&str>) -> Option<[f64; 2]> {
        let measured = |name| self.get(Split::Validation, name).filter(|value| !value.is_nan());
        let loss = measured("loss")?;
        Some([score.and_then(measured).unwrap_or(f64::NEG_INFINITY), -loss])
    }
}

/// What was measured in a whole training run.
///
/// Its [`Display`](fmt::Display) form is one line of JSON, made to be the last line a program prints. The keys come in
/// the order of the fields, as in an [`EpochReport`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Of the model with the parameters of the epoch that counts (the last one, or the one chosen by validation).
    #[serde(flatten)]
    pub metrics: Measures,
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

impl Summary {
    /// The value of a metric on a split, if it was measured.
    #[must_use]
    pub fn get(&self, split: Split, name: &str) -> Option<f64> {
        self.metrics.get(split, name)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&line)
    }
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

    fn summary() -> Summary {
        let metrics = [
            (Split::Train, "loss", 0.6),
            (Split::Train, "accuracy", 0.98),
            (Split::Validation, "accuracy", 0.79),
            (Split::Test, "accuracy", 0.815),
            (Split::Test, "role.hits@0.5", 1.0),
        ];
        Summary {
            metrics: metrics.into(),
            epochs: 200,
            milliseconds_per_epoch: 3.25,
            evaluation_milliseconds: 1.5,
            workers: 4,
            seed: 7,
        }
    }

    #[test]
    fn a_summary_is_one_line_with_its_keys_in_the_promised_order() {
        let expected = concat!(
            r#"{"train_loss":0.6,"train_accuracy":0.98,"validation_accuracy":0.79,"test_accuracy":0.815,"#,
            r#""test_role.hits@0.5":1.0,"#,
            r#""epochs":200,"milliseconds_per_epoch":3.25,"evaluation_milliseconds":1.5,"workers":4,"seed":7}"#
        );
        assert_eq!(summary().to_string(), expected);
        assert_eq!(serde_json::from_str::<Summary>(expected).unwrap(), summary());
        let with_more = expected.replacen('{', r#"{"note":"of another program","training":[1],"#, 1);
        assert_eq!(serde_json::from_str::<Summary>(&with_more).unwrap(), summary());
    }

    #[test]
    fn a_number_that_is_not_finite_becomes_null_and_reads_back_as_nan() {
        let mut diverged = summary();
        diverged.metrics.set(Split::Train, "loss", f64::INFINITY);
        let line = diverged.to_string();
        assert!(line.starts_with(r#"{"train_loss":null,"#));
        let back: Summary = serde_json::from_str(&line).unwrap();
        assert!(back.get(Split::Train, "loss").unwrap().is_nan());
        assert!(serde_json::from_str::<Summary>(&line.replacen("null", "\"much\"", 1)).is_err());
    }
}
