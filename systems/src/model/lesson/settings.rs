//! The settings of lessons.

use core::time::Duration;

use crate::{error::LessonError, parallel::Workers};

/// What a batch holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BatchKind {
    /// The whole graph.
    Whole,
    /// So many training nodes, with sampled neighborhoods.
    Neighbors { seeds: usize, fan_outs: Vec<usize> },
    /// So many subgraphs.
    Subgraphs { count: usize },
}

/// Where a lesson is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a thread, with so many workers.
    Thread { workers: usize },
    /// In slices of the frames, each at most so long.
    Slices { budget: Duration },
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) every: u32,
    pub(super) arrives_after: Option<u32>,
    pub(super) steps: u32,
    pub(super) batch: BatchKind,
    pub(super) place: Place,
}

impl Default for Settings {
    fn default() -> Self {
        let (batch, place) = (BatchKind::Whole, Place::Thread { workers: 1 });
        Self { every: 30, arrives_after: None, steps: 1, batch, place }
    }
}

impl Settings {
    /// The frames from the begin of a lesson to the arrival of its weights.
    pub(super) fn duration(&self) -> u32 {
        self.arrives_after.unwrap_or(self.every)
    }

    pub(super) fn check(&self) -> Result<(), LessonError> {
        let error = |setting: &'static str, reason: String| Err(LessonError::Setting { setting, reason });
        let Self { every, steps, .. } = self;
        if *every == 0 {
            return error("every", "is 0 frames, so that no lesson would begin; give at least 1".to_owned());
        }
        match self.arrives_after {
            Some(0) => {
                return error(
                    "arrives_after",
                    "is 0 frames, so that the frame would wait for the whole lesson; give at least 1, or call `train`"
                        .to_owned(),
                );
            }
            Some(after) if after > *every => {
                return error(
                    "arrives_after",
                    format!("is {after} frames, but the next lesson begins after {every}; give at most as many"),
                );
            }
            _ => {}
        }
        if *steps == 0 {
            return error("steps", "is 0, so that a lesson would change nothing; give at least 1".to_owned());
        }
        match &self.batch {
            BatchKind::Neighbors { seeds: 0, .. } => {
                return error(
                    "sample_neighbors",
                    "draws 0 seeds, so that batches would be empty; give at least 1".to_owned(),
                );
            }
            BatchKind::Subgraphs { count: 0 } => {
                return error(
                    "sample_subgraphs",
                    "draws 0 subgraphs, so that batches would be empty; give at least 1".to_owned(),
                );
            }
            _ => {}
        }
        match self.place {
            Place::Slices { budget: Duration::ZERO } => error(
                "slices",
                "is a budget of 0, in which nothing can be computed; give each frame 0.1 ms or more, or use a thread"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// The workers of a lesson.
    pub(super) fn workers(&self) -> Result<Workers, LessonError> {
        let count = match self.place {
            Place::Thread { workers } => workers,
            Place::Slices { .. } => 1,
        };
        let refused = |error: crate::parallel::WorkersError| LessonError::Setting {
            setting: "workers",
            reason: format!("cannot be had: {error}"),
        };
        Workers::new(count).map_err(refused)
    }
}
