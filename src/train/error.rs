//! Why a model cannot be trained.

use crate::output::OutputError;
use crate::systems::{batch::BatchError, layers::BuildError};

/// A model cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The model cannot be built or run.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A batch cannot be loaded into the training world.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Weights cannot be read.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The loss is not finite.
    #[error(
        "the loss became {loss} in epoch {epoch}; lower the learning rate of the scene's optimizer, or scale the features down"
    )]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The loss.
        loss: f32,
    },
    /// The state is of a run that predicts the links of other pairs.
    #[error(
        "the state has {found} pairs of nodes, or nodes that the graph has not, but the run has {expected} pairs; give it the same graph"
    )]
    OtherPairs {
        /// The pairs of the state.
        found: usize,
        /// The pairs of the run.
        expected: usize,
    },
    /// The state is of a run with another number of experts.
    #[error(
        "the state has {found} models, but the scene {expected}: its model, its gate and its experts; give it the same scene"
    )]
    OtherExperts {
        /// The models of the state.
        found: usize,
        /// The models of the scene.
        expected: usize,
    },
    /// The state is of a run with another seed.
    #[error("the state is one of seed {found}, but the run has seed {seed}; give it that seed")]
    OtherSeed {
        /// The seed of the state.
        found: u64,
        /// The seed of the run.
        seed: u64,
    },
}
