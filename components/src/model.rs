//! A model as an entity.

use bevy_ecs::{component::Component, entity::Entity};

use crate::{Field, Split};

/// Marks the entity of a model and says where its numbers are.
#[derive(Component, Clone, Debug)]
pub struct Model {
    /// The graph whose nodes, edges and subgraphs it reads and writes.
    pub graph: Entity,
    /// What it reads for each node.
    pub input: Signal,
    /// What it computes, on nodes, edges or subgraphs, as inference leaves it; training uses the column for other things.
    pub output: Field,
    /// The numbers that the output is to become, if its loss takes numbers.
    pub targets: Option<Field>,
    /// Where its layers have moved the nodes to by inference, if it was given their coordinates.
    pub coordinates: Option<Field>,
    /// The entities of its parameters, in the order of its layers.
    pub parameters: Vec<Entity>,
    /// What its layers compute is held here, one signal after the other.
    pub columns: Vec<Field>,
}

/// Rows of numbers on the nodes, edges or subgraphs of a graph: what one layer hands to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Every number is stored, `[N, width]`.
    Dense {
        /// The numbers.
        value: Field,
        /// Whether the gradient of the loss by them is asked for, by themselves or by what they were computed from.
        learns: bool,
    },
    /// Only some columns of each row are stored, as for bags of words. It has no gradient.
    Sparse {
        /// Which columns; the column of an unused entry is 0.
        columns: Field<u32>,
        /// The numbers in them; the number of an unused entry is 0.
        values: Field,
        /// The number of columns altogether.
        width: usize,
    },
}

impl Signal {
    /// The field of its numbers: all of them, or those that are stored.
    pub fn value(&self) -> Field {
        match *self {
            Self::Dense { value, .. } => value,
            Self::Sparse { values, .. } => values,
        }
    }

    /// Numbers in a row, stored or not.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense { value, .. } => value.width(),
            Self::Sparse { width, .. } => *width,
        }
    }

    /// Whether a gradient flows back through it.
    pub fn learns(&self) -> bool {
        matches!(self, Self::Dense { learns: true, .. })
    }

    /// The same numbers, through which no gradient flows back.
    pub fn detached(self) -> Self {
        match self {
            Self::Dense { value, .. } => Self::Dense { value, learns: false },
            sparse => sparse,
        }
    }
}

/// Numbers that are given: no gradient is asked for.
impl From<Field> for Signal {
    fn from(value: Field) -> Self {
        Self::Dense { value, learns: false }
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
