//! The builder of models that take lessons.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Field, FieldPool, Graph, LessonProgress, Metrics, Optimizer};
use core::time::Duration;
use std::sync::{Arc, Mutex};

use super::{
    Lessons,
    copying::Copying,
    learner::Learner,
    own_graphs::{self, OwnGraph},
    runner::{LessonState, Runner},
    settings::{BatchKind, Place, Settings},
};
use crate::{
    batch::Batch,
    error::{BuildError, LessonError},
    model::{
        ModelBuilder, Plans,
        field_copies::{CopyError, FieldCopies},
        input::Input,
        remove_model,
    },
    parallel::Workers,
    topology::Scratch,
};

/// Describes a model that is trained beside the frame; [`WorldModelExt::spawn_lesson`](crate::WorldModelExt::spawn_lesson)
/// builds it in a world.
///
/// The model in the world infers. Every [`every`](Self::every) frames a batch of the world is extracted, from which a copy
/// of the model learns for some [`steps`](Self::steps) in a world of its own; [`arrives_after`](Self::arrives_after) so
/// many frames its weights are taken over. Frames are calls of
/// [`run_lesson`](crate::WorldModelExt::run_lesson). Which frame has which weights depends on their numbers alone, so all
/// bits are the same for any number of workers, on a thread and in slices of any length.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use bytemuck::{Pod, Zeroable};
/// use connectome_components::{Edge, Graph, LessonProgress, Loss, Optimizer, Split};
/// use connectome_systems::{LessonBuilder, ModelBuilder, WorldModelExt, layers::SageConv};
///
/// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
/// #[repr(C)]
/// struct Mood(f32);
///
/// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
/// #[repr(C)]
/// struct Tomorrow(f32);
///
/// let mut world = World::new();
/// let graph = Graph::of::<Mood, Edge>(&mut world);
/// let model = ModelBuilder::new(graph)
///     .reads::<Mood>()
///     .layer(SageConv::new(1))
///     .learns::<Tomorrow>(Loss::MeanSquaredError, Optimizer::adam(0.05));
/// let model = world.spawn_lesson(LessonBuilder::new(model).every(10).steps(5))?;
/// let [ann, bob] = [0.2, 0.9].map(|mood| world.spawn((Mood(mood), Tomorrow(0.5), Split::Train)).id());
/// world.spawn(Edge { source: ann, target: bob });
/// for _frame in 0..401 {
///     world.run_lesson(model)?;
///     world.infer(model)?;
/// }
/// let progress = world.get::<LessonProgress>(model).unwrap();
/// assert_eq!((progress.arrived, progress.steps), (40, 200));
/// assert!(progress.loss < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LessonBuilder {
    model: ModelBuilder,
    settings: Settings,
}

impl LessonBuilder {
    /// Lessons of a model: one training step on the whole graph every 30 frames, on a thread, whose weights are taken over
    /// when the next one begins.
    pub fn new(model: ModelBuilder) -> Self {
        Self { model, settings: Settings::default() }
    }

    /// Sets the number of frames from the begin of a lesson to that of the next; 30 by default.
    pub fn every(mut self, frames: u32) -> Self {
        self.settings.every = frames;
        self
    }

    /// Sets the number of frames from the begin of a lesson to the frame at which its weights are taken over, which waits
    /// if they are late; by default, and at most, those of [`every`](Self::every).
    pub fn arrives_after(mut self, frames: u32) -> Self {
        self.settings.arrives_after = Some(frames);
        self
    }

    /// Sets the number of training steps of a lesson, all on the same batch; 1 by default.
    pub fn steps(mut self, steps: u32) -> Self {
        self.settings.steps = steps;
        self
    }

    /// Draws so many training nodes for each batch, with sampled neighborhoods instead of the whole graph; `fan_outs` as
    /// for [`Extract::sample_neighbors`](crate::batch::Extract::sample_neighbors). Which, depends on the model's seed and
    /// the number of the frame.
    pub fn sample_neighbors(mut self, seeds: usize, fan_outs: &[usize]) -> Self {
        self.settings.batch = BatchKind::Neighbors { seeds, fan_outs: fan_outs.to_vec() };
        self
    }

    /// Draws so many subgraphs for each batch, instead of the whole graph.
    pub fn sample_subgraphs(mut self, count: usize) -> Self {
        self.settings.batch = BatchKind::Subgraphs { count };
        self
    }

    /// Computes lessons on a thread of their own with so many workers, one by default; 0 means one for each core. They are
    /// not those of the world, so no frame waits for them before the weights arrive.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.place = Place::Thread { workers };
        self
    }

    /// Computes lessons in slices of the frames, each at most this long, for machines without a core to spare. A slice
    /// ends between two blocks of rows; what is not cut into blocks, such as deriving the topology of a batch, goes on
    /// beside the frame to its end. The frame of arrival computes what is left.
    pub fn slices(mut self, budget: Duration) -> Self {
        self.settings.place = Place::Slices { budget };
        self
    }

    /// Builds the model, which has the schedule [`Infer`](crate::Infer) and a [`LessonProgress`]; returns its entity.
    ///
    /// The copy that learns reads the same fields and components. An input of
    /// [`input_width`](ModelBuilder::input_width) is what the last [`Infer`](crate::Infer) has read. Functions of
    /// [`ModelBuilder::observe`] and components that are not `Pod` are read when a batch is extracted.
    /// [`Optimizer`](connectome_components::Optimizer) and
    /// [`LearningRateSchedule`](connectome_components::LearningRateSchedule) are components of the model's entity, which
    /// may be changed at any time; the next lesson begins with them, and with the weights that the model has then.
    /// [`replace_model`](crate::replace_model) puts a model without lessons in its place.
    ///
    /// # Errors
    /// Those of [`ModelBuilder::build`]; if a setting is 0, or weights would arrive after the next lesson has begun; if the
    /// model has no optimizer, an external gradient, a head without targets, gradients of inputs, edge features without
    /// a field, several graphs or a recurrent state.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        let Self { model: builder, settings } = self;
        settings.check()?;
        let workers = settings.workers()?;
        check(&builder)?;
        let mut live = builder.clone();
        (live.optimizer, live.target_component) = (None, None);
        let model = live.build(world)?;
        let mut fields = Vec::new();
        match attach(world, model, builder, (settings, workers), &mut fields) {
            Ok(()) => Ok(model),
            Err(error) => {
                remove_model(world, model)?;
                FieldPool::give_back(world, fields);
                Err(error)
            }
        }
    }
}

