//! What becomes of each node of a graph.

use connectome_components::{Loss, SoftmaxGroups};
use ndarray::ArrayView2;

use super::{DataProblem, Demand, Predict, Prediction, validated};
use crate::data::{GraphData, Problem, RowKind};
use crate::systems::Head;

/// Predicts the slots of each node, by cross-entropy over labels and over sets of right addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewriting;

impl Predict for Rewriting {
    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem> {
        let rewriting = data.rewriting.as_ref().ok_or_else(|| {
            let help = "give pairs of graphs, such as `graph: Terms(rewrite: Simplify, train: File(\"pairs.jsonl\"))`";
            DataProblem::Graph(Problem::new("the graph comes without what it is to be rewritten to", help))
        })?;
        let width = rewriting.coding.width();
        Ok(Demand { width: Some((width, ["output of slots", "outputs of slots"])), validated: validated(data, rows)? })
    }

    fn reads_targets(&self) -> bool {
        true
    }

    fn learn(&self, head: Head, groups: Option<SoftmaxGroups>) -> Head {
        // Before there are data the model is planned without a loss.
        match groups {
            Some(groups) => head.loss(Loss::SetCrossEntropy(groups)),
            None => head.external_gradient(),
        }
    }

    fn score(&self) -> Option<&'static str> {
        Some("accuracy")
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        vec![("logits", Prediction::Values(output.to_owned()))]
    }
}
