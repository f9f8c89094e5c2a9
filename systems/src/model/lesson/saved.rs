//! The state of lessons as plain data, for snapshots in files and other processes.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{LearningRateSchedule, Optimizer};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

use super::{Assignment, Learned, LessonState, Lessons};
use crate::batch::SavedBatch;

/// A [`LessonState`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedLessons {
    frame: u64,
    arrived: u64,
    discarded: u64,
    steps: u64,
    good: Learned,
    under_way: Option<SavedAssignment>,
}

/// An [`Assignment`], whose outcome is computed again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedAssignment {
    began: u64,
    arrives: u64,
    steps: u32,
    start: Learned,
    optimizer: Option<Optimizer>,
    schedule: Option<LearningRateSchedule>,
    batch: SavedBatch,
}

impl LessonState {
    pub(crate) fn save(&self) -> SavedLessons {
        let Self { frame, arrived, discarded, steps, good, under_way } = self;
        let save = |assignment: &Arc<Assignment>| {
            let Assignment { began, arrives, steps, start, optimizer, schedule, batch, outcome: _ } = &**assignment;
            SavedAssignment {
                began: *began,
                arrives: *arrives,
                steps: *steps,
                start: (**start).clone(),
                optimizer: *optimizer,
                schedule: *schedule,
                batch: batch.save(),
            }
        };
        SavedLessons {
            frame: *frame,
            arrived: *arrived,
            discarded: *discarded,
            steps: *steps,
            good: (**good).clone(),
            under_way: under_way.as_ref().map(save),
        }
    }
}

impl SavedLessons {
    /// The state for a model; none if it has other layers, or its lessons other settings.
    pub(crate) fn load(self, world: &World, model: Entity) -> Option<LessonState> {
        let runner = world.get::<Lessons>(model)?.runner.as_ref()?;
        let Self { frame, arrived, discarded, steps, good, under_way } = self;
        let load = |saved: SavedAssignment| {
            let SavedAssignment { began, arrives, steps, start, optimizer, schedule, batch } = saved;
            let latest = began.checked_add(u64::from(runner.settings.duration()))?;
            let fits = steps == runner.settings.steps
                && began < frame
                && arrives == latest
                && start.state.has_shapes_of(&runner.state.good.state);
            let batch = batch.load(&runner.extract).filter(|_| fits)?;
            let (start, outcome) = (Arc::new(start), OnceLock::new());
            Some(Arc::new(Assignment { began, arrives, steps, start, optimizer, schedule, batch, outcome }))
        };
        let under_way = match under_way.map(load) {
            Some(None) => return None,
            under_way => under_way.flatten(),
        };
        let fits = good.state.has_shapes_of(&runner.state.good.state);
        fits.then(|| LessonState { frame, arrived, discarded, steps, good: Arc::new(good), under_way })
    }
}
