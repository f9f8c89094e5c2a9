//! What the schedules of a model run.

use bevy_ecs::{component::Component, schedule::InternedScheduleLabel, world::World};
use core::any::Any;
use std::sync::Arc;

use super::{Evaluate, Infer, Train, schedules::model_of};
use crate::{
    clock::Readings,
    program::{Layout, Plan},
};

/// The plans of a model, as a component of its entity.
#[derive(Component, Clone, Debug)]
pub struct Plans {
    pub(super) training: Option<Arc<Plan>>,
    pub(super) inference: Arc<Plan>,
    pub(super) layout: Layout,
    /// When the operations of [`Infer`], [`Train`] and [`Evaluate`] began, for a clock.
    pub(super) readings: [Readings; 3],
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
    pub(crate) fn of(world: &World, label: InternedScheduleLabel) -> Option<&Plan> {
        let label: &dyn Any = &*label;
        let plans: &Self = world.get(model_of(label)?)?;
        if label.is::<Train>() { plans.training() } else { Some(plans.inference()) }
    }

    /// Where the operations of a schedule note when they begin.
    pub(crate) fn readings(world: &World, label: InternedScheduleLabel) -> Option<Readings> {
        let label: &dyn Any = &*label;
        let [infer, train, evaluate] = &world.get::<Self>(model_of(label)?)?.readings;
        let of = |known: bool, readings: &Readings| known.then(|| readings.clone());
        of(label.is::<Infer>(), infer)
            .or_else(|| of(label.is::<Train>(), train))
            .or_else(|| of(label.is::<Evaluate>(), evaluate))
    }
}
