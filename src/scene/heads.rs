//! The heads of a scene's model: those that it describes, or the one that its task is.

use connectome_components::{Field, SoftmaxGroups};
use connectome_systems::{Head, MixturePart, ModelBuilder, layers::InnerProductDecoder};

use bevy_ecs::entity::Entity;
use serde::{Deserialize, Serialize};

use super::description::SceneFile;
use super::layer::LayerDescription;
use super::locate::Step::{self, Field as Named, Index};
use super::model::Purpose;
use crate::data::{GraphData, RowKind};
use crate::task::Task;

/// The name of the head of a model with a task.
const OUTPUT: &str = "output";

/// A head of a model: layers on what the layers of the model compute, and what they predict.
///
/// ```
/// use connectome::scene::SceneFile;
///
/// let scene = r#"(
///     name: "molecules",
///     graph: Npz("molecules.npz"),
///     model: [GineConv(nn: (widths: [32])), Relu],
///     heads: [
///         (name: "toxic", layers: [Readout(Mean), Linear(width: 2)], task: GraphClassification, class_weights: [1.0, 5.0]),
///         (name: "charge", layers: [Linear(width: 1)], task: NodeRegression(loss: Huber(delta: 1.0)), weight: 0.1),
///         (name: "bond", layers: [EdgeDecoder(nn: (widths: [16, 4]))], task: EdgeClassification),
///     ],
///     optimizer: Adam(learning_rate: 0.01),
///     training: (batch_size: 32),
/// )"#;
/// let scene = SceneFile::parse(scene, "molecules.ron")?;
/// assert_eq!(scene.tasks().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["toxic", "charge", "bond"]);
/// # Ok::<(), connectome::scene::SceneError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadDescription {
    /// What it is called: a part of the names of its parameters, metrics and predictions, and no other head's.
    pub name: String,
    /// The kind of nodes that it is about; that of the scene without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// Its layers; without any it predicts by the output of the model's layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerDescription>,
    /// What it predicts.
    pub task: Task,
    /// What its loss is multiplied by in what the model minimizes.
    #[serde(default = "one")]
    pub weight: f32,
    /// How much each class counts, or each column of values; all the same without it. A class of weight 0 is neither learned nor
    /// part of any loss, but counts in accuracy and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f32>,
}

fn one() -> f32 {
    1.0
}

/// What a model predicts by one of its heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SceneHead<'a> {
    /// What it predicts.
    pub task: Task,
    /// What it is called.
    pub name: &'a str,
    /// The kind of nodes that it is about, unless that is the scene's own.
    pub kind: Option<&'a str>,
    /// The head as it is described, and its place among the others; none if it is the model's task.
    described: Option<(usize, &'a HeadDescription)>,
}

/// What the columns of a head's output stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictedColumns {
    /// What the rows are.
    pub rows: RowKind,
    /// The kind of nodes that they are, unless that is the scene's own.
    pub kind: Option<String>,
    /// How many columns there are.
    pub count: usize,
    /// What they stand for, such as `classes`.
    pub name: &'static str,
}

/// The fields that heads learn from; none without a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadFields {
    /// Values to predict of nodes, edges and graphs.
    pub targets: [Option<Field>; 3],
    /// Values to predict of nodes of other kinds, by the name of the kind.
    pub of_kinds: Vec<(String, Field)>,
    /// The graph whose edges are pairs of nodes, and whether the graph has them.
    pub pairs: Option<(Entity, Field)>,
    /// The groups of the outputs of slots.
    pub groups: Option<SoftmaxGroups>,
}

