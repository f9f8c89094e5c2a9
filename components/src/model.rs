//! A model as an entity.

use bevy_ecs::{component::Component, entity::Entity};
use serde::{Deserialize, Serialize};

use crate::{ClassLabel, Field};

/// A model: the fields that it reads and writes, and the entities of its parameters.
#[derive(Component, Clone, Debug)]
pub struct Model {
    /// The graph whose nodes, edges and subgraphs it reads and writes.
    pub graph: Entity,
    /// The node features that it reads.
    pub input: FeatureField,
    /// What it predicts for nodes, edges or subgraphs; valid after each of its schedules. After a training step on a sample
    /// of neighborhoods only the rows of its seeds are, and all others are 0.
    pub output: Field,
    /// The gradient of the loss with respect to the output, if the model is trained: written by the loss, or by a
    /// system of yours.
    pub output_gradient: Option<Field>,
    /// The intermediate values that layers expose, valid after each of its schedules.
    pub kept: Vec<Field>,
    /// The target values of the output, if its loss takes values.
    pub targets: Option<Field>,
    /// All its heads. `output`, `output_gradient` and `targets` are those of the first.
    pub heads: Vec<ModelHead>,
    /// The inputs of the kinds of nodes beside that of the graph, by name.
    pub kinds: Vec<(String, FeatureField)>,
    /// The coordinates of the nodes after the last layer, written by inference, if the model reads coordinates.
    pub coordinates: Option<Field>,
    /// The entities of its parameters, in the order of its layers.
    pub parameters: Vec<Entity>,
    /// The fields of intermediate values, taken from a [`FieldPool`](crate::FieldPool). Values that are not needed at
    /// the same time share one.
    pub buffers: Vec<Field>,
}

impl Model {
    /// What the model reads of a kind of nodes beside that of its graph, by the name of the kind.
    pub fn input_of(&self, kind: &str) -> Option<FeatureField> {
        self.kinds.iter().find(|(name, _)| name == kind).map(|(_, input)| *input)
    }

    /// The head of this name.
    pub fn head(&self, name: &str) -> Option<&ModelHead> {
        self.heads.iter().find(|head| head.name == name)
    }
}

/// The fields of one head of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelHead {
    /// Its name.
    pub name: String,
    /// What it predicts; valid after each schedule of the model.
    pub output: Field,
    /// The gradient of the loss with respect to the output, times the weight of the head, if the model is trained.
    /// Written by the loss, or by a system of yours in `GraphSystems::Loss`; later systems may add other gradients to
    /// it.
    pub output_gradient: Option<Field>,
    /// The target values of the output, if its loss takes values.
    pub targets: Option<Field>,
    /// The classes of the rows, if its loss takes classes and they are given as [`ClassLabel`]s.
    pub labels: Option<Field<ClassLabel>>,
}

/// The input features of nodes or edges: one dense field, or two that store only the nonzero values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureField {
    /// Every value is stored, `[N, width]`.
    Dense(Field),
    /// Only some values of each row are stored, as for bags of words. Such features have no gradient.
    Sparse {
        /// The indices of the stored features; 0 for an unused entry.
        indices: Field<u32>,
        /// Their values; 0 for an unused entry.
        values: Field,
        /// The number of features, stored or not.
        width: usize,
    },
}

impl FeatureField {
    /// The field of the stored values.
    pub fn values(&self) -> Field {
        match *self {
            Self::Dense(values) | Self::Sparse { values, .. } => values,
        }
    }

    /// The number of features, stored or not.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense(values) => values.width(),
            Self::Sparse { width, .. } => *width,
        }
    }
}

impl From<Field> for FeatureField {
    fn from(values: Field) -> Self {
        Self::Dense(values)
    }
}

/// The training progress of a model, from which its random streams are keyed.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct TrainingState {
    /// The random seed of the training run.
    pub seed: u64,
    /// Number of optimizer steps.
    pub step: u64,
    /// Training passes since the last step; always 0 without a [`GradientAccumulation`](crate::GradientAccumulation).
    pub micro_batch: u32,
}

impl TrainingState {
    /// The key of the random streams of a training pass, different for each; the step if gradients are not accumulated.
    pub fn micro_step(&self) -> u64 {
        self.step ^ u64::from(self.micro_batch) << 32
    }
}
