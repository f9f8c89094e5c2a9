//! The systems of connectome: kernels, operators, layers, losses, optimizers, schedules.

#![forbid(unsafe_code)]

pub mod algorithms;
pub mod batch;
mod error;
pub mod kernels;
pub mod layers;
mod losses;
mod model;
pub mod operators;
mod optimizers;
mod parallel;
mod phases;
mod pooling;
pub mod program;
pub mod random;
pub mod snapshot;
mod topology;
pub mod transport;

pub use batch::negatives::sample_negatives;
pub use error::{KindError, LearningError, LessonError, MixtureError};
pub use losses::{LossError, Targets, loss_and_gradient, measure};
pub use model::{
    Act, DryRun, EdgeRelation, Evaluate, Head, HeadLoss, HeadTargets, Infer, LessonBuilder, MemoryBudget,
    MixtureBuilder, MixturePart, ModelBuilder, NodeKind, Observe, Plans, RowAccess, ScheduleTimings, SystemDescription,
    Train, WorldModelExt, add_expert, add_model_to_schedule, add_systems, describe_schedule, expert_world,
    expert_world_mut, remove_expert, remove_model, replace_expert, replace_model, run, run_lesson, take_error,
};
pub use optimizers::{ModelState, OptimizerStep, ParameterState};
pub use parallel::{Blocks, PerBlock, RowsMut, SplitRows, WorkerLog, WorkerSpan, Workers, WorkersError};
pub use phases::{GraphSystems, ModelSystems};
pub use pooling::{Coarse, PoolingError, spawn_clusters, spawn_top};
pub use topology::{Scratch, despawn_dangling_edges, key_by, rebuild_topology, update_topology};
