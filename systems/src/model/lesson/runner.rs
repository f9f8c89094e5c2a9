//! What happens to lessons from frame to frame.

use bevy_ecs::{entity::Entity, system::BoxedSystem, world::World};
use connectome_components::{Field, LessonProgress, Metrics, Split, Topology};
use core::time::Duration;
use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use super::{
    Assignment, Learned, Lessons,
    learner::Learner,
    name_of,
    settings::{BatchKind, Place, Settings},
};
use crate::{
    batch::{Batch, BatchError, Extract, choose},
    error::{BuildError, LessonError},
    model::schedules::check_entities,
    optimizers::ModelState,
    parallel::Gate,
    random::{Philox, RandomStream},
    topology::{Scratch, update_topology},
};

/// The random stream of the rows that are drawn for batches; those of a model's operations are counted from 0.
const ROWS: u32 = 0x4C65_0000;

/// What the frames to come depend on; copies are cheap.
#[derive(Clone)]
pub(crate) struct LessonState {
    /// The next frame.
    pub(crate) frame: u64,
    pub(crate) arrived: u64,
    pub(crate) discarded: u64,
    /// Steps of the lessons that arrived.
    pub(crate) steps: u64,
    /// What the last lesson began or ended with.
    pub(crate) good: Arc<Learned>,
    /// The lesson under way.
    pub(crate) under_way: Option<Arc<Assignment>>,
}

impl LessonState {
    /// That of a model; none if it takes no lessons.
    pub(crate) fn of(world: &World, model: Entity) -> Option<Self> {
        Some(world.get::<Lessons>(model)?.runner.as_ref()?.state.clone())
    }

    /// Gives it to a model of the same layers, whose lessons go on from there; without lessons nothing happens.
    pub(crate) fn restore(&self, world: &mut World, model: Entity) {
        let Some(mut lessons) = world.get_mut::<Lessons>(model) else { return };
        let Some(mut runner) = lessons.runner.take() else { return };
        runner.set_state(self.clone());
        runner.report(world, model);
        if let Some(mut lessons) = world.get_mut::<Lessons>(model) {
            lessons.runner = Some(runner);
        }
    }
}

/// The lessons of a model.
pub(super) struct Runner {
    pub(super) settings: Settings,
    pub(super) graph: Entity,
    /// That graph and the others of the model.
    pub(super) graphs: Vec<Entity>,
    pub(super) seed: u64,
    pub(super) extract: Extract,
    /// Write what the batch copies, out of components of the live world.
    pub(super) observers: Vec<BoxedSystem>,
    /// The splits of the nodes.
    pub(super) splits: Field<Split>,
    /// None while a lesson computes, and after one has panicked.
    pub(super) learner: Arc<Mutex<Option<Box<Learner>>>>,
    pub(super) running: Option<Running>,
    pub(super) state: LessonState,
    /// The buffers of a batch that nobody holds any more.
    pub(super) spare: Batch,
    pub(super) scratch: Scratch,
    pub(super) waited: Duration,
    pub(super) longest_wait: Duration,
}

/// A thread that computes a lesson.
pub(super) struct Running {
    thread: Option<JoinHandle<()>>,
    gate: Arc<Gate>,
    assignment: Arc<Assignment>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without its handle the thread ends by itself, after its step.
        self.gate.cancel();
    }
}

impl Runner {
    /// A frame. Of several errors the first is returned.
    pub(super) fn run(&mut self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        check_entities(world, model)?;
        let frame = self.state.frame;
        self.state.frame += 1;
        let mut outcome = Ok(());
        if self.state.under_way.as_ref().is_some_and(|assignment| assignment.arrives <= frame) {
            outcome = self.take_over(world, model);
        }
        if self.state.under_way.is_none() && frame.is_multiple_of(u64::from(self.settings.every)) {
            outcome = outcome.and(self.begin(world, model, frame));
        }
        self.proceed();
        outcome
    }

