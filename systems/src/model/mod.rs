//! Models: building, scheduling, running, replacing and removing them.

mod build;
mod builder;
mod closures;
mod components;
mod describe;
mod dry_run;
mod emit;
mod fault;
mod field_copies;
mod head;
mod input;
mod kinds;
mod learning;
mod lesson;
mod life;
mod limits;
mod mixture;
mod plans;
mod record;
mod schedules;
mod shared;
mod timings;
mod world;

pub use builder::ModelBuilder;
pub use closures::{Act, Observe, RowAccess};
pub use describe::{SystemDescription, describe_schedule};
pub use dry_run::{DryRun, MemoryBudget};
pub use head::{Head, HeadLoss, HeadTargets};
pub use kinds::{EdgeRelation, NodeKind};
pub use lesson::{LessonBuilder, run_lesson};
pub(crate) use lesson::{LessonState, SavedLessons};
pub use life::{remove_model, replace_model};
pub use mixture::{
    MixtureBuilder, MixturePart, add_expert, expert_world, expert_world_mut, remove_expert, replace_expert,
};
pub use plans::Plans;
pub use schedules::{Evaluate, Infer, Train, add_systems, run};
pub use shared::{add_model_to_schedule, take_error};
pub use timings::ScheduleTimings;
pub use world::WorldModelExt;
