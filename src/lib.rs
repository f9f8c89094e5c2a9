#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "import")]
pub mod import;
pub mod output;
pub mod scene;
mod spawn;
mod trained;
mod trainer;
mod weights;

pub use bevy_ecs;
#[doc(inline)]
pub use connectome_components as components;
#[doc(inline)]
pub use connectome_systems as systems;
pub use spawn::{SceneEntities, spawn};
pub use trained::{SpawnTrainedError, WorldTrainedExt};
pub use trainer::{TrainError, Trainer};
pub use weights::{Rename, RenameError, load_weights, weights};

/// What most programs need.
pub mod prelude {
    pub use bevy_ecs::system::{ParamBuilder, SystemParamBuilder};

    pub use crate::components::{
        ClassLabel, Column, ColumnMut, Edge, EdgeWeight, FeatureField, Features, Field, Graph, GraphNode, InSubgraph,
        LearningRateSchedule, Loss, Metrics, Model, Optimizer, Split, Subgraph, Topology,
    };
    pub use crate::scene::SceneFile;
    pub use crate::systems::{
        Evaluate, GraphSystems, Infer, ModelBuilder, Train, Workers, WorldModelExt, despawn_dangling_edges,
        kernels::Activation, layers::*, operators::Reduction,
    };
    pub use crate::trained::WorldTrainedExt;
    pub use connectome_derive::Features;
}
