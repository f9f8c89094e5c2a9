//! Why a training step was not applied, in words.

use bevy_ecs::{entity::Entity, name::Name, world::World};
use connectome_components::{Fault, Field, LearningFault, Model, Parameter, Rows};

use super::Plans;
use crate::error::{BuildError, LearningError};

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
