//! Whether a scene and its graph go together.

use connectome_components::Split;

use super::settings::layer_field;
use crate::data::GraphData;
use crate::data::GraphSet;
use crate::data::{Hidden, non_edge_count, undirected_edges};
use crate::scene::description::{SceneFile, Task};
use crate::scene::error::Fault;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::Field;
use crate::scene::model::{Plan, Rows};

/// Checks the scene against its graph, but for the model.
pub(in crate::scene) fn check_data(scene: &SceneFile, data: &GraphData) -> Result<(), Fault> {
    let validated = match (scene.task, &data.graphs) {
        (Task::GraphClassification, Some(graphs)) => count_graphs(graphs)?,
        (Task::NodeClassification, None) => count_nodes(data)?,
        (Task::NodeRegression { .. }, None) => {
            target_width(data)?;
            count_nodes(data)?
        }
        (Task::LinkPrediction { validation, test }, None) => count_pairs(data, validation, test)?,
        (Task::GraphClassification, None) => {
            let message = "GraphClassification needs a set of graphs, but the scene has one graph";
            let help = "name an npz file with node_ptr, or write `task: NodeClassification`";
            return Err(Fault::new([Field("task")], message, help));
        }
        (_, Some(graphs)) => {
            let message = format!("the task is about one graph, but the scene has a set of {}", graphs.len());
            return Err(Fault::new([Field("task")], message, "write `task: GraphClassification`"));
        }
    };
    if scene.training.patience.is_some() && validated == 0 {
        return Err(blind_patience(scene.task));
    }
    check_batches(scene, data)?;
    check_features(data)
}

/// Checks what the model gives against what it is to tell.
pub(in crate::scene) fn check_output(scene: &SceneFile, data: &GraphData, plan: Plan) -> Result<(), Fault> {
    match (scene.task, &data.graphs) {
        (Task::GraphClassification, Some(_)) if plan.output != Rows::Graphs => {
            let message = "the model gives a row for each node, but the task is about graphs";
            Err(Fault::new([Field("model")], message, "add a readout after the last convolution, such as Readout(Sum)"))
        }
        (Task::NodeClassification | Task::NodeRegression { .. } | Task::LinkPrediction { .. }, _)
            if plan.output != Rows::Nodes =>
        {
            let message = "the model does not give a row for each node, but the task is about nodes";
            Err(Fault::new([Field("model")], message, "remove the readout"))
        }
        (Task::GraphClassification, Some(graphs)) => {
            check_width(&scene.model, plan.width, graphs.classes, ["graphs", "class", "classes"])
        }
        (Task::NodeClassification, _) => {
            check_width(&scene.model, plan.width, data.classes, ["nodes", "class", "classes"])
        }
        (Task::NodeRegression { .. }, _) => {
            check_width(&scene.model, plan.width, target_width(data)?, ["nodes", "target", "targets"])
        }
        // Two nodes are compared by outputs of any width.
        _ => Ok(()),
    }
}

/// How many targets each node has.
fn target_width(data: &GraphData) -> Result<usize, Fault> {
    data.targets.as_ref().map(|targets| targets.width).filter(|width| *width > 0).ok_or_else(|| {
        let help = "give each node `targets: [...]`, or the npz file an array node_target [nodes, targets]";
        Fault::new([Field("task")], "the nodes have no targets to tell", help)
    })
}

/// How many nodes are for validation; one at least must be to learn from.
fn count_nodes(data: &GraphData) -> Result<usize, Fault> {
    if data.count(Split::Train) == 0 {
        let message = "no node is in the split Train, so nothing can be learned";
        return Err(Fault::new([Field("graph")], message, "put at least one node into Train"));
    }
    Ok(data.count(Split::Validation))
}

/// The same for graphs.
fn count_graphs(graphs: &GraphSet) -> Result<usize, Fault> {
    if graphs.count(Split::Train) == 0 {
        let message = "no graph is in the split Train, so nothing can be learned";
        return Err(Fault::new([Field("graph")], message, "put at least one graph into Train"));
    }
    Ok(graphs.count(Split::Validation))
}