    /// Writes the progress into the component of the model.
    pub(super) fn report(&self, world: &mut World, model: Entity) {
        let LessonState { frame, arrived, discarded, steps, good, under_way } = &self.state;
        let progress = LessonProgress {
            frame: *frame,
            arrives_at: under_way.as_ref().map(|assignment| assignment.arrives),
            arrived: *arrived,
            discarded: *discarded,
            steps: *steps,
            loss: if *arrived > 0 { good.metrics.loss(Split::Train) } else { f32::NAN },
            waited: self.waited,
            longest_wait: self.longest_wait,
        };
        if let Some(mut known) = world.get_mut::<LessonProgress>(model) {
            *known = progress;
        }
    }

    /// Goes on from another state.
    fn set_state(&mut self, state: LessonState) {
        let computes = |running: &Running| {
            state.under_way.as_ref().is_some_and(|assignment| Arc::ptr_eq(assignment, &running.assignment))
        };
        if let Some(running) = self.running.as_ref().filter(|running| !computes(running)) {
            running.gate.cancel();
        }
        self.state = state;
    }

    /// Ends the lesson under way, and takes its weights over.
    fn take_over(&mut self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        let start = Instant::now();
        let lost = self.finish();
        let waited = start.elapsed();
        self.waited += waited;
        self.longest_wait = self.longest_wait.max(waited);
        let Some(assignment) = self.state.under_way.take() else { return Ok(()) };
        if lost {
            return Err(LessonError::Lost(model).into());
        }
        let outcome = match assignment.outcome.get() {
            Some(Ok(learned)) => {
                learned.state.write(world, model);
                if let Some(mut metrics) = world.get_mut::<Metrics>(model) {
                    metrics.clone_from(&learned.metrics);
                }
                self.state.good = learned.clone();
                self.state.arrived += 1;
                self.state.steps += u64::from(assignment.steps);
                Ok(())
            }
            Some(Err(error)) => {
                self.state.discarded += 1;
                Err(error.clone())
            }
            None => Err(LessonError::Lost(model).into()),
        };
        // A snapshot may hold it still.
        if let Some(assignment) = Arc::into_inner(assignment) {
            self.spare = assignment.batch;
        }
        outcome
    }

