//! System parameters for what a brain reads and writes.

use bevy_ecs::{
    entity::Entity,
    query::With,
    system::{If, Query, Res, SystemParam},
};
use std::ops::{Deref, DerefMut};

use crate::{
    brain::{Brain, BrainInput},
    components::ActiveBrain,
};

type InputQuery<'w, 's, B> =
    Query<'w, 's, (Entity, <<B as Brain>::Input as BrainInput>::Write), With<<B as Brain>::Node>>;

type OutputQuery<'w, 's, B> = Query<'w, 's, (Entity, &'static <B as Brain>::Output)>;

/// Writes what a brain reads: a query of all its nodes, with the components of [`Brain::Input`].
///
/// A system that takes it can be added before the brain is loaded, and is skipped as long as it is not. It conflicts with every
/// system that reads or writes one of the components. A system that writes some of them only takes a query of these.
#[derive(SystemParam)]
pub struct Input<'w, 's, B: Brain> {
    active: If<Res<'w, ActiveBrain<B>>>,
    nodes: InputQuery<'w, 's, B>,
}

/// Reads what a brain writes: a query of all entities with the component [`Brain::Output`].
///
/// A system that takes it can be added before the brain is loaded, and is skipped as long as it is not. It conflicts with every
/// system that writes the component.
#[derive(SystemParam)]
pub struct Output<'w, 's, B: Brain> {
    active: If<Res<'w, ActiveBrain<B>>>,
    rows: OutputQuery<'w, 's, B>,
}

impl<B: Brain> Input<'_, '_, B> {
    /// The brain and its model.
    pub fn brain(&self) -> &ActiveBrain<B> {
        &self.active
    }
}

impl<B: Brain> Output<'_, '_, B> {
    /// The brain and its model.
    pub fn brain(&self) -> &ActiveBrain<B> {
        &self.active
    }

    /// What it wrote to one entity; none if it has written nothing there.
    pub fn of(&self, entity: Entity) -> Option<&B::Output> {
        self.rows.get(entity).ok().map(|(_, output)| output)
    }
}

impl<'w, 's, B: Brain> Deref for Input<'w, 's, B> {
    type Target = InputQuery<'w, 's, B>;

    fn deref(&self) -> &Self::Target {
        &self.nodes
    }
}

impl<B: Brain> DerefMut for Input<'_, '_, B> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.nodes
    }
}

impl<'w, 's, B: Brain> Deref for Output<'w, 's, B> {
    type Target = OutputQuery<'w, 's, B>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}
