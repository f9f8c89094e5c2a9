//! A scene to begin with.

use connectome_components::Split;

use super::Imported;
use crate::data::{EdgeLabels, Features, GraphData, GraphKinds, RelationEdges};
use crate::scene::NodeFeatures;

/// Most nodes that get a column of their own each where they have no features.
const MAX_COLUMNS: usize = 20_000;

/// Most class names that a comment lists.
const MAX_NAMES: usize = 100;

/// Width of the output by which nodes are compared.
const EMBEDDING: usize = 16;

/// The text of a scene that learns from the data, which are in the file `graph`; people change it as they like.
///
/// Sets of graphs are classified, or their values predicted if they have no classes; so are nodes that have classes or values, and
/// then edges. Else hidden edges are predicted.
pub fn starting_scene(name: &str, graph: &str, imported: &Imported) -> String {
    let data = &imported.data;
    if let Some(kinds) = &data.kinds {
        return scene_of_kinds(name, graph, data, kinds);
    }
    let (features, task) = (features(data), task(data));
    let (comments, model) = (comments(imported, task.comment), task.model);
    let (task, optimizer, training) = (task.text, task.optimizer, task.training);
    // RON escapes text as Rust does.
    format!(
        "{comments}(
    name: {name:?},
    graph: Npz({graph:?}),
    features: {features:?},
    model: [{model}
    ],
    task: {task},
    optimizer: {optimizer},
    training: {training},
)
"
    )
}

