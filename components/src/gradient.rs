//! Accumulation and clipping of gradients.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

/// Accumulates the gradients of several training passes for one optimizer step, a component of the model entity.
///
/// The gradient of such a step is that of the mean over all terms of the passes, as if they had been made at once. The
/// gradient fields of the parameters hold it after the last pass; the metrics are those of each pass.
///
/// The sums need memory that is reserved when the model is built. Without this component each pass is a step.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientAccumulation {
    /// Passes in a step; 0 means 1.
    pub micro_batches: u32,
    /// Terms of the loss in the passes since the last step.
    #[serde(skip)]
    pub terms: u64,
}

impl GradientAccumulation {
    /// Accumulates this number of passes for each step.
    pub fn new(micro_batches: u32) -> Self {
        Self { micro_batches, terms: 0 }
    }
}

/// Clips the norm of the gradient of all parameters together (Pascanu et al. 2013), a component of the model entity.
///
/// The gradient fields stay as they are; the optimizer scales what it reads. A gradient whose norm is not finite
/// changes neither parameters nor moments, but its step is counted.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientClipping {
    /// The largest norm; nothing is learned unless it is positive.
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

    /// The factor of the last gradient, as in `torch.nn.utils.clip_grad_norm_`; none if its norm is not finite.
    pub fn scale(&self) -> Option<f32> {
        let scale = f64::from(self.norm) / (self.measured + 1e-6);
        self.measured.is_finite().then(|| scale.clamp(0.0, 1.0) as f32)
    }
}
