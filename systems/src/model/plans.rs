//! What the schedules of a model run.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::HookContext,
    schedule::{InternedScheduleLabel, Schedule},
    world::{DeferredWorld, World},
};
use connectome_components::Field;
use core::{any::Any, fmt};
use std::sync::{Arc, atomic::AtomicBool};

use super::{Evaluate, Infer, Train, life::take_out, schedules::model_of, timings::Readings};
use crate::{
    error::{BuildError, StepFault},
    phases::Sets,
    program::{Layout, Plan},
};

/// The plans of a model, as a component of its entity. When it goes, as the entity is despawned, what the model has in the
/// world goes as well: its schedules, its parameters, and its columns back to their pool.
#[derive(Component, Clone, Debug)]
#[component(clone_behavior = Ignore, on_remove = clean_up)]
pub struct Plans {
    pub(super) training: Option<Arc<Plan>>,
    pub(super) inference: Arc<Plan>,
    pub(super) layout: Layout,
    /// When the operations of [`Infer`], [`Train`] and [`Evaluate`] began, for a clock.
    pub(super) readings: [Readings; 3],
    pub(super) fault: StepFault,
    /// Whether each pass compares all rows with those of the topology.
    pub(super) is_watched: Arc<AtomicBool>,
    /// Who emits the systems of [`Infer`], [`Train`] and [`Evaluate`].
    pub(super) emitters: [Option<Emitter>; 3],
    pub(super) graphs: Vec<Entity>,
    /// By whose parity the state of a recurrent model changes roles.
    pub(super) state_owner: Option<Entity>,
    /// The entities of the parameters.
    pub(super) parameters: Vec<Entity>,
    /// The columns that the model borrows.
    pub(super) borrowed: Vec<Field>,
}

type Emit = dyn Fn(&mut World, &mut Schedule, Sets) -> Result<(), BuildError> + Send + Sync;

/// Adds the systems of a model to a schedule.
#[derive(Clone)]
pub(super) struct Emitter(Arc<Emit>);

impl Emitter {
    pub(super) fn new(
        emit: impl Fn(&mut World, &mut Schedule, Sets) -> Result<(), BuildError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(emit))
    }

    pub(super) fn emit(&self, world: &mut World, schedule: &mut Schedule, sets: Sets) -> Result<(), BuildError> {
        (self.0)(world, schedule, sets)
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Emitter")
    }
}

fn clean_up(mut world: DeferredWorld, HookContext { entity: model, .. }: HookContext) {
    let Some(plans) = world.get::<Plans>(model) else { return };
    // Its systems that still run, if it goes in the midst of a step, are to do nothing.
    plans.fault.set(BuildError::NoModel(model));
    let (parameters, borrowed) = (plans.parameters.clone(), plans.borrowed.clone());
    world.commands().queue(move |world: &mut World| take_out(world, model, parameters, borrowed));
}

impl Plans {
    /// To train, if the model learns.
    pub fn training(&self) -> Option<&Plan> {
        self.training.as_deref()
    }

    /// To infer and to measure.
    pub fn inference(&self) -> &Plan {
        &self.inference
    }

    /// The columns that they share.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The plan that a schedule of a model runs.
    pub(super) fn of(world: &World, label: InternedScheduleLabel) -> Option<&Plan> {
        let label: &dyn Any = &*label;
        let plans: &Self = world.get(model_of(label)?)?;
        if label.is::<Train>() { plans.training() } else { Some(plans.inference()) }
    }

    /// Who emits the systems of a schedule of the model.
    pub(super) fn emitter(&self, label: &dyn Any) -> Option<Emitter> {
        let [infer, train, evaluate] = &self.emitters;
        let of = |known: bool, emitter: &Option<Emitter>| emitter.clone().filter(|_| known);
        of(label.is::<Infer>(), infer)
            .or_else(|| of(label.is::<Train>(), train))
            .or_else(|| of(label.is::<Evaluate>(), evaluate))
    }

    /// Where the operations of a schedule note when they begin.
    pub(super) fn readings(world: &World, label: InternedScheduleLabel) -> Option<Readings> {
        let label: &dyn Any = &*label;
        let [infer, train, evaluate] = &world.get::<Self>(model_of(label)?)?.readings;
        let of = |known: bool, readings: &Readings| known.then(|| readings.clone());
        of(label.is::<Infer>(), infer)
            .or_else(|| of(label.is::<Train>(), train))
            .or_else(|| of(label.is::<Evaluate>(), evaluate))
    }
}
