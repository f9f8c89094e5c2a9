//! Accumulation and clipping of gradients.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

/// Accumulates the gradients of several training passes for one optimizer step, a component of the model entity.
///
/// The gradient of such a step is that of the mean over all terms of the passes, as if they were one batch. With
/// several heads, a pass is weighted by the terms of all heads. The gradient fields of the parameters hold the result
/// after the last pass; the metrics are those of each pass.
///
/// Its buffers are allocated when the model is built. If the component is removed afterwards, each pass is a step.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[serde(deny_unknown_fields)]
pub struct GradientAccumulation {
    /// Passes in a step; 0 means 1.
    pub micro_batches: u32,
    /// The sum of the weights of the terms of the loss in the passes since the last step; the number of terms if they
    /// have no weights.
    #[serde(skip)]
    pub terms: f64,
}

impl GradientAccumulation {
    /// Accumulates this number of passes for each step.
    pub fn new(micro_batches: u32) -> Self {
        Self { micro_batches, terms: 0.0 }
    }
}

/// Clips the norm of the gradient of all parameters together (Pascanu et al. 2013), a component of the model entity.
///
/// The gradient fields stay unclipped; the optimizer scales what it reads from them.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
#[serde(deny_unknown_fields)]
pub struct GradientClipping {
    /// The maximum norm; unless it is positive, parameters do not change.
    pub norm: f32,
    /// The norm of the last gradient before clipping.
    #[serde(skip)]
    pub measured: f64,
}

impl GradientClipping {
    /// Clips gradients to this norm.
    pub fn new(norm: f32) -> Self {
        Self { norm, measured: 0.0 }
    }

    /// The factor that clips the last gradient, as in `torch.nn.utils.clip_grad_norm_`; none if its norm is not finite.
    pub fn scale(&self) -> Option<f32> {
        let scale = f64::from(self.norm) / (self.measured + 1e-6);
        self.measured.is_finite().then(|| scale.clamp(0.0, 1.0) as f32)
    }
}
