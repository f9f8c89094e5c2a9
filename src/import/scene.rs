//! A scene to begin with.

use connectome_components::Split;

use super::Imported;
use crate::scene::{FeatureScaling, Features, GraphData};

/// Most nodes that get a column of their own each where they have no features.
const MOST_COLUMNS: usize = 20_000;

/// Most class names that a comment lists.
const MOST_NAMES: usize = 100;

/// Width of the output by which nodes are compared.
const EMBEDDING: usize = 16;

/// The text of a scene that learns from the data, which are in the file `graph`; people change it as they like.
///
/// Sets of graphs are classified, as are nodes that have classes; else hidden edges are predicted.
pub fn starting_scene(name: &str, graph: &str, imported: &Imported) -> String {
    let data = &imported.data;
    let (features, task) = (features(data), task(data));
    let (hidden, output) = (task.hidden, task.output.max(1));
    let (comments, task) = (comments(imported, task.comment), task.text);
    // The model is that of T. N. Kipf and M. Welling, Semi-Supervised Classification with Graph Convolutional Networks,
    // ICLR 2017. RON escapes text as Rust does.
    format!(
        "{comments}(
    name: {name:?},
    graph: Npz({graph:?}),
    features: {features:?},
    model: [
        Dropout(0.5),
        GraphConv(width: {hidden}),
        Relu,
        Dropout(0.5),
        GraphConv(width: {output}, weight_decay: 0.0),
    ],
    task: {task},
    optimizer: Adam(learning_rate: 0.01, weight_decay: 5e-4),
    training: (epochs: 200, seed: 0),
)
"
    )
}

/// What can be learned, and what the model must be like for it.
struct StartingTask {
    text: &'static str,
    hidden: usize,
    output: usize,
    comment: &'static str,
}

fn task(data: &GraphData) -> StartingTask {
    if let Some(graphs) = &data.graphs {
        let comment = "The model is a place to begin; what its nodes tell is gathered for each graph.";
        return StartingTask { text: "GraphClassification", hidden: 32, output: graphs.classes, comment };
    }
    if data.classes > 1 && data.count(Split::Train) > 0 {
        let comment = "The recipe of Kipf and Welling for citation graphs; change it as you like.";
        return StartingTask { text: "NodeClassification", hidden: 16, output: data.classes, comment };
    }
    let comment = "There are no classes to learn; hidden edges are predicted.";
    StartingTask { text: "LinkPrediction(validation: 0.05, test: 0.1)", hidden: 32, output: EMBEDDING, comment }
}

/// What the model can learn from: counts are normalized, and nodes without features are told apart by what there is.
fn features(data: &GraphData) -> FeatureScaling {
    let is_set = data.graphs.is_some();
    match &data.features {
        features if features.width() == 0 && !is_set && data.nodes <= MOST_COLUMNS => FeatureScaling::Identity,
        features if features.width() == 0 => FeatureScaling::Degree,
        Features::Sparse { values, .. } if !is_set && values.iter().all(|&value| value >= 0.0) => {
            FeatureScaling::RowNormalized
        }
        _ => FeatureScaling::AsGiven,
    }
}

fn comments(imported: &Imported, task: &str) -> String {
    let data = &imported.data;
    let (nodes, edges, width) = (data.nodes, data.edges.len(), data.features.width());
    let counts = format!("{nodes} nodes, {edges} directed edges, {width} features");
    let counts = match &data.graphs {
        Some(graphs) => format!("{} graphs, {counts}", graphs.len()),
        None => counts,
    };
    let mut text = format!("// {counts}. {task}\n");
    if !imported.class_names.is_empty() {
        let names = imported.class_names.iter().take(MOST_NAMES).enumerate();
        let names: Vec<String> = names.map(|(number, name)| format!("{number} = {}", one_line(name))).collect();
        let more = if imported.class_names.len() > MOST_NAMES { ", …" } else { "" };
        text += &format!("// Classes: {}{more}.\n", names.join(", "));
    }
    text
}

/// A name that neither ends a comment nor moves a terminal.
fn one_line(name: &str) -> String {
    name.chars().take(60).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
