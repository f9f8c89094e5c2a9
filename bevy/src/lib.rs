//! A Bevy plugin for connectome.
#![forbid(unsafe_code)]

mod asset;
mod brain;
mod check;
mod components;
mod diagnostics;
mod error;
mod params;
mod plugin;
mod registry;
mod reload;
mod tick;

pub use asset::{AssetError, BrainAsset, BrainAssetPlugin, WeightsAsset};
pub use brain::{Brain, BrainInput, NotFinite};
pub use components::{ActiveBrain, BrainClock, BrainHandle, BrainMode, BrainOf, BrainStatus};
pub use connectome;
pub use diagnostics::{BrainDiagnosticsPlugin, CHANGED_ROWS, LOSS, TICK};
pub use error::{BrainBuilt, BrainError, BrainFailed};
pub use params::{Input, Output};
pub use plugin::{BrainApp, BrainPlugin, BrainSchedule, BrainSystems, ConnectomePlugins};

/// What most apps need.
pub mod prelude {
    pub use crate::{
        ActiveBrain, Brain, BrainApp, BrainClock, BrainMode, BrainOf, BrainSchedule, BrainStatus, BrainSystems,
        ConnectomePlugins, Input, Output,
    };
    pub use connectome::prelude::{Edge, EdgeWeight, Features, ModelBuilder, Split};
}
