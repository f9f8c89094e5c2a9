//! Buffers of a model, such as running statistics, which a faulty step does not change.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    system::{BoxedSystem, Query, SystemParamBuilder},
    world::World,
};
use connectome_components::{ColumnSet, Columns, Field, LearningFault};

use crate::{error::StepFault, phases::model_query};

/// The values of a model's buffers before the current step.
#[derive(Component, Default)]
pub(super) struct BufferCopies(Vec<f32>);

/// The system that saves the buffers before the forward pass changes them.
pub(super) fn save_buffers(world: &mut World, model: Entity, buffers: &[Field]) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let buffers: Vec<usize> = buffers.iter().map(|buffer| set.read(*buffer)).collect();
    let state = (set, model_query::<&mut BufferCopies>(world, model)).build_state(world);
    let system = state.build_system(move |mut columns: Columns, mut copies: Query<&mut BufferCopies>| {
        let Ok(mut copies) = copies.get_mut(model) else { return };
        copies.0.clear();
        let (read, _) = columns.split_mut(&[]);
        for buffer in &buffers {
            read.matrix(*buffer).rows().for_each(|row| copies.0.extend_from_slice(row));
        }
    });
    Box::new(system.with_name("save_buffers"))
}

/// The system that restores the buffers after a faulty step: one with a fault in what was learned, or `fault`, such as
/// rows that changed between the forward and the backward pass.
pub(super) fn restore_buffers(world: &mut World, model: Entity, buffers: &[Field], fault: StepFault) -> BoxedSystem {
    let mut set = ColumnSet::default();
    let buffers: Vec<usize> = buffers.iter().map(|buffer| set.write(*buffer)).collect();
    let state = (set, model_query::<(&BufferCopies, &LearningFault)>(world, model)).build_state(world);
    let system = state.build_system(move |mut columns: Columns, models: Query<(&BufferCopies, &LearningFault)>| {
        let Ok((BufferCopies(copies), LearningFault(learning))) = models.get(model) else { return };
        if learning.is_none() && !fault.is_set() {
            return;
        }
        let mut copies = copies.iter();
        for buffer in &buffers {
            let (_, [buffer, ..]) = columns.split_mut(&[*buffer]);
            let values = buffer.into_iter().flat_map(|buffer| buffer.rows_mut()).flatten();
            values.zip(&mut copies).for_each(|(value, copy)| *value = *copy);
        }
    });
    Box::new(system.with_name("restore_buffers"))
}
