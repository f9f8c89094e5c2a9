//! Brain files: what a scene says of its model, without a graph.

use connectome_components::Optimizer;
use connectome_systems::{ModelBuilder, layers::BuildError};
use serde::{Deserialize, Serialize};

use super::check::{memory, settings};
use super::description::{GraphSource, SceneFile, Training};
use super::error::{Fault, Faults, SceneError, Source};
use super::heads::{HeadDescription, HeadFields};
use super::layer::LayerDescription;
use super::load::decode;
use super::locate::Step::{self, Field};
use super::model::Purpose;
use super::schedule::EpochSchedule;
use super::syntax::{self, Description};
use crate::task::Task;

/// A model for a graph of a live world: the content of one file `*.brain.ron`.
///
/// It has the fields of a [`SceneFile`] that concern the model. The graph, and what is read and written, are those of the world:
/// they belong to the [`ModelBuilder`] that is [described](Self::describe).
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome::{prelude::*, scene::BrainFile};
///
/// #[derive(Component, Default, Features)]
/// struct Mood(f32);
/// #[derive(Component, Default, Features)]
/// struct Tomorrow(f32);
///
/// let text = r#"(
///     model: [SageConv(width: 8), Tanh, Linear(width: 1)],
///     task: NodeRegression(loss: MeanSquaredError),
///     optimizer: Adam(learning_rate: 0.01),
///     training: (seed: 3),
/// )"#;
/// let brain = BrainFile::parse(text.as_bytes(), "mood.brain.ron")?;
/// let mut world = World::new();
/// let graph = Graph::of::<Mood, Edge>(&mut world);
/// let model = brain.describe(ModelBuilder::new(graph).reads::<Mood>().predicts::<Tomorrow>());
/// let model = world.spawn_model(model)?;
/// world.spawn((Mood(0.2), Tomorrow(0.5), Split::Train));
/// world.train(model)?;
///
/// let error = BrainFile::parse(text.replace("Tanh", "Tan").as_bytes(), "mood.brain.ron").unwrap_err();
/// assert!(error.to_string().starts_with("mood.brain.ron:2:33: there is no layer \"Tan\""));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Brain")]
pub struct BrainFile {
    /// What people call it.
    #[serde(default = "brain")]
    pub name: String,
    /// The layers, first to last.
    pub model: Vec<LayerDescription>,
    /// What the model predicts; see [`SceneFile::task`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What it predicts by several heads, in place of a task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<HeadDescription>,
    /// How parameters follow their gradients; without it, the model infers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Optimizer>,
    /// How it learns, and from which seed.
    #[serde(default)]
    pub training: BrainTraining,
    /// The file of the weights it begins with, its path taken from the folder of the brain file. Without it they are drawn from
    /// the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The name of the file and its text, for errors.
    #[serde(skip)]
    origin: (String, String),
}

/// How a brain learns; of [`Training`] what concerns a live world, in which a step is an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrainTraining {
    /// From which every random number follows.
    pub seed: u64,
    /// How the learning rate changes with the steps.
    pub schedule: EpochSchedule,
    /// Ticks whose gradients are summed up before the parameters follow them.
    pub accumulation_steps: usize,
    /// Gradients longer than this are shortened to it: the length of all of them as one vector. Without it, none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f32>,
}

impl Default for BrainTraining {
    fn default() -> Self {
        let Training { seed, schedule, accumulation_steps, clip_norm, .. } = Training::default();
        Self { seed, schedule, accumulation_steps, clip_norm }
    }
}

fn brain() -> String {
    "brain".to_owned()
}

impl BrainFile {
    /// Reads the bytes of a brain file and checks all that needs no world; `file_name` is for errors.
    ///
    /// # Errors
    ///
    /// If it is no text, malformed, or makes no sense; the error shows where.
    pub fn parse(bytes: &[u8], file_name: &str) -> Result<Self, SceneError> {
        let source = Source { file: file_name, text: decode(file_name, bytes)? };
        let mut brain: Self = syntax::read(&source)?;
        let (scene, faults) = (brain.scene(), brain.faults());
        let checked =
            if faults.is_empty() { memory::check_size(&scene).map_err(Faults::from) } else { Err(Faults(faults)) };
        checked.map_err(|faults| source.locate_all(faults))?;
        brain.origin = (file_name.to_owned(), source.text.to_owned());
        Ok(brain)
    }

    /// Gives a model the layers and heads of the file, and its optimizer if it has one.
    pub fn describe(&self, model: ModelBuilder) -> ModelBuilder {
        let purpose = if self.optimizer.is_some() { Purpose::Training } else { Purpose::Inference };
        let (scene, fields) = (self.scene(), HeadFields::default());
        let model = scene.with_part(purpose, model.name(&self.name).seed(self.training.seed), &scene.model);
        scene.with_heads(model, purpose, &fields)
    }

    /// Where in the file it lies that its model cannot be built in a world.
    pub fn locate(&self, error: BuildError) -> SceneError {
        let (file, text) = &self.origin;
        Source { file, text }.locate(memory::build_fault(&self.scene(), error))
    }

    /// A scene with the model and no graph.
    fn scene(&self) -> SceneFile {
        let BrainTraining { seed, schedule, accumulation_steps, clip_norm } = self.training;
        SceneFile {
            name: self.name.clone(),
            graph: GraphSource::Inline { nodes: Vec::new(), edges: Vec::new(), undirected: false },
            features: Default::default(),
            order: Default::default(),
            kind: None,
            nodes: Default::default(),
            relations: Vec::new(),
            mixture: None,
            model: self.model.clone(),
            task: self.task,
            heads: self.heads.clone(),
            // Without one, nothing reads it.
            optimizer: self.optimizer.unwrap_or(Optimizer::adam(0.0)),
            training: Training { seed, schedule, accumulation_steps, clip_norm, ..Training::default() },
        }
    }
}

impl Description for BrainFile {
    fn faults(&self) -> Vec<Fault> {
        let scene = self.scene();
        let mut faults = settings::check_parameters(&scene);
        // Their targets come with data that a scene prepares.
        let prepared =
            |task: &Task| matches!(task, Task::LinkPrediction(_) | Task::Rewriting | Task::VariableMisuse(_));
        for head in scene.all_heads().into_iter().filter(|head| prepared(&head.task)) {
            let help = "write a task of nodes, edges or graphs, such as NodeRegression()";
            faults.push(Fault::new(head.task_field(&[]), "a brain has no data for this task", help));
        }
        if self.weights.as_ref().is_some_and(String::is_empty) {
            let help = "write the path of a file, such as \"flock.safetensors\", or remove weights";
            faults.push(Fault::new([Field("weights")] as [Step; 1], "the path of the weights is empty", help));
        }
        faults
    }
}
