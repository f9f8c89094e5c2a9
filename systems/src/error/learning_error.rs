//! Why a training step was not applied.

use bevy_ecs::entity::Entity;

/// A training step was not applied: parameters and what the optimizer keeps are as they were before it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LearningError {
    /// No row of a head is one to learn from.
    #[error(
        "model `{model}` has no row to learn from for its head `{head}`; give rows that have targets `Split::Train` and a row weight above 0, if they have one"
    )]
    NoRows {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
    },
    /// A label is no column of the output.
    #[error(
        "model `{model}` cannot learn the label {label} of {entity} for its head `{head}`, which tells {classes} classes apart; label it from 0 to {}, or make the head wider",
        .classes - 1
    )]
    Label {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
        /// The entity of the row.
        entity: Entity,
        /// Its label.
        label: u32,
        /// The width of the output.
        classes: usize,
    },
    /// The loss of a row is not finite.
    #[error(
        "the loss of {entity} for the head `{head}` of model `{model}` is {loss}, so the step was not applied; lower the learning rate, or scale the inputs and targets down"
    )]
    Loss {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
        /// The entity of the row.
        entity: Entity,
        /// Its loss.
        loss: f32,
    },
    /// The loss of all rows together is not finite, as an operator of the user's computes it.
    #[error(
        "the loss of the head `{head}` of model `{model}` is {loss}, so the step was not applied; lower the learning rate, or scale the inputs and targets down"
    )]
    TotalLoss {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
        /// Its loss.
        loss: f32,
    },
    /// A row has a weight that cannot be one.
    #[error(
        "the row weight of {entity} for the head `{head}` of model `{model}` is {weight}; give it a finite number that is not negative"
    )]
    RowWeight {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
        /// The entity of the row.
        entity: Entity,
        /// Its weight.
        weight: f32,
    },
    /// The gradient with respect to a parameter is not finite.
    #[error(
        "the gradient with respect to `{parameter}` of model `{model}` is not finite, so the step was not applied; lower the learning rate, or scale the inputs and what is written to the gradients of outputs down"
    )]
    Gradient {
        /// The name of the model.
        model: String,
        /// The parameter.
        parameter: String,
    },
    /// The step would have made a parameter infinite.
    #[error(
        "the step would make `{parameter}` of model `{model}` infinite, so it was not applied; lower the learning rate or the weight decay"
    )]
    Step {
        /// The name of the model.
        model: String,
        /// The parameter.
        parameter: String,
    },
}
