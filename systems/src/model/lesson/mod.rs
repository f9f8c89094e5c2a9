//! Lessons: a model of a live world that is trained beside the frame.
//!
//! The live world is the corpus. At fixed frames a batch of it is extracted, on which a copy of the model in a world of its
//! own takes some training steps, on a thread or in slices of the frames; at a fixed later frame its weights are taken
//! over. A lesson depends on what was extracted and on the weights at that frame alone, so whoever computes it, and how
//! fast, decides no bit: a frame that comes too early waits.

mod builder;
mod copying;
mod learner;
mod own_graphs;
mod runner;
mod saved;
mod settings;

use bevy_ecs::{
    component::Component,
    entity::Entity,
    lifecycle::HookContext,
    name::Name,
    world::{DeferredWorld, World},
};
use connectome_components::{Field, FieldPool};

use crate::error::{BuildError, LessonError};

pub use builder::LessonBuilder;
pub(crate) use learner::{Assignment, Learned};
pub(crate) use runner::LessonState;
use runner::Runner;
pub(crate) use saved::SavedLessons;

/// The lessons of a model, a component of its entity. When it is removed, as when the entity is despawned, a lesson under
/// way ends with its step, and the fields of the live world are given back.
#[derive(Component)]
#[component(clone_behavior = Ignore, on_remove = clean_up)]
struct Lessons {
    /// The fields taken from the pool of the live world.
    fields: Vec<Field>,
    /// None while a frame is run.
    runner: Option<Box<Runner>>,
}

fn clean_up(mut world: DeferredWorld, HookContext { entity, .. }: HookContext) {
    let Some(lessons) = world.get::<Lessons>(entity) else { return };
    let fields = lessons.fields.clone();
    world.commands().queue(move |world: &mut World| FieldPool::give_back(world, fields));
}

/// Takes the lessons of a model a frame further: call it once in each frame, at the same place.
///
/// If weights arrive in this frame, it waits for the lesson if need be, and takes them over. If a lesson begins in this
/// frame, it updates the topology of the graph and extracts the batch. Of a lesson in slices it then runs one. The first
/// call is that of frame 0. [`LessonProgress`](connectome_components::LessonProgress) says how lessons go, and
/// [`Metrics`](connectome_components::Metrics) are those of the last step that arrived.
///
/// # Errors
/// If the entity takes no lessons, or its graph or one of its parameters was despawned. If weights were to arrive in this
/// frame, but a step of the lesson could not be applied: there is no training row, or a loss, a gradient or a weight is not
/// finite. The weights stay as they are then. If a lesson was to begin, but no batch can be extracted, or the weights of
/// the live model are not finite, which are replaced by the last good ones. In all cases the frame counts, and later
/// lessons begin as if nothing had happened.
pub fn run_lesson(world: &mut World, model: Entity) -> Result<(), BuildError> {
    let mut lessons = world.get_mut::<Lessons>(model).ok_or(LessonError::NoLesson(model))?;
    let mut runner = lessons.runner.take().ok_or(LessonError::Lost(model))?;
    let outcome = runner.run(world, model);
    runner.report(world, model);
    if let Some(mut lessons) = world.get_mut::<Lessons>(model) {
        lessons.runner = Some(runner);
    }
    outcome
}

/// Whether a model takes lessons.
pub(super) fn takes_lessons(world: &World, model: Entity) -> bool {
    world.get::<Lessons>(model).is_some()
}

/// The name of a model.
fn name_of(world: &World, model: Entity) -> String {
    world.get::<Name>(model).map_or_else(|| model.to_string(), |name| name.to_string())
}
