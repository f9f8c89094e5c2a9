//! What a model is to predict: one file for each kind of task.
//!
//! A task says what it asks of the data, what a head of the model minimizes for it, which metric chooses the epoch, and what
//! inference writes. A new one is a file that implements `Predict`, and its variants of [`Task`].

mod classification;
mod link_prediction;
mod multi_label;
mod regression;
mod rewriting;
mod variable_misuse;

use connectome_components::{SoftmaxGroups, Split};
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::data::{GraphData, Labels, Problem, RowKind};
use crate::systems::Head;

use classification::Classification;
pub use link_prediction::LinkPrediction;
use multi_label::MultiLabel;
pub use regression::Regression;
use rewriting::Rewriting;
pub use variable_misuse::VariableMisuse;

/// What a model, or a head of it, is to predict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Task {
    /// The class of each node; the output has one column for each class.
    #[default]
    NodeClassification,
    /// The class of each edge; a model of nodes ends in an [`EdgeDecoder`](crate::systems::layers::EdgeDecoder).
    EdgeClassification,
    /// The class of each graph of a set; a model of nodes ends in a [`Readout`](crate::systems::layers::Readout).
    GraphClassification,
    /// Which labels each node has, any number of them; the output and the node's `targets`, which are 0 or 1, have one column
    /// for each label.
    NodeMultiLabel,
    /// The same for edges.
    EdgeMultiLabel,
    /// The same for graphs.
    GraphMultiLabel,
    /// The values that each node has as `targets`; the output has one column for each.
    NodeRegression(Regression),
    /// The same for edges.
    EdgeRegression(Regression),
    /// The same for graphs.
    GraphRegression(Regression),
    /// Which pairs of nodes an edge joins.
    LinkPrediction(LinkPrediction),
    /// What becomes of each node of a graph: the slots of [`rewriting`](crate::languages::rewriting).
    Rewriting,
    /// Which variable of a function is misused, if one is, and which one is meant.
    VariableMisuse(VariableMisuse),
}

/// A kind of task.
pub(crate) trait Predict {
    /// Checks its settings.
    fn check_settings(&self) -> Result<(), SettingProblem> {
        Ok(())
    }

    /// Checks that the data have what is to be predicted of `rows`.
    fn demand(&self, data: &GraphData, rows: RowKind) -> Result<Demand, DataProblem>;

    /// Whether its rows have values to predict, in place of classes.
    fn reads_targets(&self) -> bool;

    /// Makes a head minimize its loss. `groups` are those of the outputs of slots.
    fn learn(&self, head: Head, groups: Option<SoftmaxGroups>) -> Head;

    /// The metric that chooses the epoch, the greater the better; the loss if none.
    fn score(&self) -> Option<&'static str>;

    /// What inference writes of an output `[rows, width]`.
    fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)>;
}

/// What a task asks of its model and its data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// How wide the output must be, and what its columns stand for: one and several of them.
    pub width: Option<(usize, [&'static str; 2])>,
    /// Rows of the validation split.
    pub validated: usize,
}

/// What is wrong with a setting of a task, the one with this name.
pub(crate) type SettingProblem = (&'static [&'static str], Problem);

/// What is wrong with the data of a task.
#[derive(Debug)]
pub(crate) enum DataProblem {
    /// The task cannot be that of such data.
    Task(Problem),
    /// The graph lacks something.
    Graph(Problem),
}

/// An array that inference writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// Values, `[rows, columns]`.
    Values(Array2<f32>),
    /// One value for each row.
    Column(Array1<f32>),
    /// A class for each row.
    Classes(Array1<u32>),
    /// Whole numbers, `[rows, columns]`.
    Indices(Array2<u32>),
}

impl Task {
    /// The rows that the output of its layers is on: the nodes for links, for these compare two nodes.
    pub fn rows(&self) -> RowKind {
        match self {
            Self::NodeClassification
            | Self::NodeMultiLabel
            | Self::NodeRegression(_)
            | Self::LinkPrediction(_)
            | Self::Rewriting
            | Self::VariableMisuse(_) => RowKind::Nodes,
            Self::EdgeClassification | Self::EdgeMultiLabel | Self::EdgeRegression(_) => RowKind::Edges,
            Self::GraphClassification | Self::GraphMultiLabel | Self::GraphRegression(_) => RowKind::Graphs,
        }
    }

    /// The arrays that inference writes for an output `[rows, width]`, by name.
    pub fn predictions(&self, output: ArrayView2<f32>) -> Vec<(&'static str, Prediction)> {
        self.kind().predictions(output)
    }

    /// Its settings, if it finds misused variables.
    pub fn misuse(&self) -> Option<VariableMisuse> {
        if let Self::VariableMisuse(misuse) = self { Some(*misuse) } else { None }
    }

    /// Its settings, if it predicts links.
    pub fn links(&self) -> Option<LinkPrediction> {
        if let Self::LinkPrediction(links) = self { Some(*links) } else { None }
    }

    /// What is the same whatever its rows are.
    pub(crate) fn kind(&self) -> &dyn Predict {
        match self {
            Self::NodeClassification | Self::EdgeClassification | Self::GraphClassification => &Classification,
            Self::NodeMultiLabel | Self::EdgeMultiLabel | Self::GraphMultiLabel => &MultiLabel,
            Self::NodeRegression(regression) | Self::EdgeRegression(regression) | Self::GraphRegression(regression) => {
                regression
            }
            Self::LinkPrediction(links) => links,
            Self::Rewriting => &Rewriting,
            Self::VariableMisuse(misuse) => misuse,
        }
    }
}

/// What is known of `rows`.
fn labels(data: &GraphData, rows: RowKind) -> Result<Labels<'_>, DataProblem> {
    data.labels_of(rows).ok_or_else(|| match rows {
        RowKind::Nodes | RowKind::Edges => DataProblem::Graph(Problem::new(
            "nothing is known of the edges that could be predicted",
            "give edges `label` or `targets`, and a `split`; or the npz file an array edge_label or edge_target",
        )),
        RowKind::Graphs => DataProblem::Task(Problem::new(
            "the task is about the graphs of a set, but the scene has one graph",
            "name an npz file with node_ptr, or write `task: NodeClassification`",
        )),
    })
}

/// Values to predict of `rows`.
fn targets(data: &GraphData, rows: RowKind) -> Result<&crate::data::DenseRows, DataProblem> {
    let targets = labels(data, rows)?.targets.filter(|targets| targets.width > 0);
    targets.ok_or_else(|| {
        let (one, several) = (rows.singular(), rows.plural());
        let written = if rows == RowKind::Graphs { "" } else { "`targets: [...]`, or " };
        let help = format!("give each {one} {written}the npz file an array {one}_target [{several}, targets]");
        DataProblem::Task(Problem::new(format!("the {several} have no targets to predict"), help))
    })
}

/// How many rows are for validation; one at least must be to learn from.
fn validated(data: &GraphData, rows: RowKind) -> Result<usize, DataProblem> {
    let splits = data.splits_of(rows);
    let count = |split: Split| splits.iter().filter(|other| **other == split).count();
    if count(Split::Train) > 0 {
        return Ok(count(Split::Validation));
    }
    let rows = if data.graphs.is_some() { RowKind::Graphs } else { rows };
    let message = format!("no {} is in the split Train, so nothing can be learned", rows.singular());
    let help = format!("put at least one {} into Train", rows.singular());
    Err(DataProblem::Graph(Problem::new(message, help)))
}

/// The probability that a logit stands for.
fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
