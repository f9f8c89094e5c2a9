//! Whether an edge joins two nodes.

use connectome_components::{Loss, SoftmaxGroups};
use ndarray::{Array1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{DataProblem, Demand, Predict, Prediction, SettingProblem, sigmoid};
use crate::data::{GraphData, Hidden, Problem, RowKind, non_edge_count, undirected_edges};
use crate::systems::Head;

/// Predicts which pairs of nodes an edge joins, some of the edges being hidden; see
/// [`hide_edges`](crate::data::hide_edges). The output of the nodes may have any width: two nodes are joined as far as the
/// product of their rows is large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkPrediction {
    /// The fraction of the edges that is hidden to choose the epoch by.
    #[serde(default = "validation_fraction")]
    pub validation: f32,
    /// The fraction of the edges that is hidden to measure by.
    #[serde(default = "test_fraction")]
    pub test: f32,
}

fn validation_fraction() -> f32 {
    0.05
}

fn test_fraction() -> f32 {
    0.1
}

impl Default for LinkPrediction {
    fn default() -> Self {
        Self { validation: validation_fraction(), test: test_fraction() }
    }
}

impl Predict for LinkPrediction {
    fn check_settings(&self) -> Result<(), SettingProblem> {
        let check = |fraction: f32, name: &'static [&'static str], what: &str| match (0.0..1.0).contains(&fraction) {
            true => Ok(()),
            false => {
                let message = format!("the share for {what} is {fraction}");
                Err((name, Problem::new(message, "write a number from 0 to below 1")))
            }
        };
        check(self.validation, &["validation"], "validation")?;
        check(self.test, &["test"], "test")?;
        if self.validation + self.test < 1.0 {
            return Ok(());
        }
        let message =
            format!("validation and test take {} of the edges, so that none is left", self.validation + self.test);
        Err((&["test"], Problem::new(message, "write shares that are together below 1")))
    }

    fn demand(&self, data: &GraphData, _: RowKind) -> Result<Demand, DataProblem> {
        if let Some(graphs) = &data.graphs {
            let message = format!("links are predicted in one graph, but the scene has a set of {}", graphs.len());
            return Err(DataProblem::Task(Problem::new(message, "write `task: GraphClassification`")));
        }
        let edges = undirected_edges(data).len();
        let hidden = Hidden::of(edges, self.validation, self.test);
        if hidden.both() == edges {
            let message = "no edge between two nodes is left to learn from";
            let help = "add edges to the graph, or hide a smaller share of them";
            return Err(DataProblem::Graph(Problem::new(message, help)));
        }
        let free = non_edge_count(data.nodes, edges);
        // While learning, pairs without an edge are drawn as well.
        let needed = hidden.both().max(1);
        if free < needed as u64 {
            let message =
                format!("{free} pairs of nodes have no edge, but {needed} are needed to tell edges from them");
            let help = "hide a smaller share of the edges, or use a sparser graph";
            return Err(DataProblem::Task(Problem::new(message, help)));
        }
        Ok(Demand { width: None, validated: hidden.validation })
    }

    fn reads_targets(&self) -> bool {
        false
    }

    fn learn(&self, head: Head, _: Option<SoftmaxGroups>) -> Head {
        head.loss(Loss::BinaryCrossEntropy)
    }

    fn score(&self) -> Option<&'static str> {
        Some("area_under_curve")
    }

    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        let probability: Array1<f32> = output.iter().map(|logit| sigmoid(*logit)).collect();
        vec![("logits", Prediction::Values(output.to_owned())), ("probability", Prediction::Column(probability))]
    }
}
