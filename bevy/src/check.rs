//! Whether the nodes of a brain have its input, and whether it can be computed with.

use bevy_ecs::{
    entity::Entity,
    query::{Or, With},
    resource::Resource,
    system::{Commands, If, Local, Query, Res, ResMut},
    world::World,
};
use std::marker::PhantomData;

use crate::{
    brain::{Brain, BrainInput, NotFinite, short_name},
    components::ActiveBrain,
    error::BrainError,
};

/// The first number that is not finite, of the nodes of the brain of one kind.
#[derive(Resource)]
pub(crate) struct InputFault<B: Brain> {
    found: Option<(Entity, NotFinite)>,
    kind: PhantomData<fn() -> B>,
}

impl<B: Brain> Default for InputFault<B> {
    fn default() -> Self {
        Self { found: None, kind: PhantomData }
    }
}

impl<B: Brain> InputFault<B> {
    pub(crate) fn take(world: &mut World) -> Option<BrainError> {
        let (entity, input) = world.get_resource_mut::<Self>()?.found.take()?;
        Some(BrainError::Input { brain: short_name::<B>(), entity, input })
    }
}

type Nodes<'w, 's, B> = Query<'w, 's, (Entity, <<B as Brain>::Input as BrainInput>::Read), With<<B as Brain>::Node>>;

type Incomplete<B> = (With<<B as Brain>::Node>, Or<(<<B as Brain>::Input as BrainInput>::Missing,)>);

/// Gives nodes what the brain reads of them, before systems look for it.
pub(crate) fn complete_nodes<B: Brain>(
    _active: If<Res<ActiveBrain<B>>>,
    nodes: Query<Entity, Incomplete<B>>,
    mut commands: Commands,
) {
    nodes.iter().for_each(|node| B::Input::insert_missing(&mut commands.entity(node)));
}

/// Looks for a number that is not finite: a network would pass it on to all that hear of the node.
pub(crate) fn check_input<B: Brain>(
    _active: If<Res<ActiveBrain<B>>>,
    nodes: Nodes<B>,
    mut fault: ResMut<InputFault<B>>,
    mut row: Local<Vec<f32>>,
) {
    fault.found = nodes.iter().find_map(|(entity, node)| Some((entity, B::Input::find_not_finite(node, &mut row)?)));
}
