//! What happens to gradients before parameters follow them.

use bevy_ecs::component::Component;
use serde::{Deserialize, Serialize};

/// Lets several training passes, each over a part of the data, make one step: a component of the model entity.
///
/// The gradient of such a step is that of the mean over all terms of the passes, as if they had been made at once; of several
/// heads, each pass counts as much as the terms of all of them. The gradient fields of the parameters hold it after the last pass; the metrics are those of each pass.
///
/// A model is given the room for it when it is built. Without this component afterwards, each pass is a step.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientAccumulation {
    /// Passes that make a step; 0 counts as 1.
    pub micro_batches: u32,
    /// The sum of the weights of the terms of the loss in the passes since the last step: as many as terms, if these have none.
    #[serde(skip)]
    pub terms: f64,
}

impl GradientAccumulation {
    /// So many passes for each step.
    pub fn new(micro_batches: u32) -> Self {
        Self { micro_batches, terms: 0.0 }
    }
}

/// Shortens the gradient of all parameters together to a length (Pascanu et al. 2013), a component of the model entity.
///
/// The fields of the gradients stay as they are; the optimizer reads them shortened.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientClipping {
    /// The greatest length; without one above 0 nothing is learned.
    pub norm: f32,
    /// The length of the last gradient before it was shortened.
    #[serde(skip)]
    pub measured: f64,
}

impl GradientClipping {
    /// Gradients no longer than `norm`.
    pub fn new(norm: f32) -> Self {
        Self { norm, measured: 0.0 }
    }

    /// What the last gradient is multiplied by, as by `torch.nn.utils.clip_grad_norm_`; none if it has no direction.
    pub fn scale(&self) -> Option<f32> {
        let scale = f64::from(self.norm) / (self.measured + 1e-6);
        self.measured.is_finite().then(|| scale.clamp(0.0, 1.0) as f32)
    }
}
