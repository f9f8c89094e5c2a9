//! Conversion of faults to errors.

use bevy_ecs::{entity::Entity, name::Name, world::World};
use connectome_components::{Fault, Field, LearningFault, Model, Parameter, Rows};

use super::Plans;
use crate::error::{BuildError, LearningError};

/// Clears the faults of a model's last step, and returns the first one as an error.
pub(super) fn take_fault(world: &mut World, model: Entity) -> Option<BuildError> {
    let step = world.get::<Plans>(model).and_then(|plans| plans.fault.take());
    // Both are cleared, so that none remains for a later run.
    let learning = take_learning_fault(world, model);
    step.or(learning.map(BuildError::Learning))
}

fn take_learning_fault(world: &mut World, entity: Entity) -> Option<LearningError> {
    let fault = world.get_mut::<LearningFault>(entity)?.0.take()?;
    let name = world.get::<Name>(entity).map_or_else(|| entity.to_string(), |name| name.to_string());
    let model = world.get::<Model>(entity)?;
    let head = |index: usize| model.heads.get(index).map(|head| head.name.clone()).unwrap_or_default();
    let output = |index: usize| model.heads.get(index).map_or(model.output, |head| head.output);
    let row_of = |index: usize, row: usize| entity_of(world, output(index), row).unwrap_or(entity);
    let parameter = |index: usize| {
        let parameters = model.parameters.iter().filter_map(|parameter| world.get::<Parameter>(*parameter));
        let mut learned = parameters.filter(|parameter| parameter.gradient.is_some());
        learned.nth(index).map(|parameter| parameter.name.clone()).unwrap_or_default()
    };
    let model = name;
    Some(match fault {
        Fault::NoRows { head: index } => LearningError::NoRows { model, head: head(index) },
        Fault::Label { head: index, row, label } => {
            let (entity, classes) = (row_of(index, row), output(index).width());
            LearningError::Label { model, head: head(index), entity, label, classes }
        }
        Fault::Loss { head: index, row, loss } => {
            LearningError::Loss { model, head: head(index), entity: row_of(index, row), loss }
        }
        Fault::TotalLoss { head: index, loss } => LearningError::TotalLoss { model, head: head(index), loss },
        Fault::RowWeight { head: index, row, weight } => {
            LearningError::RowWeight { model, head: head(index), entity: row_of(index, row), weight }
        }
        Fault::Gradient { parameter: index } => LearningError::Gradient { model, parameter: parameter(index) },
        Fault::Step { parameter: index } => LearningError::Step { model, parameter: parameter(index) },
    })
}

/// The entity of a row of a field.
fn entity_of(world: &World, field: Field, row: usize) -> Option<Entity> {
    let mut rows = Rows::default();
    rows.update(world, &[field.domain(), field.id()]);
    rows.entities().get(row).copied()
}