/// The text of a scene with kinds of nodes: two convolutions along each relation and back.
fn scene_of_kinds(name: &str, graph: &str, data: &GraphData, kinds: &GraphKinds) -> String {
    let others = kinds.others.iter().map(|kind| (&kind.name, &kind.nodes));
    let all: Vec<(&String, &GraphData)> = std::iter::once((&kinds.own, data)).chain(others).collect();
    let (mut counts, mut nodes, mut relations) = (Vec::new(), String::new(), String::new());
    for (kind, of_kind) in &all {
        counts.push(format!("{} nodes of the kind {}", of_kind.nodes, one_line(kind)));
        let made = match of_kind.features.width() {
            0 if of_kind.nodes <= MAX_COLUMNS => "(features: Identity)",
            0 => "(features: Ones)",
            _ => "()",
        };
        nodes += &format!("\n        {kind:?}: {made},");
    }
    for RelationEdges { name, ends, reverse, edges, .. } in &kinds.relations {
        counts.push(format!("{} edges {}", edges.len(), one_line(name)));
        let [source, target] = ends.map(|kind| all[kind].0);
        let reverse = reverse.as_ref().map_or_else(String::new, |reverse| format!(", reverse: {reverse:?}"));
        relations += &format!("\n        (name: {name:?}, source: {source:?}, target: {target:?}{reverse}),");
    }
    let targets = data.targets.as_ref().filter(|targets| targets.width > 0 && data.classes <= 1);
    let (task, width) = match targets {
        Some(targets) => ("NodeRegression()", targets.width),
        None => ("NodeClassification", data.classes),
    };
    let (counts, own) = (counts.join(", "), &kinds.own);
    format!(
        "// {counts}. A convolution along each relation and back; change it as you like.
(
    name: {name:?},
    graph: Npz({graph:?}),
    kind: {own:?},
    nodes: {{{nodes}
    }},
    relations: [{relations}
    ],
    model: [
        HeteroConv(convolution: SageConv(width: 32)),
        Relu,
        Dropout(0.5),
        HeteroConv(convolution: SageConv(width: {width})),
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
    model: String,
    optimizer: &'static str,
    training: &'static str,
    comment: &'static str,
}

fn task(data: &GraphData) -> StartingTask {
    if let Some(graphs) = &data.graphs {
        let targets = graphs.targets.as_ref().filter(|targets| targets.width > 0 && graphs.classes <= 1);
        return StartingTask {
            text: if targets.is_some() { "GraphRegression()" } else { "GraphClassification" },
            model: isomorphism_network(targets.map_or(graphs.classes.max(1), |targets| targets.width)),
            optimizer: "Adam(learning_rate: 0.01)",
            training: "(epochs: 100, batch_size: 32, seed: 0)",
            comment: "The model is that of Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019, made small.",
        };
    }
    if data.classes > 1 && data.count(Split::Train) > 0 {
        return StartingTask {
            text: "NodeClassification",
            model: convolutions(16, data.classes),
            optimizer: "Adam(learning_rate: 0.01, weight_decay: 5e-4)",
            training: "(epochs: 200, seed: 0)",
            comment: "The recipe of Kipf and Welling for citation graphs; change it as you like.",
        };
    }
    if let Some(targets) = data.targets.as_ref().filter(|targets| targets.width > 0 && data.count(Split::Train) > 0) {
        return StartingTask {
            text: "NodeRegression()",
            model: convolutions(16, targets.width),
            optimizer: "Adam(learning_rate: 0.01)",
            training: "(epochs: 200, seed: 0)",
            comment: "The numbers of each node are predicted from those of its neighbors.",
        };
    }
    let is_predicted = |edges: &&EdgeLabels| edges.classes > 1 || edges.targets.is_some();
    let of_edges = data.edge_labels.as_ref().filter(|edges| edges.splits.contains(&Split::Train)).filter(is_predicted);
    if let Some(edges) = of_edges {
        let targets = edges.targets.as_ref().filter(|targets| targets.width > 0 && edges.classes <= 1);
        return StartingTask {
            text: if targets.is_some() { "EdgeRegression()" } else { "EdgeClassification" },
            model: edge_decoder(targets.map_or(edges.classes, |targets| targets.width)),
            optimizer: "Adam(learning_rate: 0.01)",
            training: "(epochs: 200, seed: 0)",
            comment: "Each edge is predicted from its two nodes, and these from their neighbors.",
        };
    }
    StartingTask {
        text: "LinkPrediction(validation: 0.05, test: 0.1)",
        model: convolutions(32, EMBEDDING),
        optimizer: "Adam(learning_rate: 0.01)",
        training: "(epochs: 200, seed: 0)",
        comment: "There are no classes to learn; hidden edges are predicted.",
    }
}

/// The model of T. N. Kipf and M. Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017.
fn convolutions(hidden: usize, output: usize) -> String {
    format!(
        "
        Dropout(0.5),
        GcnConv(width: {hidden}),
        Relu,
        Dropout(0.5),
        GcnConv(width: {output}, weight_decay: 0.0),"
    )
}

/// A convolution, and a perceptron of what it says of the two nodes of an edge.
fn edge_decoder(width: usize) -> String {
    format!(
        "
        SageConv(width: 32),
        Relu,
        EdgeDecoder(nn: (widths: [32, {width}])),"
    )
}

/// GIN-0 with three rounds, of which each is summed up.
fn isomorphism_network(width: usize) -> String {
    let round = "
            [GinConv(nn: (widths: [32, 32], batch_norm: true)), BatchNorm(), Relu],";
    format!(
        "
        JumpingKnowledge(blocks: [{round}{round}{round}
        ]),
        Readout(Sum),
        Dropout(0.5),
        Linear(width: {width}),"
    )
}

/// What the model can learn from: counts are normalized, and nodes without features are told apart by what there is.
fn features(data: &GraphData) -> NodeFeatures {
    let is_set = data.graphs.is_some();
    match &data.features {
        features if features.width() == 0 && !is_set && data.nodes <= MAX_COLUMNS => NodeFeatures::Identity,
        features if features.width() == 0 => NodeFeatures::Degree,
        Features::Sparse { values, .. } if !is_set && values.iter().all(|&value| value >= 0.0) => {
            NodeFeatures::RowNormalized
        }
        _ => NodeFeatures::Given,
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
    if data.split_count() > 1 {
        let count = data.split_count();
        text += &format!(
            "// The data come with {count} splits: `train --split 3` takes one of them, `train --split all` all.\n"
        );
    }
    if !data.class_names.is_empty() {
        let names = data.class_names.iter().take(MAX_NAMES).enumerate();
        let names: Vec<String> = names.map(|(number, name)| format!("{number} = {}", one_line(name))).collect();
        let more = if data.class_names.len() > MAX_NAMES { ", …" } else { "" };
        text += &format!("// Classes: {}{more}.\n", names.join(", "));
    }
    text
}

/// A name that neither ends a comment nor moves a terminal.
fn one_line(name: &str) -> String {
    name.chars().take(60).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
