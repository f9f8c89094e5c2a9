//! Which variable of a function is misused, and which one is meant.

use connectome_components::SoftmaxGroups;
use ndarray::ArrayView2;

use super::{DataProblem, Demand, Predict, Prediction, validated};
use crate::data::{GraphData, Problem, RowKind};
use crate::systems::{Head, operators::SubgraphCrossEntropy};

/// Scores the hypotheses of each function, by cross-entropy over all of them and that of no misuse.
#[derive(Clone, Copy, Debug)]
pub(super) struct VariableMisuse;

impl Predict for VariableMisuse {
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
