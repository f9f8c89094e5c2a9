//! Errors that the systems of a model report.

use std::sync::{Arc, Mutex, PoisonError};

use super::BuildError;

/// The first error in a step of a model. The systems of a model set it, the rest of the step is skipped then, and
/// [`run`](crate::run) returns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepFault(Arc<Mutex<Option<BuildError>>>);

impl StepFault {
    /// Sets the error, unless one is set already.
    pub(crate) fn set(&self, error: BuildError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(crate) fn take(&self) -> Option<BuildError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
