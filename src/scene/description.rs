//! What a scene file says, as plain data.

use connectome_components::{Optimizer, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::heads::HeadDescription;
use super::kinds::{NodeKindDescription, RelationDescription, each_once};
use super::layer::LayerDescription;
use super::mixture::MixtureDescription;
use super::schedule::EpochSchedule;
use crate::task::Task;

/// A graph, a model and how the model learns: the content of one scene file.
///
/// A scene that came from [`SceneFile::parse`] or [`SceneFile::load`] is valid; one built in code is checked by
/// [`SceneFile::validate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Scene")]
pub struct SceneFile {
    /// What people call it.
    pub name: String,
    /// Where the graph is found.
    pub graph: GraphSource,
    /// What is done to the features of the nodes before the model sees them.
    #[serde(default)]
    pub features: NodeFeatures,
    /// In which order the nodes lie in memory.
    #[serde(default)]
    pub order: NodeOrder,
    /// The kind of nodes that the task is about, if there are several kinds of nodes or of edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is read of the nodes of each kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "each_once")]
    pub nodes: BTreeMap<String, NodeKindDescription>,
    /// The relations along which nodes of some kinds send messages to those of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<RelationDescription>,
    /// Several models that are mixed, and what is read by the layers of `model` in place of the features of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<MixtureDescription>,
    /// The layers, first to last.
    pub model: Vec<LayerDescription>,
    /// What the model predicts by the output of its layers: `NodeClassification` if neither this nor `heads` is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What the model predicts by several heads, in place of a task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<HeadDescription>,
    /// How parameters follow their gradients.
    pub optimizer: Optimizer,
    /// How long and from which seed.
    #[serde(default)]
    pub training: Training,
}

/// Where the graph of a scene is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum GraphSource {
    /// In an `.npz` file, its path taken from the folder of the scene file.
    Npz(String),
    /// In the scene itself.
    Inline {
        /// The nodes; their order is their number.
        nodes: Vec<SceneNode>,
        /// The edges.
        edges: Vec<SceneEdge>,
        /// Whether each edge also goes back. A self-loop is its own way back and is not doubled.
        #[serde(default)]
        undirected: bool,
    },
    /// Terms of mathematics that are to be rewritten, one graph each: a [`Rewriting`](Task::Rewriting).
    Terms {
        /// What becomes of a term.
        rewrite: TermRewrite,
        /// Where the slots come from that are to be learned.
        #[serde(default)]
        slots: SlotSource,
        /// The pairs to learn from. No other pairs have one of their sources, if these are generated.
        train: TermPairs,
        /// Those that choose the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<TermPairs>,
        /// Those that are reported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<TermPairs>,
    },
    /// Functions of Python in which a variable may be misused, one graph each: a [`VariableMisuse`](Task::VariableMisuse).
    ///
    /// Files are JSON lines, plain or gzipped, as a [`MisuseExample`](crate::languages::code::MisuseExample) is read; their paths
    /// are taken from the folder of the scene file.
    Functions {
        /// The functions to learn from. Misuses are planted in them anew in each epoch; those that they have are repaired first.
        train: Vec<String>,
        /// How many functions an epoch takes, as many from each file; each is learned from with a misuse and without.
        per_epoch: usize,
        /// The examples that choose the epoch. Functions that are those of `train` up to names are left out, here and in `test`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        validation: Vec<String>,
        /// Those that are reported.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        test: Vec<String>,
    },
    /// Words of which inflected forms are learned, one graph each: a [`Rewriting`](Task::Rewriting).
    ///
    /// Files have a lemma, a form and its tags in a line, `Haus\tHäusern\tN;DAT;PL`, as [`Inflection`] reads them; their paths
    /// are taken from the folder of the scene file.
    ///
    /// [`Inflection`]: crate::languages::text::Inflection
    Words {
        /// Number of slots of a character: the most characters that become of one.
        slots: u32,
        /// The most characters that are known, of which those that are written most often in training come first. All others
        /// can be kept.
        #[serde(default = "alphabet_size")]
        characters: u32,
        /// The file to learn from.
        train: String,
        /// So many words of it, evenly spread, are not learned, but choose the epoch.
        #[serde(default, skip_serializing_if = "is_zero")]
        held_out: usize,
        /// The file that chooses the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<String>,
        /// The file that is reported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
    },
}

fn alphabet_size() -> u32 {
    48
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What becomes of a term, by rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TermRewrite {
    /// A simpler form.
    Simplify,
    /// The derivative with respect to a symbol.
    Derive(String),
}

/// Where the slots of a pair come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum SlotSource {
    /// From the steps of the rules.
    #[default]
    Rules,
    /// From the pairs alone, by [alignment](crate::languages::rewriting::align).
    Pairs,
}

/// Where pairs of terms are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TermPairs {
    /// In a file of JSON lines, `{"source": "add x 0", "target": "x"}`, plain or gzipped; its path is taken from the folder of
    /// the scene file.
    File(String),
    /// They are generated.
    Generated {
        /// How many.
        count: usize,
        /// The least and the greatest depth of a source.
        depths: (u32, u32),
        /// From which they follow.
        seed: u64,
    },
}

