//! Trains the model of a scene in its own world.

mod arrays;
mod averages;
mod checkpoint;
mod corpus;
mod degrees;
mod error;
mod experts;
mod misuse;
mod order;
mod outputs;
mod passes;
mod recorder;
mod rewriting;
mod state;

use bevy_ecs::world::World;
use std::{borrow::Cow, mem, ops::ControlFlow, path::Path, sync::Arc, time::Instant};

use averages::steps;
use corpus::{Corpus, Examples};
use experts::ExpertUse;
use misuse::Functions;
use state::Progress;

pub use checkpoint::Checkpoint;
pub use error::TrainError;
pub use outputs::HeadOutput;
pub use recorder::{CheckpointInterval, RecordError, RunRecorder};
pub use rewriting::{RewriteScore, Rewritten};
pub use state::RunState;

use crate::components::{GradientAccumulation, LearningRateSchedule, Metrics, Optimizer, Split};
use crate::data::{GraphData, RewriteData};
use crate::output::{EpochReport, Measures, Summary, Tensor, ValidationCriteria};
use crate::parts::{PartParameter, parameters as model_parameters, parts};
use crate::scene::{SceneFile, model::Purpose};
use crate::spawn::{SceneEntities, spawn_for};
use crate::systems::{LearningError, Workers, layers::BuildError};
use crate::weights::{Rename, load_weights, weights};

/// A scene in a world, and how far it has been trained.
///
/// A single graph stays in the world. A set of graphs, or a graph with sampled neighbors, stays in another one, the
/// corpus, from which batches are loaded, so the memory of training follows the batch.
///
/// ```
/// use connectome::{Trainer, components::Split, scene::SceneFile, systems::Workers};
///
/// let (mut scene, data) = SceneFile::load("assets/karate.ron")?;
/// scene.training.epochs = 30;
/// let mut trainer = Trainer::new(&scene, &data, 0, Workers::single())?;
/// let summary = trainer.train(|report| println!("epoch {}: {:?}", report.epoch, report.get(Split::Train, "loss")))?;
/// assert!(summary.get(Split::Test, "accuracy") > Some(0.7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer {
    world: World,
    entities: SceneEntities,
    corpus: Option<Corpus>,
    /// What the graphs are to be rewritten to.
    rewriting: Option<Arc<RewriteData>>,
    /// The functions in which variables may be misused.
    misuse: Option<Functions>,
    scene: SceneFile,
    seed: u64,
    progress: Progress,
    /// The parameters, if they are learned.
    parameters: Vec<PartParameter>,
    /// Metrics of the last pass over the corpus, merged over its batches.
    merged: Metrics,
    /// How the experts of a mixture were used in the last pass.
    experts: Option<ExpertUse>,
    /// Of the last epoch; the next one reuses its memory.
    report: EpochReport,
}

