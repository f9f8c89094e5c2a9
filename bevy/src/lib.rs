//! A [Bevy](https://bevy.org) plugin for [connectome]: graph neural networks that live in the world of an app, are described by
//! files, and are built anew while the app runs whenever these are edited.
//!
//! The flock of `examples/flock.rs` is a game of agents that see their neighbors. These lines give it a network that learns to
//! steer them:
//!
//! ```
//! # use bevy_app::{App, TaskPoolPlugin, Update};
//! # use bevy_asset::AssetPlugin;
//! use bevy_connectome::prelude::*;
//! use bevy_ecs::prelude::*;
//! use glam::Vec2;
//!
//! # #[derive(Component, Default, Features)]
//! # struct Velocity(Vec2);
//! # #[derive(Component, Default, Features)]
//! # struct Surroundings { middle: Vec2, escape: Vec2 }
//! # #[derive(Component, Default, Features)]
//! # struct Wish(Vec2);
//! #[derive(Component, Default, Features)]
//! struct Steering(Vec2);
//!
//! struct Flock;
//!
//! impl Brain for Flock {
//!     type Node = Velocity;
//!     type Edge = Edge;
//!     type Input = (Velocity, Surroundings);
//!     type Output = Steering;
//!
//!     fn connect(model: ModelBuilder) -> ModelBuilder {
//!         model.predicts::<Wish>()
//!     }
//! }
//!
//! fn steer(flock: Output<Flock>, mut agents: Query<(Entity, &mut Velocity)>) {
//!     for (agent, mut velocity) in &mut agents {
//!         flock.of(agent).into_iter().for_each(|steering| velocity.0 += 0.3 * steering.0);
//!     }
//! }
//!
//! let mut app = App::new();
//! # let assets = AssetPlugin { file_path: concat!(env!("CARGO_MANIFEST_DIR"), "/assets").into(), ..Default::default() };
//! # app.add_plugins((TaskPoolPlugin::default(), assets));
//! app.add_plugins(ConnectomePlugins::in_schedule(Update));
//! app.add_brain::<Flock>("flock.brain.ron", BrainMode::Train);
//! app.add_systems(BrainSchedule, steer.in_set(BrainSystems::Act));
//! # let agents = [(); 3].map(|()| app.world_mut().spawn((Velocity(Vec2::X), Wish(Vec2::Y), Split::Train)).id());
//! # app.world_mut().spawn(Edge { source: agents[0], target: agents[1] });
//! # while app.world().get::<Steering>(agents[0]).is_none() {
//! #     app.update();
//! #     std::thread::sleep(std::time::Duration::from_millis(1));
//! # }
//! ```
//!
//! ```ron
//! (
//!     name: "flock",
//!     model: [SageConv(width: 32), Tanh, Linear(width: 2)],
//!     task: NodeRegression(loss: MeanSquaredError),
//!     optimizer: Adam(learning_rate: 0.01),
//!     training: (seed: 1),
//! )
//! ```
//!
//! - **Brains by type.** A [`Brain`] names the components it reads and writes, and [`Input`] and [`Output`] are system parameters
//!   for them: systems can be written before the file is loaded, and are skipped until it is.
//! - **Races are found.** All systems of [`BrainSchedule`] that access the same data without an order are told with their names.
//! - **Hot reload.** See [`BrainApp::add_brain`]; switch on the feature `file_watcher` here or in Bevy. A mistake is told with
//!   file, line, column and a suggestion, in [`BrainStatus`], as [`BrainFailed`] and in the log; the brain before lives on.
//! - **Clocks.** [`BrainClock`] lets a brain run at every n-th tick, or pauses it.
//! - **Diagnostics.** [`TICK`], [`LOSS`] and [`CHANGED_ROWS`].
//! - **Pictures.** With the feature `gizmos`, edges are drawn by the size of their messages, or by attention.
//!
//! `derive(Features)` needs `connectome` among the dependencies of your crate; components that are `Pod` need no derive, see
//! [`Features`](connectome::components::Features).
#![forbid(unsafe_code)]

mod asset;
mod brain;
mod check;
mod components;
mod diagnostics;
mod error;
#[cfg(feature = "gizmos")]
pub mod gizmos;
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
