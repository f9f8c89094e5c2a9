//! Lessons: training beside the frame.

use bevy_ecs::component::Component;
use core::time::Duration;

/// How the lessons of a model go, a component of its entity that `run_lesson` writes.
#[derive(Component, Clone, Debug, PartialEq)]
#[component(clone_behavior = Ignore)]
pub struct LessonProgress {
    /// The next frame: how often `run_lesson` was called.
    pub frame: u64,
    /// The frame at which the lesson under way ends and its weights are taken over; none between two lessons.
    pub arrives_at: Option<u64>,
    /// Number of lessons whose weights were taken over.
    pub arrived: u64,
    /// Number of lessons that were discarded because a step of theirs could not be applied.
    pub discarded: u64,
    /// Number of training steps of the lessons that arrived.
    pub steps: u64,
    /// The training loss of the last step that arrived; NaN before the first.
    pub loss: f32,
    /// How long frames have waited for lessons that were not ready at the frame of their arrival, altogether.
    pub waited: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
}

impl Default for LessonProgress {
    fn default() -> Self {
        Self {
            frame: 0,
            arrives_at: None,
            arrived: 0,
            discarded: 0,
            steps: 0,
            loss: f32::NAN,
            waited: Duration::ZERO,
            longest_wait: Duration::ZERO,
        }
    }
}
