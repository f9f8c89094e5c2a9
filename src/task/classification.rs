//! One class for each row.

use connectome_components::{Loss, SoftmaxGroups};
use ndarray::{ArrayView1, ArrayView2};

use super::{DataProblem, Demand, Predict, Prediction, labels, validated};
use crate::data::{Features, GraphData, Problem, RowKind};
use crate::systems::Head;

/// Predicts the class of each row by cross-entropy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classification;

impl Predict for Classification {
    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem> {
        let classes = labels(data, rows)?.classes;
        if rows == RowKind::Nodes && data.graphs.is_some() && shows_labels(data) {
            let message = "the nodes' classes are to be predicted, but they are the features of the nodes already";
            let help = "write `task: GraphClassification`, or give the npz file features of its own as an array x";
            return Err(DataProblem::Task(Problem::new(message, help)));
        }
        Ok(Demand { width: Some((classes, ["class", "classes"])), validated: validated(data, rows)? })
    }

    fn reads_targets(&self) -> bool {
        false
    }

    fn learn(&self, head: Head, _: Option<SoftmaxGroups>) -> Head {
        head.loss(Loss::CrossEntropy)
    }

    fn score(&self) -> Option<&'static str> {
        Some("accuracy")
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        let classes = output.rows().into_iter().map(class).collect();
        vec![("logits", Prediction::Values(output.to_owned())), ("prediction", Prediction::Classes(classes))]
    }
}

/// Whether the features are one-hot codes of the labels.
fn shows_labels(data: &GraphData) -> bool {
    match &data.features {
        Features::Sparse { indices, offsets, .. } => *indices == data.labels && offsets.len() == data.nodes + 1,
        Features::Dense { .. } => false,
    }
}

/// The index of the largest output, the first one of several.
fn class(logits: ArrayView1<f32>) -> u32 {
    let best = (0..logits.len()).reduce(|best, next| if logits[next] > logits[best] { next } else { best });
    best.unwrap_or(0) as u32
}
