//! What keeps the systems of a model from running.

use std::sync::{Arc, Mutex, PoisonError};

use super::BuildError;

/// Where the systems of a model leave word of what kept one of them from its work; the rest of the step is left out then,
/// and [`run`](crate::run) returns it.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepFault(Arc<Mutex<Option<BuildError>>>);

impl StepFault {
    /// Leaves word; the first one counts.
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
