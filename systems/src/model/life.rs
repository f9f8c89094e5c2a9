//! Replacement and removal of models.

use bevy_ecs::{entity::Entity, schedule::Schedules, world::World};
use connectome_components::{Field, FieldPool, Model, Optimizer, Parameter};

use super::{Evaluate, Infer, ModelBuilder, Train, shared};
use crate::{error::BuildError, optimizers::Moments};

/// Removes a model from the world: its schedules, its parameters and its entity. Its fields return to the
/// [`FieldPool`] and stay on their entities for later models.
///
/// # Errors
/// If the entity is no model.
pub fn remove_model(world: &mut World, model: Entity) -> Result<(), BuildError> {
    if world.get::<Model>(model).is_none() {
        return Err(BuildError::NoModel(model));
    }
    // The hook of `Plans` removes the rest.
    world.despawn(model);
    Ok(())
}

/// Builds a model and removes another one, which it replaces. Parameters of the same name and shape keep their values;
/// if the optimizer is of the same kind, they also keep their moments, and the count of steps continues. Add the model
/// to shared schedules again.
///
/// # Errors
/// Those of [`ModelBuilder::build`], and if the entity is no model; the old model stays unchanged then.
pub fn replace_model(world: &mut World, before: Entity, model: ModelBuilder) -> Result<Entity, BuildError> {
    let parameters = |world: &World, model: Entity| -> Option<Vec<Parameter>> {
        let entities = &world.get::<Model>(model)?.parameters;
        Some(entities.iter().filter_map(|entity| world.get::<Parameter>(*entity)).cloned().collect())
    };
    let known = parameters(world, before).ok_or(BuildError::NoModel(before))?;
    let after = model.build(world)?;
    let optimizer = world.get::<Optimizer>(after).copied();
    let keeps_moments = |moments: &Moments| optimizer.is_some_and(|optimizer| moments.are_of(&optimizer));
    let keeps_moments = world.get::<Moments>(before).is_some_and(keeps_moments);
    // For each trainable parameter, the index of the old one whose moments it keeps.
    let mut origins = Vec::new();
    for to in parameters(world, after).unwrap_or_default() {
        let same = |from: &&Parameter| from.name == to.name && from.shape == to.shape;
        let from = known.iter().find(same);
        if let Some(from) = from {
            copy(world, from.value, to.value);
        }
        let Some(target) = to.moments else { continue };
        let moments = from.and_then(|from| from.moments);
        let moments = moments.filter(|moments| keeps_moments && moments.width() == target.width());
        if let Some(moments) = moments {
            copy(world, moments, target);
        }
        origins
            .push(moments.and_then(|moments| known.iter().filter_map(|from| from.moments).position(|m| m == moments)));
    }
    if origins.iter().any(Option::is_some) {
        Moments::resume(world, after, before, &origins);
    }
    remove_model(world, before)?;
    Ok(after)
}

/// Copies the only row of a field.
fn copy(world: &mut World, from: Field, to: Field) {
    let values: Vec<f32> = from.matrix(world).rows().flatten().copied().collect();
    for row in to.matrix_mut(world).rows_mut().filter(|row| row.len() == values.len()) {
        row.copy_from_slice(&values);
    }
}

/// Removes the schedules, entities and systems of a model, any of which may be gone already, and gives its fields back.
pub(super) fn take_out(world: &mut World, model: Entity, parameters: Vec<Entity>, borrowed: Vec<Field>) {
    let mut schedules = world.get_resource_or_init::<Schedules>();
    schedules.remove(Infer(model));
    schedules.remove(Train(model));
    schedules.remove(Evaluate(model));
    shared::remove_from_all(world, model);
    for entity in parameters.into_iter().chain([model]) {
        if let Ok(entity) = world.get_entity_mut(entity) {
            entity.despawn();
        }
    }
    FieldPool::give_back(world, borrowed);
}
