//! Whether a scene and its graph go together.

use super::settings::layer_field;
use crate::data::{GraphData, RowKind};
use crate::scene::description::{NodeOrder, SceneFile};
use crate::scene::error::Fault;
use crate::scene::heads::SceneHead;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::{self, Field, Ranked};
use crate::scene::model::{Output, Plan};
use crate::suggest::quote;
use crate::task::{DataProblem, Demand};
use connectome_components::Split;

/// Checks the scene against its graph, but for the model; returns what each head asks of it.
pub(in crate::scene) fn check_data(scene: &SceneFile, data: &GraphData) -> Result<Vec<Demand>, Fault> {
    let mut demands = Vec::new();
    for head in scene.all_heads() {
        let nodes = data.of_kind(head.kind);
        let demand = head.task.kind().demand(nodes, head.task.rows()).map_err(|problem| match problem {
            DataProblem::Task(problem) => Fault::new(head.task_field(&[]), problem.message, problem.help),
            DataProblem::Graph(problem) => Fault::new([Field("graph")], problem.message, problem.help),
        })?;
        if let (Some(kinds), Some((0, _))) = (&data.kinds, demand.width) {
            let name = head.kind.unwrap_or(&kinds.own);
            let message = format!("nothing is known of nodes of the kind {} that could be predicted", quote(name));
            let help = format!("give the npz file an array y.{name}, or node_target.{name}");
            return Err(Fault::new(head.task_field(&[]), message, help));
        }
        if scene.training.patience.is_some() && demand.validated == 0 {
            return Err(blind_patience(&head, data));
        }
        demands.push(demand);
    }
    check_order(scene, data)?;
    check_batches(scene, data)?;
    check_features(scene, data)?;
    Ok(demands)
}

/// Checks what the model gives against what its heads predict.
pub(in crate::scene) fn check_output(
    scene: &SceneFile,
    data: &GraphData,
    demands: &[Demand],
    plan: &Plan,
) -> Result<(), Fault> {
    for ((head, demand), output) in scene.all_heads().iter().zip(demands).zip(&plan.outputs) {
        check_rows(scene, head, output.rows)?;
        check_width(scene, head, output, demand)?;
        check_class_weights(head, data.of_kind(head.kind))?;
    }
    Ok(())
}

/// Checks that a class that is to be learned has a weight above 0: else the loss would be 0 divided by 0.
fn check_class_weights(head: &SceneHead, data: &GraphData) -> Result<(), Fault> {
    let rows = head.task.rows();
    let labels = data.labels_of(rows).filter(|_| !head.task.kind().reads_targets() && !head.class_weights().is_empty());
    let Some(labels) = labels else { return Ok(()) };
    let splits = data.splits_of(rows);
    let mut learned = labels.labels.iter().zip(&splits).filter(|(_, split)| **split == Split::Train);
    if learned.any(|(class, _)| head.class_weights().get(*class as usize).is_none_or(|weight| *weight > 0.0)) {
        return Ok(());
    }
    let message = format!(
        "the classes of all {} to train on have the weight 0, so their loss is 0 divided by 0: a class of weight 0 is neither \
         learned nor counted in the loss",
        rows.plural()
    );
    let help = format!("give a class of the {} in Train a weight above 0", rows.plural());
    Err(Fault::new(head.field("class_weights"), message, help))
}

/// Checks that the rows of an output are those that something is predicted of.
fn check_rows(scene: &SceneFile, head: &SceneHead, found: RowKind) -> Result<(), Fault> {
    let wanted = head.task.rows();
    if found == wanted {
        return Ok(());
    }
    let message = format!(
        "the model gives a row for each {}, but the task is about {}",
        found.singular(),
        if head.task.links().is_some() { "pairs of nodes" } else { wanted.plural() },
    );
    let help = match (found, wanted) {
        (RowKind::Graphs, _) => "remove the readout",
        (_, RowKind::Graphs) => "add a readout after the last convolution, such as Readout(Sum)",
        (RowKind::Nodes, _) => {
            "end it with EdgeDecoder(nn: (widths: [16, 1])), the last width being that of the output"
        }
        (RowKind::Edges, _) => "remove the EdgeDecoder",
    };
    Err(Fault::new(head.layers(scene).1, message, help))
}

