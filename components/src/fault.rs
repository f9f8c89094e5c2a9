//! Faults of training steps.

use bevy_ecs::component::Component;

/// Why the last training step of a model was not applied, a component of the model entity. Systems of the loss and of
/// the optimizer write it; parameters and moments stay unchanged.
///
/// `run(Train)` returns it as an error and clears it.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct LearningFault(pub Option<Fault>);

impl LearningFault {
    /// Records a fault, unless there is one of this step already.
    pub fn note(&mut self, fault: Fault) {
        self.0.get_or_insert(fault);
    }
}

/// The fault of a training step. Heads and rows are indices, because a step does not allocate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect))]
pub enum Fault {
    /// A head has no training row.
    NoRows {
        /// The head.
        head: usize,
    },
    /// The label of a row is not below the number of classes, the width of the output.
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
    /// The sum of the losses of all rows is not finite.
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
        /// The index of the parameter among the trainable ones.
        parameter: usize,
    },
    /// The step would have made a parameter or one of its moments not finite.
    Step {
        /// The index of the parameter among the trainable ones.
        parameter: usize,
    },
}
