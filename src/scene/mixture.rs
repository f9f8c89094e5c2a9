//! Mixtures of experts in scenes.

use connectome_components::{GateLosses, Mixing};
use connectome_systems::{MixtureBuilder, MixturePart, ModelBuilder};
use serde::{Deserialize, Serialize};

use super::description::SceneFile;
use super::layer::LayerDescription;
use super::locate::Step::{self, Field, Index};

/// The most experts of a mixture: each has a world of its own.
pub(super) const MAX_EXPERTS: usize = 1 << 10;

/// Several models, the experts, and a gate that chooses among them for each graph or each node. The layers of the scene's
/// `model` read what the chosen ones predict together, and may be none.
///
/// Optimizer, schedule and clipping are those of the scene, for each of these models by itself.
///
/// ```
/// use connectome::scene::SceneFile;
///
/// let scene = r#"(
///     name: "molecules",
///     graph: Npz("molecules.npz"),
///     mixture: (
///         experts: [(layers: [GinConv(nn: (widths: [32, 32])), Relu, Readout(Sum)], count: 4)],
///         gate: TopK(2),
///         gate_layers: [Readout(Mean)],
///         losses: (balance: 0.01),
///     ),
///     model: [Linear(width: 2)],
///     task: GraphClassification,
///     optimizer: Adam(learning_rate: 0.01),
///     training: (batch_size: 32),
/// )"#;
/// let scene = SceneFile::parse(scene, "molecules.ron")?;
/// assert_eq!(scene.mixture.unwrap().expert_count(), 4);
/// # Ok::<(), connectome::scene::SceneError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureDescription {
    /// The experts.
    pub experts: Vec<ExpertDescription>,
    /// How many experts compute each graph or node.
    #[serde(default)]
    pub gate: Gate,
    /// The layers of the gate, after which a linear one follows with a logit for each expert. They end on graphs, as by a
    /// `Readout`, or on nodes, for which experts are chosen then; experts predict the same, or nodes of the graphs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate_layers: Vec<LayerDescription>,
    /// What the auxiliary losses of the gate weigh.
    #[serde(default)]
    pub losses: GateLosses,
    /// The noise by which experts are chosen in training; see
    /// [`MixtureOfExperts::noise`](crate::components::MixtureOfExperts::noise).
    #[serde(default)]
    pub noise: f32,
    /// Whether experts compete for rows, and how sharply in the last epoch, instead of learning what their sum gets wrong; before,
    /// in proportion to the epoch, since of experts that compete sharply from the start one may win all rows. `model` has no layers
    /// then. See [`MixtureOfExperts::competition`](crate::components::MixtureOfExperts::competition).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub competition: Option<f32>,
    /// How the outputs of experts are summed.
    #[serde(default)]
    pub mixing: Mixing,
}

/// One expert of a scene, or several of the same layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpertDescription {
    /// Its layers, at least one.
    pub layers: Vec<LayerDescription>,
    /// How many experts have these layers; they begin with different parameters.
    #[serde(default = "one")]
    pub count: usize,
}

fn one() -> usize {
    1
}

/// How many experts compute each graph or node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Gate {
    /// All of them; their weights are the softmax of the logits.
    #[default]
    Softmax,
    /// So many with the largest logits; their weights are the softmax over them or, of a single one, its probability.
    TopK(usize),
}

impl MixtureDescription {
    /// The number of experts.
    pub fn expert_count(&self) -> usize {
        self.experts.iter().map(|expert| expert.count).fold(0, usize::saturating_add)
    }

    /// The place of the description of an expert among all.
    pub(super) fn description_of(&self, expert: usize) -> usize {
        let mut first = 0;
        let is_before = |description: &&ExpertDescription| {
            first += description.count;
            first <= expert
        };
        self.experts.iter().take_while(is_before).count()
    }

    /// The mixture, which `model` reads; `part` makes a model of layers.
    pub(super) fn builder(
        &self,
        model: ModelBuilder,
        part: impl Fn(&[LayerDescription]) -> ModelBuilder,
        seed: u64,
    ) -> MixtureBuilder {
        // That of the model, and those of the experts, which add their number, come before.
        let gate = part(&self.gate_layers).name("gate").seed(seed.wrapping_add(1 + self.expert_count() as u64));
        let builder = MixtureBuilder::new(gate, model).mixing(self.mixing).loss_weights(self.losses).noise(self.noise);
        let builder = match self.competition {
            Some(sharpness) => builder.competition(sharpness),
            None => builder,
        };
        let builder = match self.gate {
            Gate::Softmax => builder,
            Gate::TopK(top_k) => builder.top_k(top_k),
        };
        let experts = self.experts.iter().flat_map(|expert| std::iter::repeat_n(expert, expert.count));
        experts.enumerate().fold(builder, |builder, (number, expert)| {
            builder.expert(part(&expert.layers).name(&format!("expert {number}")).seed(seed.wrapping_add(1)))
        })
    }
}

impl SceneFile {
    /// The layers of a part of the model, and where they stand.
    pub(super) fn layers_of(&self, part: MixturePart) -> (&[LayerDescription], Vec<Step<'static>>) {
        let mixture = self.mixture.as_ref();
        match (part, mixture) {
            (MixturePart::Gate, Some(mixture)) => (&mixture.gate_layers, vec![Field("mixture"), Field("gate_layers")]),
            (MixturePart::Expert(expert), Some(mixture)) => {
                let number = mixture.description_of(expert);
                let layers = mixture.experts.get(number).map_or(&[][..], |expert| &expert.layers);
                (layers, vec![Field("mixture"), Field("experts"), Index(number), Field("layers")])
            }
            _ => (&self.model, vec![Field("model")]),
        }
    }
}
