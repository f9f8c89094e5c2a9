//! The components of a brain's entity.

use bevy_asset::Handle;
use bevy_ecs::{component::Component, entity::Entity, reflect::ReflectComponent, resource::Resource};
use bevy_reflect::{Reflect, prelude::ReflectDefault};
use std::{marker::PhantomData, time::Duration};

use crate::{asset::BrainAsset, brain::Brain};

/// Marks the entity of the brain of kind `B`, for queries such as `Single<&mut BrainMode, With<BrainOf<Flock>>>`.
#[derive(Component)]
pub struct BrainOf<B: Brain>(PhantomData<fn() -> B>);

impl<B: Brain> Default for BrainOf<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// The file of a brain. With another handle it is built anew; weights and moments are kept where name and shape agree.
#[derive(Component, Clone, Debug, Default, Reflect)]
#[reflect(Component, Default)]
pub struct BrainHandle(pub Handle<BrainAsset>);

/// What a brain does in a tick.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Component, Default)]
pub enum BrainMode {
    /// It infers.
    #[default]
    Infer,
    /// It makes a training step.
    Train,
    /// It infers, and its loss and metrics are measured on every split.
    Evaluate,
}

/// When a brain runs: at every tick of the schedule, or at some of them.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Reflect)]
#[reflect(Component, Default)]
pub struct BrainClock {
    /// It runs at every so many ticks; never with 0.
    pub every: u32,
    /// At which of these ticks it runs, from 0: brains of different phases share the work among ticks.
    pub phase: u32,
    /// Whether its time stands still.
    pub is_paused: bool,
    /// Ticks that have passed while it was not paused.
    pub ticks: u64,
}

impl Default for BrainClock {
    fn default() -> Self {
        Self { every: 1, phase: 0, is_paused: false, ticks: 0 }
    }
}

impl BrainClock {
    /// Whether the brain runs in the next tick.
    pub fn is_due(&self) -> bool {
        let every = u64::from(self.every);
        !self.is_paused && every > 0 && self.ticks % every == u64::from(self.phase) % every
    }

    /// Lets a tick pass; returns whether the brain runs in it.
    pub(crate) fn advance(&mut self) -> bool {
        let is_due = self.is_due();
        self.ticks = self.ticks.wrapping_add(u64::from(!self.is_paused));
        is_due
    }
}

/// How a brain is.
#[derive(Component, Clone, Debug, Default, PartialEq, Reflect)]
#[reflect(Component, Default)]
pub struct BrainStatus {
    /// Its model, which is another one after each build; none as long as no file could be built.
    #[entities]
    pub model: Option<Entity>,
    /// How many times it has been built.
    pub builds: u64,
    /// Why its file, as it is now, was not built. The brain that was built before lives on.
    pub build_error: Option<String>,
    /// Why it did not run in the last tick in which it was to.
    pub tick_error: Option<String>,
    /// Whether it has run in the last tick.
    pub has_run: bool,
    /// How long it ran in the last tick in which it did.
    pub duration: Duration,
}

/// The model of the brain of kind `B`: there as long as the brain has one. Systems that take
/// [`Input`](crate::Input) or [`Output`](crate::Output) are skipped without it.
#[derive(Resource)]
pub struct ActiveBrain<B: Brain> {
    /// The entity of the brain.
    pub brain: Entity,
    /// The entity of its model.
    pub model: Entity,
    kind: PhantomData<fn() -> B>,
}

impl<B: Brain> ActiveBrain<B> {
    pub(crate) fn new(brain: Entity, model: Entity) -> Self {
        Self { brain, model, kind: PhantomData }
    }
}
