//! The state of a model's moments.

use bevy_ecs::{component::Component, entity::Entity, world::World};
use connectome_components::{
    GradientAccumulation, LearningFault, LearningRateSchedule, Metrics, Optimizer, Parameter, TrainingState,
};

use crate::error::BuildError;

/// The capacity and the age of the moments of a model's parameters, a component of the model entity.
#[derive(Component, Clone, Debug)]
#[component(clone_behavior = Ignore)]
pub(crate) struct Moments {
    /// The optimizer that wrote the moments.
    optimizer: Optimizer,
    /// Number of moments for each weight that the fields can hold.
    capacity: usize,
    /// Whether there are fields for accumulated gradients.
    has_sums: bool,
    /// For each trainable parameter, in order, the step at which its moments were 0.
    since: Vec<u64>,
}

impl Moments {
    /// The moments of a new model with this number of trainable parameters.
    pub(crate) fn new(optimizer: Optimizer, parameters: usize, has_sums: bool) -> Self {
        Self { optimizer, capacity: optimizer.moments(), has_sums, since: vec![0; parameters] }
    }

    /// The number of steps that have updated the moments of a parameter, the current one included.
    pub(super) fn age(&self, parameter: usize, steps: u64) -> u64 {
        let since = self.since.get(parameter).copied().unwrap_or(0);
        steps.saturating_sub(since) + 1
    }

    /// For each trainable parameter, the step at which its moments were 0.
    pub(super) fn since(&self) -> &[u64] {
        // By name, so that whoever adds a field decides in `ModelState` whether it is state.
        let Self { optimizer: _, capacity: _, has_sums: _, since } = self;
        since
    }

    /// Sets the steps at which the moments were 0.
    pub(super) fn set_since(&mut self, since: impl Iterator<Item = u64>) {
        self.since.iter_mut().zip(since).for_each(|(known, since)| *known = since);
    }

    /// The optimizer that wrote the moments.
    pub(crate) fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// Says which optimizer wrote the moments.
    pub(crate) fn set_optimizer(&mut self, optimizer: Optimizer) {
        self.optimizer = optimizer;
    }

    /// Whether the moments are valid for an optimizer.
    pub(crate) fn are_of(&self, optimizer: &Optimizer) -> bool {
        self.optimizer.shares_moments_with(optimizer)
    }

    /// Why the model cannot be trained by these components, if it cannot.
    fn error(&self, optimizer: &Optimizer, accumulation: Option<&GradientAccumulation>) -> Option<String> {
        let (needed, capacity) = (optimizer.moments(), self.capacity);
        if needed > capacity {
            return Some(format!(
                "its new optimizer has {needed} moments for each weight, but it was built for {capacity}; build it \
                 again by `replace_model`, which keeps the weights"
            ));
        }
        let accumulates = accumulation.is_some_and(|accumulation| accumulation.micro_batches > 1);
        (accumulates && !self.has_sums).then(|| {
            "it was built without gradient accumulation; build it again by `replace_model` with \
             `accumulate_gradients`, or remove its `GradientAccumulation`"
                .to_owned()
        })
    }

    /// Checks that a model can be trained by its present components. If the optimizer is of another kind, resets the
    /// moments to 0.
    ///
    /// # Errors
    /// If a component is missing, or the model was not built for the number of moments or for gradient accumulation.
    pub(crate) fn update(world: &mut World, model: Entity) -> Result<(), BuildError> {
        let Some(moments) = world.get::<Self>(model) else { return Ok(()) };
        let missing = |name: &str| {
            let reason = format!("its component `{name}` is missing; insert one");
            Err(BuildError::CannotLearn { model, reason })
        };
        if world.get::<LearningRateSchedule>(model).is_none() {
            return missing("LearningRateSchedule");
        }
        if world.get::<Metrics>(model).is_none() {
            return missing("Metrics");
        }
        if world.get::<LearningFault>(model).is_none() {
            return missing("LearningFault");
        }
        let Some(state) = world.get::<TrainingState>(model) else { return missing("TrainingState") };
        let Some(optimizer) = world.get::<Optimizer>(model) else { return missing("Optimizer") };
        if let Some(reason) = moments.error(optimizer, world.get::<GradientAccumulation>(model)) {
            return Err(BuildError::CannotLearn { model, reason });
        }
        let (step, optimizer, is_reset) = (state.step, *optimizer, !moments.are_of(optimizer));
        if is_reset {
            clear(world, model);
        }
        if let Some(mut moments) = world.get_mut::<Self>(model) {
            moments.optimizer = optimizer;
            if is_reset {
                moments.since.fill(step);
            }
        }
        Ok(())
    }

    /// Resumes the training of another model: its step and, for each trainable parameter in order, the age of the
    /// moments of the other's parameter at `origins`, or 0 if none.
    pub(crate) fn resume(world: &mut World, model: Entity, before: Entity, origins: &[Option<usize>]) {
        let (Some(state), Some(known)) = (world.get::<TrainingState>(before), world.get::<Self>(before)) else {
            return;
        };
        let (step, known) = (state.step, known.since.clone());
        if let Some(mut state) = world.get_mut::<TrainingState>(model) {
            state.step = step;
        }
        if let Some(mut moments) = world.get_mut::<Self>(model) {
            let since = |origin: &Option<usize>| origin.and_then(|origin| known.get(origin).copied()).unwrap_or(step);
            moments.since = origins.iter().map(since).collect();
        }
    }
}

fn clear(world: &mut World, model: Entity) {
    let parameters = world.get::<connectome_components::Model>(model).map(|model| model.parameters.clone());
    for parameter in parameters.into_iter().flatten() {
        if let Some(moments) = world.get::<Parameter>(parameter).and_then(|parameter| parameter.moments) {
            moments.matrix_mut(world).rows_mut().for_each(|row| row.fill(0.0));
        }
    }
}