/// What batches of graphs predict comes in the order of their rows.
fn check_order(scene: &SceneFile, data: &GraphData) -> Result<(), Fault> {
    let mut heads = scene.all_heads().into_iter();
    if data.graphs.is_none() || scene.order == NodeOrder::Given || heads.all(|head| head.task.rows() == RowKind::Graphs)
    {
        return Ok(());
    }
    let message =
        "nodes or edges of a set of graphs are predicted in the order of their rows, which is not that of the file";
    Err(Fault::new([Field("order")], message, "write `order: Given`"))
}

fn blind_patience(head: &SceneHead, data: &GraphData) -> Fault {
    let rows = if data.graphs.is_some() { RowKind::Graphs } else { head.task.rows() };
    let (message, help) = match head.task.links() {
        Some(_) => ("no edge is hidden for validation".to_owned(), "raise the share for validation".to_owned()),
        None => (
            format!("no {} is in the split Validation", rows.singular()),
            format!("put {} into Validation", rows.plural()),
        ),
    };
    let message = format!("patience watches the validation loss, but {message}");
    Fault::new([Field("training"), Field("patience")], message, format!("{help}, or remove patience"))
}

fn check_batches(scene: &SceneFile, data: &GraphData) -> Result<(), Fault> {
    let sampled = !scene.training.fan_outs.is_empty();
    let is_of_nodes = |head: &SceneHead| head.task.rows() == RowKind::Nodes && head.task.links().is_none();
    if sampled && !(scene.all_heads().iter().all(is_of_nodes) && data.graphs.is_none()) {
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

fn check_features(scene: &SceneFile, data: &GraphData) -> Result<(), Fault> {
    if data.kinds.is_some() {
        for ((rank, name, _), nodes) in scene.all_kinds().into_iter().zip(data.all_kinds()) {
            if nodes.features.width() == 0 {
                let message = format!("the nodes of the kind {} have no features", quote(name));
                let help = "give each of them features, or write `features: Identity` or `features: Ones`";
                return Err(Fault::new([Field("nodes"), Ranked(rank), Field("features")], message, help));
            }
        }
        return Ok(());
    }
    if data.features.width() == 0 {
        let message = "the nodes have no features";
        let help = "give each node features, or write `features: Identity`, `features: Degree` or `features: Ones`";
        return Err(Fault::new([Field("features")], message, help));
    }
    Ok(())
}

/// Where the width of a layer stands: in the convolution along each relation, if it has one.
fn within_convolution(mut path: Vec<Step<'static>>, layer: &LayerDescription) -> Vec<Step<'static>> {
    if matches!(layer, LayerDescription::HeteroConv(of) if of.convolution.is_some()) {
        path.insert(path.len() - 1, Field("convolution"));
    }
    path
}

/// Checks that the model has as many outputs as are needed: one for each class or target of the rows.
fn check_width(scene: &SceneFile, head: &SceneHead, output: &Output, demand: &Demand) -> Result<(), Fault> {
    let Some((needed, [one, several])) = demand.width else { return Ok(()) };
    if output.width != needed {
        let rows = head.task.rows().plural();
        let counted = if needed == 1 { one } else { several };
        let message = format!("the model's output is {} wide, but the {rows} have {needed} {counted}", output.width);
        let (layers, path) = head.layers(scene);
        return match layers.iter().rposition(|layer| !layer.keeps_width()) {
            Some(number) => {
                let help = format!("there must be one output for each {one}: write width: {needed}");
                let path = layer_field(path, number, "width");
                Err(Fault::new(within_convolution(path, &layers[number]), message, help))
            }
            None => {
                let help = format!("end the model with a layer that has width: {needed}");
                Err(Fault::new(path, message, help))
            }
        };
    }
    let weights = head.class_weights();
    if weights.is_empty() || weights.len() == needed {
        return Ok(());
    }
    let message = format!("there are {} class weights, but {needed} {several}", weights.len());
    Err(Fault::new(head.field("class_weights"), message, format!("write one weight for each {one}")))
}
