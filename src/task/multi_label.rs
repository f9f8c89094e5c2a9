//! Any number of labels for each row.

use connectome_components::{Loss, SoftmaxGroups};
use ndarray::ArrayView2;

use super::{DataProblem, Demand, Predict, Prediction, sigmoid, targets, validated};
use crate::data::{GraphData, Problem, RowKind};
use crate::systems::Head;

/// Predicts for each label whether a row has it, by binary cross-entropy.
#[derive(Clone, Copy, Debug)]
pub(super) struct MultiLabel;

impl Predict for MultiLabel {
    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem> {
        let targets = targets(data, rows)?;
        if let Some(position) = targets.values.iter().position(|value| *value != 0.0 && *value != 1.0) {
            let (row, column, value) = (position / targets.width, position % targets.width, targets.values[position]);
            let message = format!("target {column} of {} {row} is {value}", rows.singular());
            let help = format!("write 1 for a label that the {} has, and 0 for one it has not", rows.singular());
            return Err(DataProblem::Graph(Problem::new(message, help)));
        }
        Ok(Demand { width: Some((targets.width, ["label", "labels"])), validated: validated(data, rows)? })
    }

    fn reads_targets(&self) -> bool {
        true
    }

    fn learn(&self, head: Head, _: Option<SoftmaxGroups>) -> Head {
        head.loss(Loss::BinaryCrossEntropy)
    }

    fn score(&self) -> Option<&'static str> {
        Some("f1_micro")
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        vec![
            ("logits", Prediction::Values(output.to_owned())),
            ("probability", Prediction::Values(output.mapv(sigmoid))),
            ("prediction", Prediction::Indices(output.mapv(|logit| u32::from(logit > 0.0)))),
        ]
    }
}
