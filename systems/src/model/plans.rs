//! The plans of a model.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::HookContext,
    schedule::{InternedScheduleLabel, Schedule},
    world::{DeferredWorld, World},
};
use connectome_components::Field;
use core::{any::Any, fmt};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Evaluate, Infer, Train, life::take_out, schedules::model_of, timings::Readings};
use crate::{
    error::{BuildError, StepFault},
    phases::Sets,
    program::{Layout, Plan},
};

/// The plans of a model, a component of its entity. When it is removed, as when the entity is despawned, its hook
/// removes the schedules and parameters of the model, and gives its fields back to the pool.
#[derive(Component, Clone, Debug)]
#[component(clone_behavior = Ignore, on_remove = clean_up)]
pub struct Plans {
    pub(super) training: Option<Arc<Plan>>,
    pub(super) inference: Arc<Plan>,
    pub(super) layout: Layout,
    /// The times at which the operations of [`Infer`], [`Train`] and [`Evaluate`] began.
    pub(super) readings: [Readings; 3],
    pub(super) fault: StepFault,
    /// Whether each pass compares all rows with those of the topology.
    pub(super) is_watched: Arc<AtomicBool>,
    /// The emitters of the systems of [`Infer`], [`Train`] and [`Evaluate`].
    pub(super) emitters: [Option<Emitter>; 3],
    pub(super) graphs: Vec<Entity>,
    /// The entity with the parity of a recurrent model's state.
    pub(super) state_owner: Option<Entity>,
    /// The entities of the parameters.
    pub(super) parameters: Vec<Entity>,
    /// The fields that the model has taken from the pool.
    pub(super) borrowed: Vec<Field>,
    /// The fields whose values one step leaves to the next.
    pub(super) carried: Carried,
    /// The output of the first head in training, if the model is trained.
    pub(super) trained_output: Option<Field>,
}

/// The fields of a model whose values one step leaves to the next, or to systems of the user: all others are computed
/// anew in each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    /// Inputs, outputs and targets.
    pub(crate) rows: Vec<Field>,
    /// Indices of sparse inputs and targets.
    pub(crate) indices: Vec<Field<u32>>,
    /// Fields of one row: outputs that belong to no entity.
    pub(crate) single: Vec<Field>,
    /// Whether the columns among them that rest have been computed.
    settled: Vec<Arc<AtomicBool>>,
}

impl Carried {
    /// Adds a field, unless it is known.
    pub(super) fn add(&mut self, field: Field) {
        // A component that marks the rows, and is read in place, is its own domain, too.
        let fields = if field.is_detached() { &mut self.single } else { &mut self.rows };
        if !fields.contains(&field) {
            fields.push(field);
        }
    }

    /// Adds the flags of the fields among `columns`.
    pub(super) fn add_settled(&mut self, columns: &[Field], settled: &[Arc<AtomicBool>]) {
        let is_carried = |field: &Field| self.rows.contains(field) || self.single.contains(field);
        self.settled =
            columns.iter().zip(settled).filter(|(field, _)| is_carried(field)).map(|(_, flag)| flag.clone()).collect();
    }

    /// Lets what rests be computed again, after values were written that may belong to other inputs.
    pub(crate) fn unsettle(&self) {
        self.settled.iter().for_each(|settled| settled.store(false, Ordering::Relaxed));
    }
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
    // If it is removed within a step, its remaining systems do nothing.
    plans.fault.set(BuildError::NoModel(model));
    let (parameters, borrowed) = (plans.parameters.clone(), plans.borrowed.clone());
    world.commands().queue(move |world: &mut World| take_out(world, model, parameters, borrowed));
}

impl Plans {
    /// The plan of training, if the model has an optimizer.
    pub fn training(&self) -> Option<&Plan> {
        self.training.as_deref()
    }

    /// The plan of inference and evaluation.
    pub fn inference(&self) -> &Plan {
        &self.inference
    }

    /// The buffers that both plans share.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The graphs that the model reads.
    pub(crate) fn graphs(&self) -> &[Entity] {
        &self.graphs
    }

    /// The fields whose values one step leaves to the next, beside parameters, moments and accumulated gradients.
    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// The plan that a schedule of a model runs.
    pub(super) fn of(world: &World, label: InternedScheduleLabel) -> Option<&Plan> {
        let label: &dyn Any = &*label;
        let plans: &Self = world.get(model_of(label)?)?;
        if label.is::<Train>() { plans.training() } else { Some(plans.inference()) }
    }

    /// The emitter of the systems of a schedule of the model.
    pub(super) fn emitter(&self, label: &dyn Any) -> Option<Emitter> {
        let [infer, train, evaluate] = &self.emitters;
        let of = |matches: bool, emitter: &Option<Emitter>| emitter.clone().filter(|_| matches);
        of(label.is::<Infer>(), infer)
            .or_else(|| of(label.is::<Train>(), train))
            .or_else(|| of(label.is::<Evaluate>(), evaluate))
    }

    /// The readings of the operations of a schedule.
    pub(super) fn readings(world: &World, label: InternedScheduleLabel) -> Option<Readings> {
        let label: &dyn Any = &*label;
        let [infer, train, evaluate] = &world.get::<Self>(model_of(label)?)?.readings;
        let of = |matches: bool, readings: &Readings| matches.then(|| readings.clone());
        of(label.is::<Infer>(), infer)
            .or_else(|| of(label.is::<Train>(), train))
            .or_else(|| of(label.is::<Evaluate>(), evaluate))
    }
}