    /// Lets the lesson under way be computed to its end; returns whether it has panicked.
    fn finish(&mut self) -> bool {
        self.start();
        if let Some(mut running) = self.running.take() {
            running.gate.open();
            return running.thread.take().is_some_and(|thread| thread.join().is_err());
        }
        // No thread could be started.
        let Some(assignment) = self.state.under_way.as_ref().filter(|assignment| assignment.outcome.get().is_none())
        else {
            return false;
        };
        let learner = self.learner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut learner) = learner else { return true };
        let gate = Arc::new(Gate::new());
        gate.open();
        learner.learn(assignment, &gate);
        *self.learner.lock().unwrap_or_else(PoisonError::into_inner) = Some(learner);
        false
    }

    /// Lets the lesson under way be computed on its thread, or in a slice of this frame.
    fn proceed(&mut self) {
        self.start();
        if let (Place::Slices { budget }, Some(running)) = (self.settings.place, &self.running) {
            running.gate.open_for(budget);
        }
    }

    /// Starts a thread for the lesson under way, unless it has one or needs none.
    fn start(&mut self) {
        let needed = self.state.under_way.clone().filter(|assignment| assignment.outcome.get().is_none());
        let Some(assignment) = needed else { return };
        if let Some(running) = &mut self.running {
            if Arc::ptr_eq(&running.assignment, &assignment) {
                return;
            }
            // It computes a lesson that is not needed any more, and has the learner.
            running.gate.cancel();
            _ = running.thread.take().map(JoinHandle::join);
            self.running = None;
        }
        let gate = Arc::new(Gate::new());
        if let Place::Thread { .. } = self.settings.place {
            gate.open();
        }
        let work = {
            let (learner, gate, assignment) = (self.learner.clone(), gate.clone(), assignment.clone());
            move || {
                let _end = End(&gate);
                let taken = learner.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(mut taken) = taken {
                    taken.learn(&assignment, &gate);
                    *learner.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
                }
            }
        };
        // Without a thread it is computed at the frame of its arrival.
        if let Ok(thread) = std::thread::Builder::new().name("connectome lesson".to_owned()).spawn(work) {
            self.running = Some(Running { thread: Some(thread), gate, assignment });
        }
    }

    /// Extracts a batch, with which a lesson begins.
    fn begin(&mut self, world: &mut World, model: Entity, frame: u64) -> Result<(), BuildError> {
        let (start, found) = self.weights(world, model, frame);
        for graph in &self.graphs {
            update_topology(world, *graph, &mut self.scratch);
        }
        for observer in &mut self.observers {
            // It reads queries and fields alone, which are never missing.
            _ = observer.run((), world);
        }
        let mut batch = core::mem::take(&mut self.spare);
        let name = || name_of(world, model);
        self.fill(world, frame, &mut batch).map_err(|error| LessonError::Batch { model: name(), frame, error })?;
        self.state.good = Arc::new(start);
        self.state.under_way = Some(Arc::new(Assignment {
            began: frame,
            arrives: frame + u64::from(self.settings.duration()),
            steps: self.settings.steps,
            start: self.state.good.clone(),
            optimizer: world.get(model).copied(),
            schedule: world.get(model).copied(),
            batch,
            outcome: OnceLock::new(),
        }));
        found
    }

    /// What a lesson begins with: the weights of the live model, and the moments of the last lesson. Weights that are not
    /// finite are replaced by the last good ones, in the live model as well, with an error.
    fn weights(&self, world: &mut World, model: Entity, frame: u64) -> (Learned, Result<(), BuildError>) {
        let mut start = (*self.state.good).clone();
        let mut live = ModelState::default();
        live.take(world, model);
        let is_faulty = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        if let Some(faulty) = live.parameters.iter().find(|parameter| is_faulty(&parameter.values)) {
            let error = LessonError::NotFinite { model: name_of(world, model), parameter: faulty.name.clone(), frame };
            start.state.write(world, model);
            return (start, Err(error.into()));
        }
        for (start, live) in start.state.parameters.iter_mut().zip(live.parameters) {
            start.values = live.values;
        }
        (start, Ok(()))
    }

    fn fill(&self, world: &World, frame: u64, batch: &mut Batch) -> Result<(), BatchError> {
        let topology = world.get::<Topology>(self.graph).ok_or(BatchError::NoGraph(self.graph))?;
        let draw = |rows: Vec<u32>, count: usize, entities: &[Entity]| -> Vec<Entity> {
            let mut chosen = Vec::new();
            choose(rows.len(), count, &mut RandomStream::new(Philox::new(self.seed, ROWS, frame)), &mut chosen);
            chosen.into_iter().map(|index| entities[rows[index as usize] as usize]).collect()
        };
        match &self.settings.batch {
            BatchKind::Whole => self.extract.whole(world, batch),
            BatchKind::Neighbors { seeds, fan_outs } => {
                let splits = self.splits.matrix(world);
                let mut rows = topology.node_order.in_order(topology.nodes.len());
                rows.retain(|row| splits.row(*row as usize)[0] == Split::Train);
                let seeds = draw(rows, *seeds, topology.nodes.entities());
                self.extract.sample_neighbors(world, &seeds, fan_outs, self.seed, frame, batch)
            }
            BatchKind::Subgraphs { count } => {
                let rows = topology.subgraph_order.in_order(topology.subgraphs.len());
                let subgraphs = draw(rows, *count, topology.subgraphs.entities());
                self.extract.subgraphs(world, &subgraphs, batch)
            }
        }
    }
}

/// Says that a thread will not pass its gate any more, also when it panics.
struct End<'a>(&'a Gate);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
