//! Moving averages of the parameters, which are measured and kept in their place.

use bevy_ecs::{entity::Entity, world::World};
use core::mem::{replace, swap};

use super::{TrainError, Trainer};
use crate::components::{Split, TrainingState};
use crate::parts::PartParameter;

/// Averages the parameters of a model over its steps, if the scene asks for it.
pub(super) struct Averaging<'a> {
    decay: Option<f32>,
    model: Entity,
    /// Steps taken so far.
    steps: u64,
    parameters: &'a [PartParameter],
    averages: &'a mut Vec<Vec<f32>>,
}

impl<'a> Averaging<'a> {
    /// Averages into `averages`, of which there are none before the first step.
    pub fn new(
        decay: Option<f32>,
        (world, model): (&World, Entity),
        parameters: &'a [PartParameter],
        averages: &'a mut Vec<Vec<f32>>,
    ) -> Self {
        Self { decay, model, steps: steps(world, model), parameters, averages }
    }

    /// After a training pass, adds the parameters if it was a step: `average += (1 - decay) * (value - average)`. The first ones
    /// are the first averages.
    pub fn add(&mut self, world: &World) {
        let taken = steps(world, self.model);
        let is_step = replace(&mut self.steps, taken) != taken;
        let Some(decay) = self.decay.filter(|_| is_step) else { return };
        if self.averages.is_empty() {
            self.averages.extend(self.parameters.iter().map(|of| of.numbers(world, self.model).to_vec()));
            return;
        }
        for (of, averages) in self.parameters.iter().zip(&mut *self.averages) {
            let values = of.numbers(world, self.model);
            averages.iter_mut().zip(values).for_each(|(average, value)| *average += (1.0 - decay) * (value - *average));
        }
    }
}

/// The number of steps that a model has taken.
pub(super) fn steps(world: &World, model: Entity) -> u64 {
    world.get::<TrainingState>(model).map_or(0, |state| state.step)
}

impl Trainer {
    /// Measures loss and metrics with the averages of the parameters, if they are averaged; see [`Trainer::measure`].
    pub(super) fn measure_averages(&mut self, splits: &[Split]) -> Result<(), TrainError> {
        self.swap_averages();
        let measured = self.measure(splits);
        self.swap_averages();
        measured
    }

    fn swap_averages(&mut self) {
        for (of, averages) in self.parameters.iter().zip(&mut self.progress.averages) {
            let values = of.numbers_mut(&mut self.world, self.entities.model);
            values.iter_mut().zip(averages).for_each(|(value, average)| swap(value, average));
        }
    }
}