/// A node that is written out in a scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneNode {
    /// What edges call it: not empty, and no other node's.
    pub name: String,
    /// Its kind, in a scene with several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its features, as many as every other node of its kind has.
    #[serde(default)]
    pub features: Vec<f32>,
    /// Its class, counted from 0.
    #[serde(default)]
    pub label: u32,
    /// Values to predict, as many as every other node of its kind has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<f32>,
    /// Which part of the data it belongs to.
    #[serde(default)]
    pub split: Split,
}

/// An edge that is written out in a scene; messages run from `source` to `target`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneEdge {
    /// Name of the node it leaves.
    pub source: String,
    /// Name of the node it enters.
    pub target: String,
    /// Its relation, in a scene with several kinds of nodes or of edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// How much its messages count.
    #[serde(default = "one")]
    pub weight: f32,
    /// Its features, as many as every other edge has, or every other one of its relation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<f32>,
    /// Its class, counted from 0. If edges are undirected, both directions have the same.
    #[serde(default)]
    pub label: u32,
    /// Values to predict, as many as every other edge has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<f32>,
    /// Which part of the data it belongs to.
    #[serde(default)]
    pub split: Split,
}

fn one() -> f32 {
    1.0
}

/// What is done to the features of the nodes before the model sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum NodeFeatures {
    /// Nothing.
    #[default]
    Given,
    /// Each row is divided by its sum; rows that sum to 0 are left.
    RowNormalized,
    /// Features are ignored: each node gets the one-hot code of its own number.
    Identity,
    /// Features are ignored: each node gets the one-hot code of how many edges enter it, among the counts that occur.
    Degree,
    /// Features are ignored: each node gets the number 1.
    Ones,
}

/// In which order nodes lie in memory, and edges by the place of their target, then of their source.
///
/// The nearer a node lies to its neighbors, the more of what it reads from them is in the cache of the processor. All
/// that is written, as by `infer`, has the order of the file whatever the order of the rows; but sums are taken in that
/// order and dropout is drawn by row, so each order has bits of its own, the same for any number of workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum NodeOrder {
    /// That of the file, for edges as well.
    #[default]
    Given,
    /// Those with most edges first; see [`order_by_degree`](crate::systems::algorithms::ordering::order_by_degree).
    Degree,
    /// Close to their neighbors; see [`reverse_cuthill_mckee`](crate::systems::algorithms::ordering::reverse_cuthill_mckee).
    ReverseCuthillMcKee,
}

/// How long a model learns, and from which seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Passes over the graph; with 0 the model stays as it was drawn.
    pub epochs: u64,
    /// From which every random number follows.
    pub seed: u64,
    /// How the learning rate changes with the epochs.
    pub schedule: EpochSchedule,
    /// Which epoch's parameters are kept.
    pub keep: Selection,
    /// Epochs without an improvement in validation after which training stops early; without it, all epochs run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// What counts as an improvement for `patience`.
    #[serde(skip_serializing_if = "Monitor::is_default")]
    pub monitor: Monitor,
    /// Graphs of a set that are computed at once, or nodes of one graph with their `fan_outs`; without it, all that are
    /// to be learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// How many neighbors of each node are drawn for a batch, layer by layer, the one nearest to the output first (W.
    /// L. Hamilton et al., *Inductive Representation Learning on Large Graphs*, 2017). Without it, one graph is
    /// computed as a whole. To measure, all neighbors are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fan_outs: Vec<usize>,
    /// Batches in an epoch, drawn from one shuffling of the graphs after the other; without it, as many as one pass
    /// takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_epoch: Option<u64>,
    /// Batches whose gradients are summed up before the parameters follow them. An epoch ends in a step, be it of
    /// fewer.
    pub accumulation_steps: usize,
    /// Gradients longer than this are shortened to it: the length of all of them as one vector. Without it, none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
    /// What the parameters are measured and kept as: their exponential moving average over the steps, which keeps this fraction of
    /// itself at each, `average += (1 - averaging) * (value - average)`, and begins as the parameters after the first step (B. T.
    /// Polyak & A. B. Juditsky, *Acceleration of Stochastic Approximation by Averaging*, 1992; `AveragedModel` of PyTorch). Without
    /// it, they are taken as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub averaging: Option<f32>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 200,
            seed: 0,
            schedule: EpochSchedule::Constant,
            keep: Selection::BestValidation,
            patience: None,
            monitor: Monitor::Loss,
            batch_size: None,
            fan_outs: Vec::new(),
            steps_per_epoch: None,
            accumulation_steps: 1,
            clip_norm: None,
            averaging: None,
        }
    }
}

/// Which epoch's parameters are kept; of several that are equally good, the last.
///
/// The score is the metric by which a task is judged, such as the accuracy: see [`SceneFile::score_metric`]. For values, and for
/// several heads, there is none, and the loss counts alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Selection {
    /// Those with the best score on the validation rows and, of equal ones, the lowest loss.
    #[default]
    BestValidation,
    /// Those with the lowest validation loss.
    BestLoss,
    /// Those of the last epoch in which neither validation loss nor score was worse than in any epoch before: the choice of
    /// Velickovic et al., *Graph Attention Networks*, ICLR 2018.
    BestLossAndScore,
    /// Those of the last epoch.
    Last,
}

/// What counts as an improvement in validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Monitor {
    /// A loss below all before.
    #[default]
    Loss,
    /// A score above all before; the loss where there is no score.
    Score,
    /// A loss or a score that is as good as the best before, as in the code of Velickovic et al., *Graph Attention Networks*,
    /// ICLR 2018.
    LossOrScore,
}

impl Monitor {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
