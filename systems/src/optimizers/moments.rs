//! Which optimizer the moments of a model are of.

use bevy_ecs::{component::Component, entity::Entity, world::World};
use connectome_components::{
    GradientAccumulation, LearningFault, LearningRateSchedule, Metrics, Optimizer, Parameter, TrainingState,
};

use crate::error::BuildError;

/// What the fields of a model's parameters have room for, and what fills them: a component of the model's entity.
#[derive(Component, Clone, Debug)]
#[component(clone_behavior = Ignore)]
pub(crate) struct Moments {
    /// The optimizer that has filled the moments.
    optimizer: Optimizer,
    /// Numbers that there is room for, for each weight.
    room: usize,
    /// Whether there is room for the sums of several passes.
    has_sums: bool,
    /// For each parameter that learns, in order, the step after which its moments began to be filled.
    since: Vec<u64>,
}

impl Moments {
    /// Those of a new model with so many parameters that learn.
    pub(crate) fn new(optimizer: Optimizer, parameters: usize, has_sums: bool) -> Self {
        Self { optimizer, room: optimizer.moments(), has_sums, since: vec![0; parameters] }
    }

    /// How many steps have filled the moments of a parameter, the present one included.
    pub(super) fn age(&self, parameter: usize, steps: u64) -> u64 {
        let since = self.since.get(parameter).copied().unwrap_or(0);
        steps.saturating_sub(since) + 1
    }

    /// Whether the moments are of such an optimizer: it may go on with them.
    pub(crate) fn are_of(&self, optimizer: &Optimizer) -> bool {
        self.optimizer.shares_moments_with(optimizer)
    }

    /// What keeps the model from learning by these components, if anything does.
    fn refuse(&self, optimizer: &Optimizer, accumulation: Option<&GradientAccumulation>) -> Option<String> {
        let (needed, room) = (optimizer.moments(), self.room);
        if needed > room {
            return Some(format!(
                "its new optimizer remembers {needed} numbers for each weight, and it was built with room for {room}; \
                 build it anew with `replace_model`, which keeps the weights"
            ));
        }
        let accumulates = accumulation.is_some_and(|accumulation| accumulation.micro_batches > 1);
        (accumulates && !self.has_sums).then(|| {
            "it was built without room for the sums of several passes; build it anew with `replace_model` and \
             `accumulate_gradients`, or remove its `GradientAccumulation`"
                .to_owned()
        })
    }

    /// Sees whether a model can learn by the components that it has now. Moments of an optimizer of another kind are set to
    /// 0, as if they began now.
    ///
    /// # Errors
    /// If a component is missing, or there is no room for what the new ones have to remember.
    pub(crate) fn follow_components(world: &mut World, model: Entity) -> Result<(), BuildError> {
        let Some(moments) = world.get::<Self>(model) else { return Ok(()) };
        let missing = |name: &str| {
            let reason = format!("its component `{name}` is gone; insert one");
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
        if let Some(reason) = moments.refuse(optimizer, world.get::<GradientAccumulation>(model)) {
            return Err(BuildError::CannotLearn { model, reason });
        }
        let (step, optimizer, begins) = (state.step, *optimizer, !moments.are_of(optimizer));
        if begins {
            clear(world, model);
        }
        if let Some(mut moments) = world.get_mut::<Self>(model) {
            moments.optimizer = optimizer;
            if begins {
                moments.since.fill(step);
            }
        }
        Ok(())
    }

    /// Lets a model go on where another one stands: with its steps, and for each parameter that learns, in order, with the
    /// age of the other's parameter whose moments it has been given, or with none.
    pub(crate) fn go_on(world: &mut World, model: Entity, before: Entity, origins: &[Option<usize>]) {
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
