//! Which variable of a function is misused, and which one is meant.

use connectome_components::SoftmaxGroups;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{DataProblem, Demand, Predict, Prediction, SettingProblem, validated};
use crate::data::{GraphData, Problem, RowKind};
use crate::systems::{Head, operators::SubgraphCrossEntropy};

/// Scores the hypotheses of each function, by cross-entropy over all of them and that of no misuse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariableMisuse {
    /// A misuse is found where the probability of none is below this number, from 0 to 1; the lower it is, the fewer are found and
    /// the more functions without one are kept. 0.5 if it is left out. It changes nothing in training but the choice of the epoch.
    #[serde(default = "half")]
    pub threshold: f64,
}

fn half() -> f64 {
    0.5
}

impl Default for VariableMisuse {
    fn default() -> Self {
        Self { threshold: half() }
    }
}

impl Predict for VariableMisuse {
    fn check_settings(&self) -> Result<(), SettingProblem> {
        if (0.0..=1.0).contains(&self.threshold) {
            return Ok(());
        }
        let message = format!("the probability of no misuse is compared with {}", self.threshold);
        Err((&["threshold"], Problem::new(message, "write a number from 0 to 1, such as 0.5")))
    }

    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem> {
        if data.misuse.is_none() {
            let help = "give functions, such as `graph: Functions(train: [\"functions.jsonl\"], per_epoch: 1000)`";
            return Err(DataProblem::Graph(Problem::new(
                "the graph comes without variables that may be misused",
                help,
            )));
        }
        Ok(Demand { width: Some((1, ["score", "scores"])), validated: validated(data, rows)? })
    }

    fn reads_targets(&self) -> bool {
        true
    }

    fn learn(&self, head: Head, _: Option<SoftmaxGroups>) -> Head {
        head.operator_loss(SubgraphCrossEntropy)
    }

    fn score(&self) -> Option<&'static str> {
        Some("accuracy")
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        vec![("logits", Prediction::Values(output.to_owned()))]
    }
}
