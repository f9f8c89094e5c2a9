//! The update rules of the optimizers.

use connectome_components::Optimizer;

use super::BLOCK;
use crate::{
    kernels::vectorize,
    parallel::{Blocks, RowsMut, Workers},
};

/// One step of an optimizer over one parameter.
#[derive(Clone, Copy, Debug)]
pub struct OptimizerStep {
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate after the schedule.
    pub learning_rate: f32,
    /// The weight decay of this parameter.
    pub weight_decay: f32,
    /// The factor of the gradients, for clipping.
    pub gradient_scale: f32,
    /// The step, counted from 1.
    pub number: u64,
}

impl OptimizerStep {
    /// Updates `values` by `gradients`. `moments` holds [`Optimizer::moments`] values for each weight, those of the
    /// first moment before those of the second.
    pub fn apply(&self, workers: &Workers, values: &mut [f32], gradients: &[f32], moments: &mut [f32]) {
        let count = values.len();
        let mut moments = moments.chunks_exact_mut(count);
        let mut moment = || moments.next().map_or(RowsMut::new(&mut [], 0), |moment| RowsMut::new(moment, 1));
        let (first, second, largest) = (moment(), moment(), moment());
        let blocks = Blocks::Uniform { start: 0, rows: count, size: BLOCK };
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
        let (rate, decay, scale) = (self.learning_rate, self.weight_decay, self.gradient_scale);
        match self.optimizer {
            Optimizer::Sgd { momentum, nesterov, .. } => {
                for ((value, gradient), velocity) in values.iter_mut().zip(gradients).zip(first) {
                    let gradient = scale * gradient + decay * *value;
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
                        adam.update_moments(scale * gradient + decay * *value, first, second);
                        *largest = largest.max(*second);
                        *value -= adam.step(*first, *largest);
                    }
                } else {
                    for ((value, gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
                        adam.update_moments(scale * gradient + decay * *value, first, second);
                        *value -= adam.step(*first, *second);
                    }
                }
            }
            Optimizer::AdamW { betas, epsilon, .. } => {
                let adam = Adam::new(rate, betas, epsilon, self.number);
                let moments = first.iter_mut().zip(second);
                for ((value, gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
                    adam.update_moments(scale * gradient, first, second);
                    *value -= rate * decay * *value + adam.step(*first, *second);
                }
            }
            Optimizer::RmsProp { decay: smoothing, epsilon, .. } => {
                for ((value, gradient), square) in values.iter_mut().zip(gradients).zip(first) {
                    let gradient = scale * gradient + decay * *value;
                    *square = smoothing * *square + (1.0 - smoothing) * gradient * gradient;
                    *value -= rate * gradient / (square.sqrt() + epsilon);
                }
            }
        }
    }
}

/// The constants of one Adam step (Kingma & Ba 2015, algorithm 1).
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
    fn update_moments(&self, gradient: f32, first: &mut f32, second: &mut f32) {
        *first = self.betas.0 * *first + (1.0 - self.betas.0) * gradient;
        *second = self.betas.1 * *second + (1.0 - self.betas.1) * gradient * gradient;
    }

    #[inline(always)]
    fn step(&self, first: f32, second: f32) -> f32 {
        self.rate * first / (second.sqrt() * self.root + self.epsilon)
    }
}
