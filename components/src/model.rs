//! A model as an entity.

use bevy_ecs::{component::Component, entity::Entity};

use crate::{Field, Split};

/// Marks the entity of a model and says where its numbers are.
#[derive(Component, Clone, Debug)]
pub struct Model {
    /// The graph whose nodes it reads and writes.
    pub graph: Entity,
    /// What it reads for each node.
    pub input: Signal,
    /// What it computes for each node.
    pub output: Field,
    /// Where its layers have moved the nodes to by inference, if it was given their coordinates.
    pub coordinates: Option<Field>,
    /// The entities of its parameters, in the order of its layers.
    pub parameters: Vec<Entity>,
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
}

/// The loss and the accuracy on each part of the data, written by the loss system.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// By [`Split`], in its order.
    pub splits: [SplitMetrics; 4],
}

impl Metrics {
    /// Those of one part.
    pub fn of(&self, split: Split) -> SplitMetrics {
        self.splits[split as usize]
    }
}

/// Sums over the nodes of one part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SplitMetrics {
    /// Sum of the nodes' losses.
    pub loss_sum: f64,
    /// Nodes whose greatest output is that of their class.
    pub correct: u32,
    /// Nodes.
    pub count: u32,
}

impl SplitMetrics {
    /// The mean loss; NaN over no nodes.
    pub fn loss(&self) -> f32 {
        (self.loss_sum / f64::from(self.count)) as f32
    }

    /// The share of correct nodes; NaN over no nodes.
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.count as f32
    }
}