impl Trainer {
    /// Spawns the scene; `seed` replaces the scene's. Data that are passed by value are dropped while they are loaded.
    ///
    /// # Errors
    /// If the model cannot be built.
    pub fn new<'a>(
        scene: &SceneFile,
        data: impl Into<Cow<'a, GraphData>>,
        seed: u64,
        workers: Workers,
    ) -> Result<Self, TrainError> {
        let mut trainer = Self::of(scene, data.into(), Purpose::Training, seed, workers)?;
        let Self { world, entities, parameters, progress, .. } = &mut trainer;
        *parameters = model_parameters(world, entities.model);
        progress.kept.extend(parameters.iter().map(|of| of.numbers(world, entities.model).to_vec()));
        Ok(trainer)
    }

    /// Spawns the scene with a model for inference, for [`Trainer::load_weights`] and [`Trainer::infer`] alone. It
    /// takes no memory for saved values, gradients and moments; training and evaluation are errors.
    ///
    /// # Errors
    /// If the model cannot be built.
    pub fn for_inference<'a>(
        scene: &SceneFile,
        data: impl Into<Cow<'a, GraphData>>,
        workers: Workers,
    ) -> Result<Self, TrainError> {
        Self::of(scene, data.into(), Purpose::Inference, scene.training.seed, workers)
    }

    fn of(
        scene: &SceneFile,
        data: Cow<GraphData>,
        purpose: Purpose,
        seed: u64,
        workers: Workers,
    ) -> Result<Self, TrainError> {
        let mut world = World::new();
        world.insert_resource(workers);
        let (rewriting, misuse) = (data.rewriting.clone(), Functions::of(&data, seed == scene.training.seed));
        let (corpus, entities) = if data.graphs.is_some() || !scene.training.fan_outs.is_empty() {
            let (corpus, entities) = Corpus::spawn(&mut world, scene, data, purpose, seed)?;
            let steps = corpus.steps_per_epoch(scene.training.accumulation_steps);
            for part in parts(&world, entities.model) {
                let Some((world, model)) = part.of_mut(&mut world, entities.model) else { continue };
                if let Some(mut schedule) = world.get_mut::<LearningRateSchedule>(model) {
                    *schedule = scene.training.schedule.in_steps(steps);
                }
            }
            (Some(corpus), entities)
        } else {
            (None, spawn_for(&mut world, scene, data, purpose, seed)?)
        };
        let experts = ExpertUse::of(&mut world, entities.model).map_err(BuildError::from)?;
        Ok(Self {
            world,
            entities,
            corpus,
            rewriting,
            misuse,
            scene: scene.clone(),
            seed,
            progress: Progress::default(),
            parameters: Vec::new(),
            merged: Metrics::default(),
            experts,
            report: EpochReport::default(),
        })
    }

    /// The world in which the scene lives.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// The entities of the scene.
    pub fn entities(&self) -> &SceneEntities {
        &self.entities
    }

    /// Trains for an epoch, and evaluates. A single graph is one training step, a set of graphs one for each batch.
    ///
    /// # Errors
    /// If the loss is no finite number any more.
    pub fn epoch(&mut self) -> Result<&EpochReport, TrainError> {
        let start = Instant::now();
        let trained = self.train_pass(Examples::Epoch(self.progress.epochs));
        self.progress.epochs += 1;
        let epoch = self.progress.epochs;
        match trained {
            Err(TrainError::Build(BuildError::Learning(LearningError::Loss { loss, .. }))) => {
                return Err(TrainError::Diverged { epoch, loss });
            }
            trained => _ = trained?,
        }
        let loss = self.metrics().loss(Split::Train);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { epoch, loss });
        }
        let trained = Instant::now();
        let mut metrics = mem::take(&mut self.report.metrics);
        let mut end = self.write_measures(&mut metrics, 0, &[Split::Train]);
        let evaluated = [Split::Validation, Split::Test];
        self.measure_averages(&evaluated)?;
        end = self.write_measures(&mut metrics, end, &evaluated);
        metrics.truncate(end);
        let steps = steps(&self.world, self.entities.model);
        self.report = EpochReport {
            epoch,
            metrics,
            learning_rate: self.learning_rate(steps.saturating_sub(1)),
            train_milliseconds: (trained - start).as_secs_f64() * 1e3,
            evaluation_milliseconds: trained.elapsed().as_secs_f64() * 1e3,
        };
        Ok(&self.report)
    }

    /// The metrics of the last pass.
    fn metrics(&self) -> &Metrics {
        let of_world = self.world.get::<Metrics>(self.entities.model).filter(|_| self.corpus.is_none());
        of_world.unwrap_or(&self.merged)
    }

    /// Writes what the last pass has measured on some splits over the measures from `index` on; returns the index behind.
    fn write_measures(&self, measures: &mut Measures, index: usize, splits: &[Split]) -> usize {
        let end = measures.write(index, self.metrics(), splits);
        self.experts.as_ref().map_or(end, |experts| experts.write(measures, end, splits))
    }

    /// Trains as the scene says, and leaves the model with the parameters of the epoch that the scene selects, or their averages.
    ///
    /// # Errors
    /// If the loss is no finite number any more; the parameters are then those of the best epoch before.
    pub fn train(&mut self, mut on_epoch: impl FnMut(&EpochReport) + Send) -> Result<Summary, TrainError> {
        self.train_while(|trainer| {
            on_epoch(trainer.report());
            ControlFlow::Continue(())
        })
    }

    /// As [`Trainer::train`], until `on_epoch` breaks: then as if it had been the last epoch. Its argument is the trainer after
    /// each epoch, whose [state](Trainer::state) is what another one needs to go on from there.
    ///
    /// ```
    /// use connectome::{RunState, Trainer, scene::SceneFile, systems::Workers};
    /// use std::ops::ControlFlow;
    ///
    /// let (mut scene, data) = SceneFile::load("assets/karate.ron")?;
    /// scene.training.epochs = 30;
    /// let trainer = || Trainer::new(&scene, &data, 0, Workers::single());
    /// let mut state = RunState::default();
    /// trainer()?.train_while(|trainer| {
    ///     if trainer.report().epoch < 20 {
    ///         return ControlFlow::Continue(());
    ///     }
    ///     state = trainer.state();
    ///     ControlFlow::Break(())
    /// })?;
    ///
    /// let mut resumed = trainer()?;
    /// resumed.restore(&state)?;
    /// let mut whole = trainer()?;
    /// assert_eq!(resumed.train(|_| {})?.metrics, whole.train(|_| {})?.metrics);
    /// assert_eq!(resumed.weights(), whole.weights());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Trainer::train`].
    pub fn train_while(
        &mut self,
        mut on_epoch: impl FnMut(&Self) -> ControlFlow<()> + Send,
    ) -> Result<Summary, TrainError> {
        let workers = self.world.get_resource_or_init::<Workers>().clone();
        // The whole run stays on the workers' threads: switching for each step would cost as much as a small step.
        workers.install(|| {
            let outcome = self.train_here(&mut on_epoch);
            self.progress.end();
            outcome
        })
    }

    fn train_here(&mut self, on_epoch: &mut impl FnMut(&Self) -> ControlFlow<()>) -> Result<Summary, TrainError> {
        let plan = self.scene.training.clone();
        self.progress.reserve(plan.epochs);
        let mut outcome = Ok(());
        while self.progress.goes_on(&plan) {
            if let Err(error) = self.epoch() {
                outcome = Err(error);
                break;
            }
            let criteria =
                ValidationCriteria { keep: plan.keep, monitor: plan.monitor, score: self.scene.score_metric() };
            if self.progress.add(&self.report, criteria) {
                self.keep();
            }
            if on_epoch(self).is_break() {
                break;
            }
        }
        self.take_best();
        outcome?;
        self.measure(&Split::MEASURED)?;
        let mut metrics = Measures::default();
        if self.rewriting.is_some() {
            self.measure_rewrites(&mut metrics)?;
        }
        let end = metrics.len();
        self.write_measures(&mut metrics, end, &Split::MEASURED);
        let Progress { epochs, trained, .. } = self.progress;
        // The last step may have made weights that no epoch has shown yet.
        let loss = metrics.get(Split::Train, "loss").filter(|loss| trained > 0 && !loss.is_finite());
        if let Some(loss) = loss {
            return Err(TrainError::Diverged { epoch: epochs, loss: loss as f32 });
        }
        let [milliseconds_per_epoch, evaluation_milliseconds] = self.progress.medians();
        Ok(Summary {
            metrics,
            epochs: trained,
            milliseconds_per_epoch,
            evaluation_milliseconds,
            workers: self.world.get_resource_or_init::<Workers>().count(),
            seed: self.seed,
        })
    }

    /// What was measured in the last epoch.
    pub fn report(&self) -> &EpochReport {
        &self.report
    }

    /// The scene.
    pub fn scene(&self) -> &SceneFile {
        &self.scene
    }

    /// Loss and metrics of the model as it is, on every split.
    ///
    /// # Errors
    /// If the schedules were taken out of the world.
    pub fn evaluate(&mut self) -> Result<Metrics, TrainError> {
        self.measure(&Split::MEASURED)?;
        Ok(self.metrics().clone())
    }

    /// Leaves the first batch of an epoch in the world, for the model's schedules to be run on it by themselves; a graph that is
    /// computed as a whole is there already. Each run of `Train` is then a step, whatever the scene accumulates.
    ///
    /// # Errors
    /// If the batch cannot be loaded.
    pub fn load_batch(&mut self) -> Result<(), TrainError> {
        if let Some(mut accumulation) = self.world.get_mut::<GradientAccumulation>(self.entities.model) {
            accumulation.micro_batches = 1;
        }
        let Some(corpus) = &mut self.corpus else { return Ok(()) };
        corpus.load_first(&mut self.world, self.entities.graph)
    }

    /// The parameters with their names and shapes in weight files; during a training that averages them as the last step left them.
    pub fn weights(&self) -> Vec<Tensor> {
        weights(&self.world, self.entities.model)
    }

    /// Loads the parameters from a weight file, see [`load_weights`](crate::load_weights).
    ///
    /// # Errors
    /// If the file cannot be read, lacks a parameter, or has one of another shape; then none is changed.
    pub fn load_weights(&mut self, path: &Path, renames: &[Rename]) -> Result<(), TrainError> {
        Ok(load_weights(&mut self.world, self.entities.model, path, renames)?)
    }

    fn learning_rate(&self, step: u64) -> f32 {
        let model = self.world.entity(self.entities.model);
        let rate = model.get::<Optimizer>().map_or(0.0, Optimizer::learning_rate);
        rate * model.get::<LearningRateSchedule>().map_or(1.0, |schedule| schedule.factor(step))
    }
}
