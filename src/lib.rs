// The pictures of the README, for pages that have no files beside them: of two definitions of a link the first counts.
#![cfg_attr(doc, doc = connectome_derive::picture!("assets/pictures/flock.svg"))]
#![doc = include_str!("../README.md")]
//!
//! # A model of one's own components
//!
//! A model reads components, learns to predict others and writes others again; the example `mood` does the same.
//!
//! ```
//! use bevy_ecs::prelude::*;
//! use connectome::prelude::*;
//!
//! #[derive(Component, Default, Features)]
//! struct Mood(f32);
//! #[derive(Component, Default, Features)]
//! struct Tomorrow(f32);
//! #[derive(Component, Default, Features)]
//! struct Forecast(f32);
//!
//! let mut world = World::new();
//! let graph = Graph::of::<Mood, Edge>(&mut world);
//! let model = ModelBuilder::new(graph)
//!     .reads::<Mood>()
//!     .layer(SageConv::new(1))
//!     .writes::<Forecast>()
//!     .learns::<Tomorrow>(Loss::MeanSquaredError, Optimizer::adam(0.01));
//! let model = world.spawn_model(model)?;
//! let [ann, bob] = [0.2, 0.9].map(|mood| world.spawn((Mood(mood), Tomorrow(0.5), Split::Train)).id());
//! world.spawn(Edge { source: ann, target: bob });
//! for _ in 0..500 {
//!     world.train(model)?;
//! }
//! assert!((world.get::<Forecast>(bob).unwrap().0 - 0.5).abs() < 0.01);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Components that are plain `f32`s can go without copies: derive `bytemuck::Pod` for them in place of `Features`.
#![forbid(unsafe_code)]

pub mod data;
#[cfg(feature = "import")]
pub mod import;
pub mod output;
mod parts;
mod rewriter;
pub mod scene;
mod spawn;
mod suggest;
pub mod task;
mod train;
mod trained;
mod weights;

pub use bevy_ecs;
#[doc(inline)]
pub use connectome_components as components;
#[doc(inline)]
pub use connectome_languages as languages;
#[cfg(feature = "memory")]
#[doc(inline)]
pub use connectome_memory as memory;
#[doc(inline)]
pub use connectome_systems as systems;
pub use spawn::{KindEntities, RelationEntities, SceneEntities, spawn};
pub use train::{
    Checkpoint, CheckpointInterval, HeadOutput, RecordError, RewriteScore, Rewritten, RunRecorder, RunState,
    TrainError, Trainer,
};
pub use trained::{SpawnTrainedError, WorldTrainedExt};
pub use weights::{Rename, RenameError, load_weights, set_weights, weights};

/// What most programs need.
pub mod prelude {
    pub use bevy_ecs::system::{ParamBuilder, SystemParamBuilder};

    pub use crate::components::{
        ClassLabel, Column, ColumnMut, Edge, EdgeWeight, FeatureField, Features, Field, GateLosses, Graph, GraphNode,
        InSubgraph, LearningRateSchedule, LessonProgress, Loss, Metrics, Mixing, MixtureOfExperts, Model, Optimizer,
        Split, Subgraph, Topology,
    };
    pub use crate::scene::SceneFile;
    pub use crate::systems::{
        EdgeRelation, Evaluate, GraphSystems, Infer, LessonBuilder, MixtureBuilder, ModelBuilder, NodeKind, Train,
        Workers, WorldModelExt, despawn_dangling_edges, kernels::Activation, layers::*, operators::Reduction,
    };
    pub use crate::trained::WorldTrainedExt;
    pub use connectome_derive::Features;
}
