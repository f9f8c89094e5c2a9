//! A model as an entity.

use bevy_ecs::{component::Component, entity::Entity};

use crate::{ClassLabel, Field};

/// Marks the entity of a model and says where its numbers are.
#[derive(Component, Clone, Debug)]
pub struct Model {
    /// The graph whose nodes, edges and subgraphs it reads and writes.
    pub graph: Entity,
    /// What it reads for each node.
    pub input: FeatureField,
    /// What it computes, on nodes, edges or subgraphs; valid after each of its schedules.
    pub output: Field,
    /// The gradient of the loss with respect to the output while it learns: the loss writes it, or a system of the user's.
    pub output_gradient: Option<Field>,
    /// The values that layers ask to be kept, valid after each of its schedules.
    pub kept: Vec<Field>,
    /// The values that the output is to become, if its loss takes values.
    pub targets: Option<Field>,
    /// All its heads. `output`, `output_gradient` and `targets` are those of the first.
    pub heads: Vec<ModelHead>,
    /// Where its layers have moved the nodes to by inference, if it was given their coordinates.
    pub coordinates: Option<Field>,
    /// The entities of its parameters, in the order of its layers.
    pub parameters: Vec<Entity>,
    /// The columns that it borrows: what its layers compute is held here, one value after another.
    pub columns: Vec<Field>,
}

impl Model {
    /// The head of this name.
    pub fn head(&self, name: &str) -> Option<&ModelHead> {
        self.heads.iter().find(|head| head.name == name)
    }
}

/// Where the numbers of one head of a model are.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelHead {
    /// What it is called.
    pub name: String,
    /// What it predicts; valid after each schedule of the model.
    pub output: Field,
    /// The gradient of the loss with respect to the output while it learns, times the weight of the head. Written by the loss,
    /// or by a system of the user's in `GraphSystems::Loss`; afterwards other gradients may be added to it.
    pub output_gradient: Option<Field>,
    /// The values that the output is to become, if its loss takes values.
    pub targets: Option<Field>,
    /// The classes of the rows, if its loss takes classes and they are those of [`ClassLabel`].
    pub labels: Option<Field<ClassLabel>>,
}

/// The features of nodes or edges that a model is given: a field, or two that hold only what is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureField {
    /// Every number is stored, `[N, width]`.
    Dense(Field),
    /// Only some numbers of each row are stored, as for bags of words. Such features have no gradient.
    Sparse {
        /// Which features; the index of an unused entry is 0.
        indices: Field<u32>,
        /// Their values; the value of an unused entry is 0.
        values: Field,
        /// The number of features altogether.
        width: usize,
    },
}

impl FeatureField {
    /// The field of the values: all of them, or those that are stored.
    pub fn values(&self) -> Field {
        match *self {
            Self::Dense(values) | Self::Sparse { values, .. } => values,
        }
    }

    /// Numbers in a row, stored or not.
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

/// How far a model has been trained; what its random numbers are keyed by.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainingState {
    /// Tells apart the random numbers of different runs.
    pub seed: u64,
    /// Steps taken by the optimizer.
    pub step: u64,
    /// Training passes since the last step; always 0 without a [`GradientAccumulation`](crate::GradientAccumulation).
    pub micro_batch: u32,
}

impl TrainingState {
    /// A number of its own for each training pass, which its random numbers are keyed by: the step, where each pass is one.
    pub fn micro_step(&self) -> u64 {
        self.step ^ u64::from(self.micro_batch) << 32
    }
}
