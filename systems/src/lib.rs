//! What *happens* in connectome: kernels, layers, losses, optimizers, schedules.

#![forbid(unsafe_code)]

pub mod algorithms;
pub mod batch;
mod clock;
mod describe;
mod error;
pub mod kernels;
pub mod layers;
mod loss;
mod model;
mod negatives;
pub mod operators;
mod optimize;
pub mod ordering;
mod phases;
pub mod program;
pub mod random;
mod random_stream;
mod topology;
mod worker_log;
mod workers;

pub use clock::ScheduleTimings;
pub use describe::{SystemDescription, describe_schedule};
pub use error::LearningError;
pub use loss::{LossError, Targets, loss_and_gradient, measure};
pub use model::{
    Act, DryRun, Evaluate, Head, HeadLoss, HeadTargets, Infer, MemoryBudget, ModelBuilder, ModelSystems, Observe,
    Plans, RowAccess, Train, WorldModelExt, add_model_to_schedule, add_systems, remove_model, replace_model, run,
    take_error,
};
pub use negatives::sample_negatives;
pub use optimize::OptimizerStep;
pub use phases::GraphSystems;
pub use topology::{Scratch, despawn_dangling_edges, rebuild_topology, update_topology};
pub use worker_log::{WorkerLog, WorkerSpan};
pub use workers::{Blocks, PerBlock, RowsMut, SplitRows, Workers, WorkersError};
