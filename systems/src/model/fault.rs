//! Why a training step was not applied, in words.

use bevy_ecs::{entity::Entity, name::Name, world::World};
use connectome_components::{Fault, Field, LearningFault, Model, Parameter, Rows};

use super::Plans;
use crate::layers::BuildError;

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

/// Takes away what kept a model from its last step, or the step from being applied; the error that it is.
pub(super) fn take_fault(world: &mut World, model: Entity) -> Option<BuildError> {
    let kept = world.get::<Plans>(model).and_then(|plans| plans.fault.take());
    // Both are taken, so that none is left for a later run.
    let learning = take_learning_fault(world, model);
    kept.or(learning.map(BuildError::Learning))
}

fn take_learning_fault(world: &mut World, entity: Entity) -> Option<LearningError> {
    let fault = world.get_mut::<LearningFault>(entity)?.0.take()?;
    let model = world.get::<Name>(entity).map_or_else(|| entity.to_string(), |name| name.to_string());
    let parts = world.get::<Model>(entity)?;
    let head = |number: usize| parts.heads.get(number).map(|head| head.name.clone()).unwrap_or_default();
    let output = |number: usize| parts.heads.get(number).map_or(parts.output, |head| head.output);
    let row_of = |number: usize, row: usize| entity_of(world, output(number), row).unwrap_or(entity);
    let parameter = |number: usize| {
        let parameters = parts.parameters.iter().filter_map(|parameter| world.get::<Parameter>(*parameter));
        let mut learned = parameters.filter(|parameter| parameter.gradient.is_some());
        learned.nth(number).map(|parameter| parameter.name.clone()).unwrap_or_default()
    };
    Some(match fault {
        Fault::NoRows { head: number } => LearningError::NoRows { model, head: head(number) },
        Fault::Label { head: number, row, label } => {
            let (entity, classes) = (row_of(number, row), output(number).width());
            LearningError::Label { model, head: head(number), entity, label, classes }
        }
        Fault::Loss { head: number, row, loss } => {
            LearningError::Loss { model, head: head(number), entity: row_of(number, row), loss }
        }
        Fault::TotalLoss { head: number, loss } => LearningError::TotalLoss { model, head: head(number), loss },
        Fault::RowWeight { head: number, row, weight } => {
            LearningError::RowWeight { model, head: head(number), entity: row_of(number, row), weight }
        }
        Fault::Gradient { parameter: number } => LearningError::Gradient { model, parameter: parameter(number) },
        Fault::Step { parameter: number } => LearningError::Step { model, parameter: parameter(number) },
    })
}

/// The entity of a row of a field.
fn entity_of(world: &World, field: Field, row: usize) -> Option<Entity> {
    let mut rows = Rows::default();
    rows.update(world, &[field.domain(), field.id()]);
    rows.entities().get(row).copied()
}
