//! What can go wrong with a brain.

use bevy_ecs::{entity::Entity, message::Message};
use connectome::{output::OutputError, scene::SceneError, systems::layers::BuildError};
use std::sync::Arc;

use crate::brain::NotFinite;

/// Why a brain was not built, or did not run in a tick.
#[derive(Debug, thiserror::Error)]
pub enum BrainError {
    /// Its file makes no sense, or does not fit the components that it is to read and write; the error shows where.
    #[error(transparent)]
    File(#[from] SceneError),
    /// Its weights cannot be read, or are those of another model.
    #[error("{path}: {error}")]
    Weights {
        /// The path of the asset.
        path: String,
        /// What is wrong.
        error: OutputError,
    },
    /// A file could not be loaded.
    #[error("{path}: the file cannot be loaded: {message}; check its path, which is taken from the folder of assets")]
    Asset {
        /// The path of the asset.
        path: String,
        /// What the asset server says.
        message: String,
    },
    /// There is no asset server.
    #[error("{path} cannot be loaded without an asset server; add AssetPlugin before ConnectomePlugins")]
    NoAssetServer {
        /// The path of the asset.
        path: String,
    },
    /// An input is not finite; the tick was left out.
    #[error(
        "brain {brain} has not run: number {} of component `{}` of entity {entity} is {}; mend the system that writes it",
        input.column, input.component, input.value
    )]
    Input {
        /// The name of the brain.
        brain: &'static str,
        /// The node.
        entity: Entity,
        /// The number.
        input: NotFinite,
    },
    /// It is to be trained, but its file says not how.
    #[error(
        "brain {brain} cannot be trained: its file has no optimizer; write `optimizer: Adam(learning_rate: 0.01)` there, or set BrainMode::Infer"
    )]
    NoOptimizer {
        /// The name of the brain.
        brain: &'static str,
    },
    /// A tick failed, as with a loss that is not finite; parameters and outputs are those of the tick before.
    #[error(transparent)]
    Tick(#[from] BuildError),
    /// The systems of [`BrainSchedule`](crate::BrainSchedule) race, or their order is circular; no brain runs.
    #[error("{0}")]
    Schedule(String),
}

/// Tells that a brain was not built, or did not run: once for each error, until there is another one or none.
#[derive(Message, Clone, Debug)]
pub struct BrainFailed {
    /// The entity of the brain.
    pub brain: Entity,
    /// Why.
    pub error: Arc<BrainError>,
}

/// Tells that a brain was built, for the first time or anew.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrainBuilt {
    /// The entity of the brain.
    pub brain: Entity,
    /// The entity of its model.
    pub model: Entity,
}
