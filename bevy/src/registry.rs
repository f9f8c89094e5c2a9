//! The brains of an app, whatever their kinds.

use bevy_ecs::{entity::Entity, resource::Resource, world::World};
use connectome::{
    components::Graph,
    systems::{ModelBuilder, WorldModelExt},
};
use std::sync::Arc;

use crate::{
    brain::{Brain, BrainInput, short_name},
    check::InputFault,
    components::{ActiveBrain, BrainStatus},
    error::{BrainError, BrainFailed},
};

/// What depends on the kind of a brain.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    graph: fn(&mut World) -> Entity,
    connect: fn(ModelBuilder) -> ModelBuilder,
    activate: fn(&mut World, Option<(Entity, Entity)>),
    take_input_fault: fn(&mut World) -> Option<BrainError>,
}

impl Kind {
    pub(crate) fn of<B: Brain>() -> Self {
        Self {
            name: short_name::<B>(),
            graph: graph::<B>,
            connect: |model| B::connect(B::Input::connect(model).writes::<B::Output>()),
            activate: activate::<B>,
            take_input_fault: InputFault::<B>::take,
        }
    }

    /// The model before its file describes it.
    pub(crate) fn builder(self, world: &mut World) -> ModelBuilder {
        (self.connect)(ModelBuilder::new((self.graph)(world)))
    }

    /// Why the input cannot be computed with, if so.
    pub(crate) fn take_input_fault(self, world: &mut World) -> Option<BrainError> {
        (self.take_input_fault)(world)
    }
}

/// The graph of a kind of brain, which it shares with others over the same nodes and edges.
fn graph<B: Brain>(world: &mut World) -> Entity {
    let (nodes, edges) = (world.register_component::<B::Node>(), world.register_component::<B::Edge>());
    let mut graphs = world.query::<(Entity, &Graph)>();
    let known = graphs.iter(world).find(|(_, graph)| graph.nodes == nodes && graph.edges == edges);
    known.map(|(entity, _)| entity).unwrap_or_else(|| Graph::of::<B::Node, B::Edge>(world))
}

fn activate<B: Brain>(world: &mut World, active: Option<(Entity, Entity)>) {
    match active {
        Some((brain, model)) => world.insert_resource(ActiveBrain::<B>::new(brain, model)),
        None => _ = world.remove_resource::<ActiveBrain<B>>(),
    }
}

/// A brain that was added to the app.
#[derive(Clone, Copy)]
pub(crate) struct Registered {
    pub(crate) brain: Entity,
    pub(crate) kind: Kind,
    pub(crate) model: Option<Entity>,
}

/// All brains, in the order in which they were added, and run.
#[derive(Resource, Default)]
pub(crate) struct Brains(pub(crate) Vec<Registered>);

impl Brains {
    /// Calls a function with each of them; a brain whose entity is gone is removed instead.
    pub(crate) fn for_each(world: &mut World, mut call: impl FnMut(&mut World, &mut Registered)) {
        let mut brains = std::mem::take(&mut world.get_resource_or_init::<Self>().0);
        brains.retain_mut(|registered| {
            let lives = world.get::<BrainStatus>(registered.brain).is_some();
            match lives {
                true => call(world, registered),
                false => registered.set_model(world, None),
            }
            lives
        });
        world.get_resource_or_init::<Self>().0 = brains;
    }
}

impl Registered {
    /// Its model, if it is alive.
    pub(crate) fn living_model(&self, world: &World) -> Option<Entity> {
        self.model.filter(|model| world.get_entity(*model).is_ok())
    }

    /// Gives the brain another model, which is alive, or none; the one before is removed if it is still there.
    pub(crate) fn set_model(&mut self, world: &mut World, model: Option<Entity>) {
        if let Some(before) = self.living_model(world).filter(|before| Some(*before) != model) {
            // It was alive a moment ago.
            let _ = world.remove_model(before);
        }
        self.model = model;
        (self.kind.activate)(world, model.map(|model| (self.brain, model)));
        if let Some(mut status) = world.get_mut::<BrainStatus>(self.brain) {
            status.model = model;
        }
    }

    /// Tells an error, unless it was told already.
    pub(crate) fn tell(
        &self,
        world: &mut World,
        error: BrainError,
        place: fn(&mut BrainStatus) -> &mut Option<String>,
    ) {
        let text = error.to_string();
        let Some(mut status) = world.get_mut::<BrainStatus>(self.brain) else { return };
        let place = place(&mut status);
        if place.as_ref() == Some(&text) {
            return;
        }
        log::error!("{text}");
        *place = Some(text);
        world.write_message(BrainFailed { brain: self.brain, error: Arc::new(error) });
    }
}
