//! Optimizers: parameters follow their gradients.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, LearningRateSchedule, Optimizer, Parameter, TrainingState};

use crate::{Blocks, RowsMut, Workers, kernels::vectorize};

/// The system that moves one parameter: gradient, moments and weights are gone through once, together.
///
/// None if the parameter does not learn.
pub fn optimize(world: &mut World, model: Entity, parameter: &Parameter) -> Option<BoxedSystem> {
    let state = (
        (parameter.value.write(), parameter.moments?.write(), parameter.gradient?.read()),
        ParamBuilder::query::<(&Optimizer, &LearningRateSchedule, &TrainingState)>(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(world);
    let own_decay = parameter.weight_decay;
    let system = state.build_system(
        move |(mut value, mut moments, gradient): (ColumnMut, ColumnMut, Column),
              model_state: Query<(&Optimizer, &LearningRateSchedule, &TrainingState)>,
              workers: Res<Workers>| {
            let Ok((optimizer, schedule, state)) = model_state.get(model) else { return };
            let step = OptimizerStep {
                optimizer: *optimizer,
                learning_rate: optimizer.learning_rate() * schedule.factor(state.step),
                weight_decay: own_decay.unwrap_or(optimizer.weight_decay()),
                number: state.step + 1,
            };
            let gradient = gradient.matrix();
            let (mut value, mut moments) = (value.matrix().rows_mut(), moments.matrix().rows_mut());
            let (Some(value), Some(moments)) = (value.next(), moments.next()) else { return };
            step.apply(&workers, value, gradient.row(0), moments);
        },
    );
    Some(Box::new(system.with_name(format!("optimize {}", parameter.name))))
}

/// One step of an optimizer over one parameter.
#[derive(Clone, Copy, Debug)]
pub struct OptimizerStep {
    /// The rule.
    pub optimizer: Optimizer,
    /// After the schedule.
    pub learning_rate: f32,
    /// This parameter's.
    pub weight_decay: f32,
    /// Counted from 1.
    pub number: u64,
}

/// Weights in a block; a multiple of every vector width.
const BLOCK: usize = 4096;

impl OptimizerStep {
    /// Moves `values` against `gradients`. `moments` holds [`Optimizer::moments`] numbers for each weight, those of the
    /// first moment before those of the second.
    pub fn apply(&self, workers: &Workers, values: &mut [f32], gradients: &[f32], moments: &mut [f32]) {
        let count = values.len();
        let mut moments = moments.chunks_exact_mut(count);
        let mut moment = || moments.next().map_or(RowsMut::new(&mut [], 0), |moment| RowsMut::new(moment, 1));
        let (first, second, largest) = (moment(), moment(), moment());
        let blocks = Blocks::Even { start: 0, rows: count, size: BLOCK };
        let output = ((RowsMut::new(values, 1), first), (second, largest));
        workers.for_each_block(blocks, 4, output, |rows, ((values, first), (second, largest))| {
            vectorize(
                #[inline(always)]
                || {
                    self.apply_block(values.data, &gradients[rows], first.data, second.data, largest.data);
                },
            );
        });
    }

    #[inline(always)]
    fn apply_block(
        &self,
        values: &mut [f32],
        gradients: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        largest: &mut [f32],
    ) {
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        match self.optimizer {
            Optimizer::Sgd { momentum, nesterov, .. } => {
                for ((value, gradient), velocity) in values.iter_mut().zip(gradients).zip(first) {
                    let gradient = gradient + decay * *value;
                    *velocity = momentum * *velocity + gradient;
                    *value -= rate * if nesterov { gradient + momentum * *velocity } else { *velocity };
                }
            }
            Optimizer::Adam { betas, epsilon, amsgrad, .. } => {
                let adam = Adam::new(rate, betas, epsilon, self.number);
                let moments = first.iter_mut().zip(second);
                if amsgrad {
                    let moments = moments.zip(largest);
                    for ((value, gradient), ((first, second), largest)) in values.iter_mut().zip(gradients).zip(moments)
                    {
                        adam.remember(gradient + decay * *value, first, second);
                        *largest = largest.max(*second);
                        *value -= adam.step(*first, *largest);
                    }
                } else {
                    for ((value, gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
                        adam.remember(gradient + decay * *value, first, second);
                        *value -= adam.step(*first, *second);
                    }
                }
            }
            Optimizer::AdamW { betas, epsilon, .. } => {
                let adam = Adam::new(rate, betas, epsilon, self.number);
                let moments = first.iter_mut().zip(second);
                for ((value, gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
                    adam.remember(*gradient, first, second);
                    *value -= rate * decay * *value + adam.step(*first, *second);
                }
            }
            Optimizer::RmsProp { smoothing, epsilon, .. } => {
                for ((value, gradient), square) in values.iter_mut().zip(gradients).zip(first) {
                    let gradient = gradient + decay * *value;
                    *square = smoothing * *square + (1.0 - smoothing) * gradient * gradient;
                    *value -= rate * gradient / (square.sqrt() + epsilon);
                }
            }
        }
    }
}

/// What the weights of one Adam step have in common (Kingma & Ba 2015, algorithm 1).
struct Adam {
    betas: (f32, f32),
    epsilon: f32,
    /// The learning rate over the first moment's bias correction.
    rate: f32,
    /// One over the root of the second moment's bias correction.
    root: f32,
}

impl Adam {
    fn new(rate: f32, betas: (f32, f32), epsilon: f32, number: u64) -> Self {
        let power = i32::try_from(number).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(power);
        Self {
            betas,
            epsilon,
            rate: (f64::from(rate) / correction(betas.0)) as f32,
            root: (1.0 / correction(betas.1).sqrt()) as f32,
        }
    }

    #[inline(always)]
    fn remember(&self, gradient: f32, first: &mut f32, second: &mut f32) {
        *first = self.betas.0 * *first + (1.0 - self.betas.0) * gradient;
        *second = self.betas.1 * *second + (1.0 - self.betas.1) * gradient * gradient;
    }

    #[inline(always)]
    fn step(&self, first: f32, second: f32) -> f32 {
        self.rate * first / (second.sqrt() * self.root + self.epsilon)
    }
}