/// Checks what need not be built.
fn check(builder: &ModelBuilder) -> Result<(), BuildError> {
    if builder.optimizer.is_none() {
        return Err(unfit(builder, "has no optimizer; add one by `learns` or `optimizer`"));
    }
    if let Input::State(_) = builder.input {
        return Err(BuildError::Recurrent);
    }
    if !builder.input_gradients.is_empty() {
        return Err(unfit(builder, "has gradients of inputs, which are copies; remove `input_gradient`"));
    }
    Ok(())
}

fn unfit(builder: &ModelBuilder, reason: &str) -> BuildError {
    LessonError::Unfit { model: builder.name.clone(), reason: reason.to_owned() }.into()
}

/// Adds the lessons to a model that infers; `fields` receives those taken from the pool.
fn attach(
    world: &mut World,
    model: Entity,
    builder: ModelBuilder,
    (settings, workers): (Settings, Workers),
    fields: &mut Vec<Field>,
) -> Result<(), BuildError> {
    let plans = world.get::<Plans>(model).ok_or(BuildError::NoModel(model))?;
    let live = plans.graphs().to_vec();
    let is_known = |graph: &Entity| {
        builder.relations.iter().any(|relation| relation.graph == *graph)
            || world.get::<Graph>(*graph).is_some_and(|graph| graph.is_without_edges(world))
    };
    if !live.iter().skip(1).all(is_known) {
        return Err(unfit(&builder, "has a layer that reads another graph, of which a batch has no edges; remove it"));
    }
    if live.len() > 1 && !matches!(settings.batch, BatchKind::Whole) {
        return Err(unfit(&builder, "has relations, so that batches are whole; remove `neighbors` or `subgraphs`"));
    }
    let mut own = World::new();
    let graphs = own_graphs::spawn(world, &live, &mut own)?;
    let graph = graphs[0].own;
    let refused = |error| match error {
        CopyError::Input => {
            unfit(&builder, "has edge features without a field; give them by `edge_input` or `reads_edges`")
        }
        CopyError::Batch(error) => LessonError::Batch { model: builder.name.clone(), frame: 0, error }.into(),
        CopyError::Build(error) => error,
    };
    let mut copies = FieldCopies::new(world, builder.graph, &own, graph).map_err(refused)?;
    let parts: Vec<&OwnGraph> = graphs.iter().skip(1).filter(|graph| graph.is_part).collect();
    for part in &parts {
        copies.add_graph(world, part.live, &own, part.own).map_err(refused)?;
    }
    let mut copying = Copying { world, own: &mut own, model, copies, fields, observers: Vec::new() };
    let mut copy = copying.copy(builder.clone()).map_err(refused)?;
    let Copying { copies: FieldCopies { extract, .. }, observers, .. } = copying;
    copy.graph = graph;
    for relation in &mut copy.relations {
        if let Some(known) = graphs.iter().find(|graph| graph.live == relation.graph) {
            relation.graph = known.own;
        }
    }
    let copy = copy.build(&mut own)?;
    let components = (
        LessonProgress::default(),
        own.get::<Metrics>(copy).cloned().unwrap_or_default(),
        own.get::<Optimizer>(copy).copied(),
        builder.schedule,
    );
    let nodes = world.get::<Graph>(builder.graph).ok_or(BuildError::NoGraph(builder.graph))?.nodes;
    let parts = parts.iter().map(|part| part.own).collect();
    let learner = Learner { world: own, graph, parts, model: copy, workers, origin: (builder.graph, model) };
    let runner = Runner {
        settings,
        graph: builder.graph,
        graphs: live,
        seed: builder.seed,
        extract,
        observers,
        splits: Field::of_component(world, nodes)?,
        state: LessonState {
            frame: 0,
            arrived: 0,
            discarded: 0,
            steps: 0,
            good: Arc::new(learner.learned()),
            under_way: None,
        },
        learner: Arc::new(Mutex::new(Some(Box::new(learner)))),
        running: None,
        spare: Batch::default(),
        scratch: Scratch::default(),
        waited: Duration::ZERO,
        longest_wait: Duration::ZERO,
    };
    let (progress, metrics, optimizer, schedule) = components;
    let lessons = Lessons { fields: core::mem::take(fields), runner: Some(Box::new(runner)) };
    let mut entity = world.entity_mut(model);
    entity.insert((progress, metrics, schedule, lessons));
    optimizer.map(|optimizer| entity.insert(optimizer));
    Ok(())
}
