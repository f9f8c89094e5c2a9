//! A model as an entity.

use bevy_ecs::{component::Component, entity::Entity};

use crate::{Field, Split};

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
    /// Where its layers have moved the nodes to by inference, if it was given their coordinates.
    pub coordinates: Option<Field>,
    /// The entities of its parameters, in the order of its layers.
    pub parameters: Vec<Entity>,
    /// The columns that it borrows: what its layers compute is held here, one value after another.
    pub columns: Vec<Field>,
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

/// The loss on each part of the data and how good the output is there, written by the systems of the loss.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// By [`Split`], in its order.
    pub splits: [SplitMetrics; 4],
}

impl Metrics {
    /// Adds those of other terms, such as of another batch. Areas under curves cannot be added and are left out.
    pub fn add(&mut self, other: &Self) {
        for (sum, other) in self.splits.iter_mut().zip(&other.splits) {
            sum.count += other.count;
            sum.loss_sum += other.loss_sum;
            sum.judged += other.judged;
            sum.correct += other.correct;
            sum.distance_sum += other.distance_sum;
            sum.area_under_curve = None;
        }
    }

    /// Those of one part.
    pub fn of(&self, split: Split) -> SplitMetrics {
        self.splits[split as usize]
    }
}

/// Sums over the terms of one part of the data. A row with a class is one term, a row with numbers one for each column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitMetrics {
    /// Terms.
    pub count: u64,
    /// Sum of their losses.
    pub loss_sum: f64,
    /// Terms that are right or wrong: all of them where classes are told apart, none where numbers are approached.
    pub judged: u64,
    /// Those that are right: the greatest output is that of the class, or is positive if and only if the target is 1.
    pub correct: u64,
    /// Sum of the distances between outputs and targets over the other terms.
    pub distance_sum: f64,
    /// The area under the ROC curve: the share of pairs of a positive and a negative row in which the positive one has the
    /// greater output; equal ones count half. Measured for single logits, outside of training; none if there is no pair.
    pub area_under_curve: Option<f64>,
}

impl SplitMetrics {
    /// The mean loss; NaN over nothing.
    pub fn loss(&self) -> f32 {
        (self.loss_sum / self.count as f64) as f32
    }

    /// The share that is correct; NaN where nothing is right or wrong.
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.judged as f32
    }

    /// The mean distance between output and target; NaN where targets are classes.
    pub fn mean_absolute_error(&self) -> f32 {
        (self.distance_sum / (self.count - self.judged) as f64) as f32
    }
}