impl SceneFile {
    /// What the model predicts; one head at least.
    pub(crate) fn all_heads(&self) -> Vec<SceneHead<'_>> {
        if self.heads.is_empty() {
            let task = self.task.unwrap_or_default();
            return vec![SceneHead { task, name: OUTPUT, kind: None, described: None }];
        }
        let heads = self.heads.iter().enumerate();
        heads
            .map(|(number, head)| SceneHead {
                task: head.task,
                name: &head.name,
                kind: head.nodes.first().map(String::as_str).filter(|kind| Some(*kind) != self.kind.as_deref()),
                described: Some((number, head)),
            })
            .collect()
    }

    /// The names of what the model predicts and the tasks, in the order of the heads.
    pub fn tasks(&self) -> Vec<(&str, Task)> {
        self.all_heads().into_iter().map(|head| (head.name, head.task)).collect()
    }

    /// What the columns of each head's output stand for, of heads that predict classes, labels or values.
    pub fn predicted(&self, data: &GraphData) -> Vec<PredictedColumns> {
        let columns = |head: SceneHead| {
            let rows = head.task.rows();
            let (count, [one, several]) = head.task.kind().demand(data.of_kind(head.kind), rows).ok()?.width?;
            Some(PredictedColumns {
                rows,
                kind: head.kind.map(str::to_owned),
                count,
                name: if count == 1 { one } else { several },
            })
        };
        self.all_heads().into_iter().filter_map(columns).collect()
    }

    /// The metric of the validation rows that chooses the epoch to be kept, the greater the better, of equal ones that with the
    /// lowest loss; none if the loss alone does, as for values and for several heads.
    pub fn score_metric(&self) -> Option<&'static str> {
        match self.all_heads()[..] {
            [head] => head.task.kind().score(),
            _ => None,
        }
    }

    /// Whether values of these rows are predicted, of nodes those of another kind than the scene's own if one is named.
    pub(crate) fn reads_targets(&self, rows: RowKind, kind: Option<&str>) -> bool {
        let reads = |head: &SceneHead| head.task.rows() == rows && head.kind == kind;
        self.all_heads().iter().any(|head| reads(head) && head.task.kind().reads_targets())
    }

    /// Whether something of these rows is predicted.
    pub(crate) fn predicts(&self, rows: RowKind) -> bool {
        self.all_heads().iter().any(|head| head.task.rows() == rows && head.task.links().is_none())
    }

    /// Adds the heads to a model.
    pub(super) fn with_heads(&self, builder: ModelBuilder, purpose: Purpose, fields: &HeadFields) -> ModelBuilder {
        let complete = |head: Head, scene_head: &SceneHead| scene_head.complete(head, purpose, fields);
        self.all_heads().iter().fold(builder, |builder, scene_head| match scene_head.described {
            Some((_, described)) => {
                let head =
                    described.layers.iter().fold(Head::new(&described.name), |head, layer| head.layer(layer.clone()));
                let head = head.weight(described.weight).class_weights(described.class_weights.clone());
                let head = head.of_kinds(described.nodes.iter().map(String::as_str));
                builder.head(complete(head, scene_head))
            }
            None if purpose == Purpose::Inference && scene_head.task.links().is_none() => builder,
            None => builder.output_head(|head| complete(head, scene_head)),
        })
    }

    /// Where a layer stands that a part of the model counts by this number: those of the heads come after the model's own.
    pub(super) fn layer_at(&self, part: MixturePart, number: usize) -> (Vec<Step<'static>>, Option<&LayerDescription>) {
        let (layers, mut path) = self.layers_of(part);
        if let Some(layer) = layers.get(number) {
            path.push(Index(number));
            return (path, Some(layer));
        }
        let mut first = layers.len();
        for (head, described) in self.heads.iter().enumerate().filter(|_| part == MixturePart::Model) {
            if let Some(layer) = number.checked_sub(first).and_then(|number| described.layers.get(number)) {
                let path = vec![Named("heads"), Index(head), Named("layers"), Index(number - first)];
                return (path, Some(layer));
            }
            first += described.layers.len();
        }
        (path, None)
    }
}

impl<'a> SceneHead<'a> {
    fn complete(&self, head: Head, purpose: Purpose, fields: &HeadFields) -> Head {
        let rows = self.task.rows();
        let (head, targets) = match fields.pairs.filter(|_| self.task.links().is_some()) {
            Some((pairs, joined)) => (head.layer(InnerProductDecoder { pairs }), Some(joined)),
            None => {
                let targets = match self.kind {
                    Some(kind) => fields.of_kinds.iter().find(|(name, _)| name == kind).map(|(_, field)| *field),
                    None => fields.targets[rows as usize],
                };
                (head, targets.filter(|_| self.task.kind().reads_targets()))
            }
        };
        let head = if purpose == Purpose::Training { self.task.kind().learn(head, fields.groups) } else { head };
        match targets {
            Some(targets) => head.targets(targets),
            None => head,
        }
    }

    /// Its layers and, if it has none, those of the model or of the first expert; and where they stand.
    pub fn layers(&self, scene: &'a SceneFile) -> (&'a [LayerDescription], Vec<Step<'static>>) {
        match self.described {
            Some((number, head)) if !head.layers.is_empty() => {
                (&head.layers, vec![Named("heads"), Index(number), Named("layers")])
            }
            _ if scene.model.is_empty() && scene.mixture.is_some() => scene.layers_of(MixturePart::Expert(0)),
            _ => scene.layers_of(MixturePart::Model),
        }
    }

    /// What its loss is multiplied by.
    pub fn weight(&self) -> f32 {
        self.described.map_or(1.0, |(_, head)| head.weight)
    }

    /// How much each class counts; nothing if all count the same.
    pub fn class_weights(&self) -> &'a [f32] {
        self.described.map_or(&[], |(_, head)| &head.class_weights)
    }

    /// Where one of its fields stands in the scene.
    pub fn field(&self, name: &'static str) -> Vec<Step<'static>> {
        match self.described {
            Some((number, _)) => vec![Named("heads"), Index(number), Named(name)],
            None => vec![Named(name)],
        }
    }

    /// Where something of its task stands in the scene.
    pub fn task_field(&self, setting: &[&'static str]) -> Vec<Step<'static>> {
        self.field("task").into_iter().chain(setting.iter().copied().map(Named)).collect()
    }
}
