//! Errors of models and of their steps.

mod build_error;
mod learning_error;
mod step_fault;

pub use build_error::BuildError;
pub use learning_error::LearningError;
pub(crate) use step_fault::StepFault;
