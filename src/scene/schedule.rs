//! How the learning rate changes from epoch to epoch.

use connectome_components::LearningRateSchedule;
use serde::{Deserialize, Serialize};

/// How the learning rate changes with the epochs.
///
/// The engine counts optimizer steps: [`EpochSchedule::in_steps`] converts this to its [`LearningRateSchedule`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum EpochSchedule {
    /// The same in every epoch.
    #[default]
    Constant,
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Epochs between two changes; 0 means never.
        every: u64,
        /// The factor of the learning rate.
        factor: f32,
    },
    /// Half a cosine from the full rate to `final_factor` times it over `epochs`, constant afterwards (Loshchilov & Hutter
    /// 2017). Within an epoch it changes with each step.
    Cosine {
        /// Epochs until the rate is constant.
        epochs: u64,
        /// The fraction of the rate at the end.
        #[serde(default)]
        final_factor: f32,
    },
}

impl EpochSchedule {
    /// The same schedule in optimizer steps, of which an epoch has `steps_per_epoch`.
    pub fn in_steps(self, steps_per_epoch: u64) -> LearningRateSchedule {
        match self {
            Self::Constant => LearningRateSchedule::Constant,
            Self::Step { every, factor } => {
                LearningRateSchedule::Step { every: every.saturating_mul(steps_per_epoch), factor }
            }
            Self::Cosine { epochs, final_factor } => {
                LearningRateSchedule::Cosine { steps: epochs.saturating_mul(steps_per_epoch), final_factor }
            }
        }
    }
}
