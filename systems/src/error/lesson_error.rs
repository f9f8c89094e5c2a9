//! Errors of lessons.

use bevy_ecs::entity::Entity;

use super::{BatchError, BuildError};

/// A model cannot take lessons, or one of them was discarded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LessonError {
    /// The entity takes no lessons.
    #[error("entity {0} takes no lessons; pass the model that `spawn_lesson` returned")]
    NoLesson(Entity),
    /// A setting of the lessons is invalid.
    #[error("`{setting}` {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// A model cannot be trained in a world of its own.
    #[error("model `{model}` cannot take lessons: it {reason}")]
    Unfit {
        /// The name of the model.
        model: String,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// A schedule was run that the model does not have, because its lessons train it.
    #[error("model {0} is trained by lessons; call `run_lesson` once in each frame instead")]
    TrainedByLessons(Entity),
    /// The batch of a lesson could not be extracted, or not be loaded.
    #[error("model `{model}` got no batch for the lesson of frame {frame}: {error}")]
    Batch {
        /// The name of the model.
        model: String,
        /// The frame at which the lesson began.
        frame: u64,
        /// What is wrong.
        error: BatchError,
    },
    /// A training step of a lesson could not be applied.
    #[error(
        "step {step} of the lesson of frame {frame} could not be applied, so the lesson was discarded and the weights \
         stay as they were: {error}"
    )]
    Discarded {
        /// The frame at which the lesson began.
        frame: u64,
        /// The step, counted from 0.
        step: u32,
        /// What is wrong. Its entities are those of the world whose model takes lessons.
        error: Box<BuildError>,
    },
    /// A weight of the model in the live world is not finite.
    #[error(
        "`{parameter}` of model `{model}` was not finite at frame {frame}, so all its weights were replaced by the last \
         ones that a lesson began or ended with; write only finite weights"
    )]
    NotFinite {
        /// The name of the model.
        model: String,
        /// The parameter.
        parameter: String,
        /// The frame.
        frame: u64,
    },
    /// A lesson panicked.
    #[error("the lessons of model {0} ended when one of them panicked; spawn the model again")]
    Lost(Entity),
}
