//! Values for each row.

use connectome_components::{Loss, SoftmaxGroups};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{DataProblem, Demand, Predict, Prediction, SettingProblem, targets, validated};
use crate::data::{GraphData, Problem, RowKind};
use crate::systems::Head;

/// Predicts values; the epoch with the least validation loss is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// How far an output is from its target: `MeanSquaredError`, `MeanAbsoluteError` or `Huber(delta: 1.0)`.
    #[serde(default = "squared")]
    pub loss: Loss,
}

fn squared() -> Loss {
    Loss::MeanSquaredError
}

impl Default for Regression {
    fn default() -> Self {
        Self { loss: squared() }
    }
}

impl Predict for Regression {
    fn check_settings(&self) -> Result<(), SettingProblem> {
        match self.loss {
            Loss::MeanSquaredError | Loss::MeanAbsoluteError => Ok(()),
            Loss::Huber { delta } if delta.is_finite() && delta > 0.0 => Ok(()),
            Loss::Huber { delta } => {
                Err((&["loss", "delta"], Problem::new(format!("delta is {delta}"), "write a finite number above 0")))
            }
            Loss::CrossEntropy | Loss::BinaryCrossEntropy | Loss::SetCrossEntropy(_) => {
                let message = format!("{:?} is a loss of classes, but the targets are values", self.loss);
                let help = "write MeanSquaredError, MeanAbsoluteError or Huber(delta: 1.0)";
                Err((&["loss"], Problem::new(message, help)))
            }
        }
    }

    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem> {
        let width = targets(data, rows)?.width;
        Ok(Demand { width: Some((width, ["target", "targets"])), validated: validated(data, rows)? })
    }

    fn reads_targets(&self) -> bool {
        true
    }

    fn learn(&self, head: Head, _: Option<SoftmaxGroups>) -> Head {
        head.loss(self.loss)
    }

    fn score(&self) -> Option<&'static str> {
        None
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        vec![("prediction", Prediction::Values(output.to_owned()))]
    }
}
