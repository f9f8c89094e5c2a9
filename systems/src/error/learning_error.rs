//! Errors of training steps.

use bevy_ecs::entity::Entity;

/// A training step was not applied: parameters and moments are unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LearningError {
    /// A head has no training row, or none of a weight above 0.
    #[error(
        "model `{model}` has no training rows for its head `{head}`; give rows with targets the `Split::Train`, and a \
         row weight and a class weight above 0 if they have weights"
    )]
    NoRows {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
    },
    /// A label is not below the number of classes, the width of the output.
    #[error(
        "model `{model}` cannot learn the label {label} of {entity} for its head `{head}`, which has {classes} \
         classes; use labels from 0 to {}, or widen the head",
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
        "the loss of {entity} for the head `{head}` of model `{model}` is {loss}, so the step was not applied; lower \
         the learning rate, or scale the inputs and targets down"
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
    /// The total loss, such as that of a user-defined operator, is not finite.
    #[error(
        "the loss of the head `{head}` of model `{model}` is {loss}, so the step was not applied; lower the learning \
         rate, or scale the inputs and targets down"
    )]
    TotalLoss {
        /// The name of the model.
        model: String,
        /// The head.
        head: String,
        /// Its loss.
        loss: f32,
    },
    /// The weight of a row is negative or not finite.
    #[error(
        "the row weight of {entity} for the head `{head}` of model `{model}` is {weight}; use a finite weight that is \
         not negative"
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
        "the gradient with respect to `{parameter}` of model `{model}` is not finite, so the step was not applied; \
         lower the learning rate, or scale down the inputs and the external gradients"
    )]
    Gradient {
        /// The name of the model.
        model: String,
        /// The parameter.
        parameter: String,
    },
    /// The step would have made a parameter or one of its moments not finite.
    #[error(
        "the step would make `{parameter}` of model `{model}` infinite, so it was not applied; lower the learning rate \
         or the weight decay"
    )]
    Step {
        /// The name of the model.
        model: String,
        /// The parameter.
        parameter: String,
    },
}
