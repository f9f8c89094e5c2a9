//! What keeps a training step from being applied.

use bevy_ecs::component::Component;

/// Why the last training step of a model was not applied, a component of the model entity. Systems of the loss and of the
/// optimizer write it; parameters and moments stay as they were.
///
/// `run(Train)` makes an error of it and takes it away.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct LearningFault(pub Option<Fault>);

impl LearningFault {
    /// Notes a fault, if there was none before it in this step.
    pub fn note(&mut self, fault: Fault) {
        self.0.get_or_insert(fault);
    }
}

/// What is wrong with a training step. Heads and rows are numbers, for a step allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A head has no row to learn from.
    NoRows {
        /// The head.
        head: usize,
    },
    /// The label of a row is no column of the output.
    Label {
        /// The head.
        head: usize,
        /// The row.
        row: usize,
        /// Its label.
        label: u32,
    },
    /// The loss of a row is not finite.
    Loss {
        /// The head.
        head: usize,
        /// The row.
        row: usize,
        /// Its loss.
        loss: f32,
    },
    /// The loss of all rows together is not finite.
    TotalLoss {
        /// The head.
        head: usize,
        /// Its loss.
        loss: f32,
    },
    /// The weight of a row is negative or not finite.
    RowWeight {
        /// The head.
        head: usize,
        /// The row.
        row: usize,
        /// Its weight.
        weight: f32,
    },
    /// The gradient with respect to a parameter is not finite.
    Gradient {
        /// The parameter, among those that are learned.
        parameter: usize,
    },
    /// The step would have made a parameter or what the optimizer keeps of it infinite.
    Step {
        /// The parameter, among those that are learned.
        parameter: usize,
    },
}
