//! A model's life in a world after it is built: it is replaced, and taken out.

use bevy_ecs::{entity::Entity, schedule::Schedules, world::World};
use connectome_components::{Field, FieldPool, Model, Optimizer, Parameter};

use super::{Evaluate, Infer, ModelBuilder, Train, shared};
use crate::{error::BuildError, optimizers::Moments};

/// Takes a model out of the world: its schedules, its parameters and its entity. Its columns stay on their entities for the
/// models that come.
///
/// # Errors
/// If the entity is no model.
pub fn remove_model(world: &mut World, model: Entity) -> Result<(), BuildError> {
    if world.get::<Model>(model).is_none() {
        return Err(BuildError::NoModel(model));
    }
    // What it has in the world goes with its entity; see `Plans`.
    world.despawn(model);
    Ok(())
}

/// Builds a model in place of another one, which is taken out. Parameters of the same name and shape keep their values; where
/// the optimizer is of the same kind they keep its moments as well, and the steps are counted on. To schedules of the user's
/// it is to be added anew.
///
/// # Errors
/// Those of [`ModelBuilder::build`], and if the entity is no model: then it stays as it was.
pub fn replace_model(world: &mut World, before: Entity, model: ModelBuilder) -> Result<Entity, BuildError> {
    let parameters = |world: &World, model: Entity| -> Option<Vec<Parameter>> {
        let entities = &world.get::<Model>(model)?.parameters;
        Some(entities.iter().filter_map(|entity| world.get::<Parameter>(*entity)).cloned().collect())
    };
    let known = parameters(world, before).ok_or(BuildError::NoModel(before))?;
    let after = model.build(world)?;
    let optimizer = world.get::<Optimizer>(after).copied();
    let goes_on = |moments: &Moments| optimizer.is_some_and(|optimizer| moments.are_of(&optimizer));
    let goes_on = world.get::<Moments>(before).is_some_and(goes_on);
    // For each parameter that learns, which one its moments are from.
    let mut origins = Vec::new();
    for to in parameters(world, after).unwrap_or_default() {
        let same = |from: &&Parameter| from.name == to.name && from.shape == to.shape;
        let from = known.iter().find(same);
        if let Some(from) = from {
            copy(world, from.value, to.value);
        }
        let Some(into) = to.moments else { continue };
        let moments = from.and_then(|from| from.moments).filter(|moments| goes_on && moments.width() == into.width());
        if let Some(moments) = moments {
            copy(world, moments, into);
        }
        origins
            .push(moments.and_then(|moments| known.iter().filter_map(|from| from.moments).position(|m| m == moments)));
    }
    if origins.iter().any(Option::is_some) {
        Moments::go_on(world, after, before, &origins);
    }
    remove_model(world, before)?;
    Ok(after)
}

/// Copies the only row of a field.
fn copy(world: &mut World, from: Field, to: Field) {
    let numbers: Vec<f32> = from.matrix(world).rows().flatten().copied().collect();
    for row in to.matrix_mut(world).rows_mut().filter(|row| row.len() == numbers.len()) {
        row.copy_from_slice(&numbers);
    }
}

/// Takes out of the world what a model has there. Its entity may be gone already, and so may any other part.
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
