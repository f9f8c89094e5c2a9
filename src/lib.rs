//! stub
pub mod output;

#[doc(inline)]
pub use connectome_components as components;
#[doc(inline)]
pub use connectome_systems as systems;

pub use bevy_ecs;

/// What a world with a network in it needs, beside `bevy_ecs::prelude`.
pub mod prelude {
    // Systems that read or write a field are built with these.
    pub use bevy_ecs::system::{ParamBuilder, SystemParamBuilder};
    pub use connectome_components::{
        Column, ColumnMut, Edge, EdgeWeight, Field, FieldError, Graph, Label, LearningRateSchedule, Metrics, Model, Node,
        Optimizer, Parameter, Signal, Split, Topology, TrainingState,
    };
    pub use connectome_systems::{
        Evaluate, Infer, ModelBuilder, Phase, Train, Workers, add_systems,
        kernels::Activation,
        layers::{BuildError, Dropout, GraphConv, Linear, MessagePassing},
        run,
    };
}
