//! Errors of models and of their steps.

mod batch_error;
mod build_error;
mod kind_error;
mod learning_error;
mod lesson_error;
mod mixture_error;
mod step_fault;

pub use batch_error::BatchError;
pub use build_error::BuildError;
pub use kind_error::KindError;
pub use learning_error::LearningError;
pub use lesson_error::LessonError;
pub use mixture_error::MixtureError;
pub(crate) use step_fault::StepFault;