/// The same for edges; and for each hidden edge there must be a pair without one.
fn count_pairs(data: &GraphData, validation: f32, test: f32) -> Result<usize, Fault> {
    let edges = undirected_edges(data).len();
    let hidden = Hidden::of(edges, validation, test);
    if hidden.both() == edges {
        let message = "no edge between two nodes is left to learn from";
        return Err(Fault::new([Field("graph")], message, "add edges to the graph, or hide a smaller share of them"));
    }
    let free = non_edge_count(data.nodes, edges);
    // While learning, pairs without an edge are drawn as well.
    let needed = hidden.both().max(1);
    if free < needed as u64 {
        let message = format!("{free} pairs of nodes have no edge, but {needed} are needed to tell edges from them");
        return Err(Fault::new([Field("task")], message, "hide a smaller share of the edges, or use a sparser graph"));
    }
    Ok(hidden.validation)
}

fn blind_patience(task: Task) -> Fault {
    let (message, help) = match task {
        Task::NodeClassification | Task::NodeRegression { .. } => {
            ("no node is in the split Validation", "put nodes into Validation")
        }
        Task::GraphClassification => ("no graph is in the split Validation", "put graphs into Validation"),
        Task::LinkPrediction { .. } => ("no edge is hidden for validation", "raise the share for validation"),
    };
    let message = format!("patience watches the validation loss, but {message}");
    Fault::new([Field("training"), Field("patience")], message, format!("{help}, or remove patience"))
}

fn check_batches(scene: &SceneFile, data: &GraphData) -> Result<(), Fault> {
    let sampled = !scene.training.fan_outs.is_empty();
    if sampled && !matches!(scene.task, Task::NodeClassification | Task::NodeRegression { .. }) {
        let message = "neighbors are drawn for nodes, but the task is not about nodes";
        return Err(Fault::new([Field("training"), Field("fan_outs")], message, "remove fan_outs"));
    }
    if scene.training.batch_size.is_some() && data.graphs.is_none() && !sampled {
        let message = "a batch of one graph needs to know how many neighbors of its nodes it takes along";
        let help = "write as well, for example, `fan_outs: [10, 10]` for two convolutions, or remove batch_size";
        return Err(Fault::new([Field("training"), Field("batch_size")], message, help));
    }
    if scene.training.steps_per_epoch.is_some() && data.graphs.is_none() && !sampled {
        let message = "one graph that is computed as a whole is one step in each epoch";
        let help = "remove steps_per_epoch, or write how many neighbors make a batch, for example `fan_outs: [10, 10]`";
        return Err(Fault::new([Field("training"), Field("steps_per_epoch")], message, help));
    }
    if scene.training.accumulation_steps > 1 && scene.training.batch_size.is_none() {
        let message = "the gradients of several batches cannot be summed up where all is one batch";
        let help = "write `batch_size` as well, or remove accumulation_steps";
        return Err(Fault::new([Field("training"), Field("accumulation_steps")], message, help));
    }
    Ok(())
}

fn check_features(data: &GraphData) -> Result<(), Fault> {
    if data.features.width() == 0 {
        let message = "the nodes have no features";
        let help = "give each node features, or write `features: Identity`, `features: Degree` or `features: Ones`";
        return Err(Fault::new([Field("features")], message, help));
    }
    Ok(())
}

/// Checks that the model has as many outputs as are needed: one for each class or target of the rows.
fn check_width(
    model: &[LayerDescription],
    width: usize,
    needed: usize,
    [rows, one, several]: [&str; 3],
) -> Result<(), Fault> {
    if width == needed {
        return Ok(());
    }
    let counted = if needed == 1 { one } else { several };
    let message = format!("the model's output is {width} wide, but the {rows} have {needed} {counted}");
    match model.iter().rposition(|layer| !layer.keeps_width()) {
        Some(number) => {
            let help = format!("there must be one output for each {one}: write width: {needed}");
            Err(Fault::new(layer_field(number, "width"), message, help))
        }
        None => {
            let help = format!("end the model with a layer that has width: {needed}");
            Err(Fault::new([Field("model")], message, help))
        }
    }
}
