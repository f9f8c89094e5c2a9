//! Optimizers and learning rate schedules, as data.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

/// The update rule of the parameters, a component of the model entity.
///
/// `weight_decay` is the default of every parameter; a layer may set its own. The forms are those of `torch.optim`:
/// decay is added to the gradient (L2), except in [`Optimizer::AdamW`], where it shrinks the weight itself.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum (Polyak 1964), `nesterov` for the look-ahead form
    /// (Sutskever et al. 2013).
    Sgd {
        /// Learning rate.
        learning_rate: f32,
        /// Momentum coefficient.
        #[serde(default)]
        momentum: f32,
        /// Whether to use Nesterov momentum.
        #[serde(default)]
        nesterov: bool,
        /// L2 coefficient.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Adam (Kingma & Ba 2015), with the running maximum of AMSGrad (Reddi et al. 2018) if set.
    Adam {
        /// Learning rate.
        learning_rate: f32,
        /// Decay rates of the first and second moment.
        #[serde(default = "betas")]
        betas: (f32, f32),
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Whether to divide by the largest second moment so far.
        #[serde(default)]
        amsgrad: bool,
        /// L2 coefficient.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    AdamW {
        /// Learning rate.
        learning_rate: f32,
        /// Decay rates of the first and second moment.
        #[serde(default = "betas")]
        betas: (f32, f32),
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Fraction of the weight, times the learning rate, that each step subtracts.
        #[serde(default = "decoupled_decay")]
        weight_decay: f32,
    },
    /// RMSprop (Tieleman & Hinton 2012).
    RmsProp {
        /// Learning rate.
        learning_rate: f32,
        /// Decay rate of the mean square.
        #[serde(default = "rms_decay")]
        decay: f32,
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// L2 coefficient.
        #[serde(default)]
        weight_decay: f32,
    },
}

fn betas() -> (f32, f32) {
    (0.9, 0.999)
}
fn epsilon() -> f32 {
    1e-8
}
fn decoupled_decay() -> f32 {
    1e-2
}
fn rms_decay() -> f32 {
    0.99
}

impl Optimizer {
    /// Stochastic gradient descent without momentum or decay.
    pub fn sgd(learning_rate: f32) -> Self {
        Self::Sgd { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam with the settings of its paper, without decay.
    pub fn adam(learning_rate: f32) -> Self {
        let (betas, epsilon) = (betas(), epsilon());
        Self::Adam { learning_rate, betas, epsilon, amsgrad: false, weight_decay: 0.0 }
    }

    /// The learning rate without a schedule.
    pub fn learning_rate(&self) -> f32 {
        match *self {
            Self::Sgd { learning_rate, .. }
            | Self::Adam { learning_rate, .. }
            | Self::AdamW { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. } => learning_rate,
        }
    }

    /// The weight decay of parameters whose layer sets none.
    pub fn weight_decay(&self) -> f32 {
        match *self {
            Self::Sgd { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::AdamW { weight_decay, .. }
            | Self::RmsProp { weight_decay, .. } => weight_decay,
        }
    }

    /// Whether the moments of one are valid for the other: both are of one kind; Adam and AdamW count as one.
    pub fn shares_moments_with(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Sgd { .. }, Self::Sgd { .. })
                | (Self::RmsProp { .. }, Self::RmsProp { .. })
                | (Self::Adam { .. } | Self::AdamW { .. }, Self::Adam { .. } | Self::AdamW { .. })
        )
    }

    /// Number of moments for each weight.
    pub fn moments(&self) -> usize {
        match *self {
            Self::Sgd { .. } | Self::RmsProp { .. } => 1,
            Self::Adam { amsgrad, .. } => 2 + usize::from(amsgrad),
            Self::AdamW { .. } => 2,
        }
    }
}

/// The learning rate as a function of the optimizer step, a component of the model entity. It counts optimizer steps,
/// not epochs; the loader of scenes converts epochs to steps.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[serde(deny_unknown_fields)]
pub enum LearningRateSchedule {
    /// The same in every step.
    #[default]
    Constant,
    /// Multiplied by `factor` after every `every` optimizer steps.
    Step {
        /// Steps between two changes; 0 means never.
        every: u64,
        /// The factor of the learning rate.
        factor: f32,
    },
    /// Cosine annealing from the full rate to `final_factor` times it over `steps`, constant afterwards (Loshchilov &
    /// Hutter 2017).
    Cosine {
        /// Steps until the rate is constant.
        steps: u64,
        /// The final rate as a fraction of the full one.
        #[serde(default)]
        final_factor: f32,
    },
}

impl LearningRateSchedule {
    /// The factor of the learning rate at optimizer step `step`, counted from 0.
    pub fn factor(&self, step: u64) -> f32 {
        match *self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => {
                let changes = step.checked_div(every).unwrap_or(0);
                factor.powi(i32::try_from(changes).unwrap_or(i32::MAX))
            }
            Self::Cosine { steps, final_factor } => {
                if step >= steps {
                    return final_factor;
                }
                let angle = core::f64::consts::PI * step as f64 / steps as f64;
                final_factor + (1.0 - final_factor) * (0.5 * (1.0 + angle.cos())) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_follow_their_formulas() {
        let step = LearningRateSchedule::Step { every: 10, factor: 0.5 };
        assert_eq!([0, 9, 10, 25].map(|s| step.factor(s)), [1.0, 1.0, 0.5, 0.25]);
        let cosine = LearningRateSchedule::Cosine { steps: 100, final_factor: 0.1 };
        assert_eq!(cosine.factor(0), 1.0);
        assert!((cosine.factor(50) - 0.55).abs() < 1e-6);
        assert_eq!(cosine.factor(100), 0.1);
        assert_eq!(LearningRateSchedule::Step { every: 0, factor: 0.5 }.factor(7), 1.0);
    }
}
