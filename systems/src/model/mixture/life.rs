//! Experts that come and go in a running world.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{FieldPool, Graph, MixtureOfExperts, Model, Parameter};

use super::{
    Experts,
    builder::{check_top_k, entry, gate_builder},
    member::{Member, same_rows, same_width},
    part::Part,
    step::Mixture,
    with_experts,
};
use crate::{
    error::{BuildError, MixtureError},
    model::{ModelBuilder, replace_model},
};

/// Adds an expert to a mixture; returns its index, the last one. The gate keeps its parameters, those of the last layer
/// for the experts that there were, and begins with a random logit for the new one.
///
/// # Errors
/// Those of [`MixtureBuilder::build`](super::MixtureBuilder::build) for the expert, and if the entity is no mixture. The
/// mixture stays unchanged then.
pub fn add_expert(world: &mut World, mixture: Entity, expert: ModelBuilder) -> Result<usize, BuildError> {
    with_experts(world, mixture, |experts, world| {
        let index = experts.members.len();
        let rows = (rows_of(world, experts)?, experts.domain);
        let member = Member::new(world, expert, index, rows)?;
        let width = experts.members.first().and_then(Member::width);
        same_width(&member.name, member.width().unwrap_or(0), width.unwrap_or(0))?;
        let of_nodes = experts.members.first().is_none_or(|member| member.of_nodes);
        same_rows(&member.name, member.of_nodes, of_nodes)?;
        let kept: Vec<Option<usize>> = (0..index).map(Some).chain([None]).collect();
        resize_gate(world, mixture, experts, &kept)?;
        if let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture) {
            component.experts.push(entry(&member.name));
        }
        experts.members.push(member);
        Ok(index)
    })
}

/// Removes the expert of this index from a mixture; later ones move up. The gate keeps its parameters, those of the last
/// layer for the others.
///
/// # Errors
/// If the entity is no mixture, has no such expert, or no other, or fewer others than compute each row. The mixture stays
/// unchanged then.
pub fn remove_expert(world: &mut World, mixture: Entity, index: usize) -> Result<(), BuildError> {
    with_experts(world, mixture, |experts, world| {
        let count = experts.members.len();
        check_index(index, count)?;
        if count == 1 {
            return Err(MixtureError::NoExperts.into());
        }
        let component = world.get::<MixtureOfExperts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
        check_top_k(component.top_k, count - 1)?;
        let kept: Vec<Option<usize>> = (0..count).filter(|expert| *expert != index).map(Some).collect();
        resize_gate(world, mixture, experts, &kept)?;
        experts.members.remove(index);
        if let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture)
            && index < component.experts.len()
        {
            component.experts.remove(index);
        }
        Ok(())
    })
}

/// Replaces the expert of this index. Parameters of the same name and shape keep their values and moments, as by
/// [`replace_model`]; to begin anew, remove the expert and add another.
///
/// # Errors
/// Those of [`MixtureBuilder::build`](super::MixtureBuilder::build) for the expert, and if the entity is no mixture or has
/// no such expert. The mixture stays unchanged then.
pub fn replace_expert(
    world: &mut World,
    mixture: Entity,
    index: usize,
    expert: ModelBuilder,
) -> Result<(), BuildError> {
    with_experts(world, mixture, |experts, world| {
        check_index(index, experts.members.len())?;
        let rows = (rows_of(world, experts)?, experts.domain);
        experts.members[index].replace(world, expert, index, rows)?;
        let name = experts.members[index].name.clone();
        if let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture)
            && let Some(expert) = component.experts.get_mut(index)
        {
            expert.name = name;
        }
        Ok(())
    })
}

/// The world of an expert, and its model there, as to save its weights.
///
/// # Errors
/// If the entity is no mixture, or has no such expert.
pub fn expert_world(world: &World, mixture: Entity, index: usize) -> Result<(&World, Entity), BuildError> {
    let experts = world.get::<Experts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
    let members = &experts.state.as_ref().ok_or(MixtureError::Lost(mixture))?.members;
    let member = members.get(index).ok_or(MixtureError::NoExpert { index, count: members.len() })?;
    Ok((&member.world, member.model))
}

/// The same to change its components, as to load weights or to set its [`Optimizer`](connectome_components::Optimizer).
///
/// # Errors
/// Those of [`expert_world`].
pub fn expert_world_mut(world: &mut World, mixture: Entity, index: usize) -> Result<(&mut World, Entity), BuildError> {
    let experts = world.get_mut::<Experts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
    let members = &mut experts.into_inner().state.as_mut().ok_or(MixtureError::Lost(mixture))?.members;
    check_index(index, members.len())?;
    let member = &mut members[index];
    Ok((&mut member.world, member.model))
}

fn check_index(index: usize, count: usize) -> Result<(), BuildError> {
    if index < count { Ok(()) } else { Err(MixtureError::NoExpert { index, count }.into()) }
}

fn rows_of(world: &World, experts: &Mixture) -> Result<Graph, BuildError> {
    world.get::<Graph>(experts.graph).copied().ok_or(BuildError::NoGraph(experts.graph))
}

/// Replaces the gate by one whose logits are those of `kept`: of an expert that there was, or of a new one.
fn resize_gate(
    world: &mut World,
    mixture: Entity,
    experts: &mut Mixture,
    kept: &[Option<usize>],
) -> Result<(), BuildError> {
    let component = world.get::<MixtureOfExperts>(mixture).ok_or(MixtureError::NoMixture(mixture))?;
    let (before, weights) = (component.gate, component.weights);
    let last = last_layer(world, before, weights.width());
    let after = replace_model(world, before, gate_builder(&experts.gate, kept.len()))?;
    Part::remove_all(world, before);
    Part::add_all(world, after)?;
    let parameters = world.get::<Model>(after).map_or(Vec::new(), |model| model.parameters.clone());
    for (entity, values) in parameters.iter().rev().take(last.len()).rev().zip(&last) {
        let Some(to) = world.get::<Parameter>(*entity).map(|parameter| parameter.value) else { continue };
        for to in to.matrix_mut(world).rows_mut() {
            for (to, from) in to.chunks_exact_mut(kept.len()).zip(values.chunks_exact(weights.width())) {
                let pairs = to.iter_mut().zip(kept);
                pairs.filter_map(|(to, kept)| Some((to, (*kept)?))).for_each(|(to, kept)| *to = from[kept]);
            }
        }
    }
    let field = FieldPool::take(world, Some(experts.domain), kept.len())?;
    FieldPool::give_back(world, vec![weights]);
    if let Some(mut component) = world.get_mut::<MixtureOfExperts>(mixture) {
        (component.gate, component.weights) = (after, field);
    }
    if let Some(mut known) = world.get_mut::<Experts>(mixture) {
        known.gate = after;
        known.fields.iter_mut().filter(|known| **known == weights).for_each(|known| *known = field);
    }
    Ok(())
}

/// The weights and the bias of the last layer of a gate, `[F, E]` and `[1, E]`.
fn last_layer(world: &World, gate: Entity, experts: usize) -> Vec<Vec<f32>> {
    let parameters = world.get::<Model>(gate).map_or(&[][..], |model| &model.parameters);
    let last = parameters[parameters.len().saturating_sub(2)..].iter();
    let values = last.filter_map(|parameter| world.get::<Parameter>(*parameter)).map(|parameter| parameter.value);
    let values = values.filter(|values| values.width().is_multiple_of(experts));
    values.map(|values| values.matrix(world).rows().flatten().copied().collect()).collect()
}
