//! The state of a run between two epochs.

use bevy_ecs::change_detection::DetectChangesMut;

use super::{TrainError, Trainer};
use crate::components::Edge;
use crate::output::{EpochReport, ValidationCriteria, ValidationWatch};
use crate::parts::{ModelPart, parts};
use crate::scene::Training;
use crate::systems::{ModelState, layers::BuildError};

/// All that the epochs to come depend on, beside the scene, its graph and the seed.
///
/// It is plain data: what the model has learned, how far the run has come, and where links are predicted the pairs of the last
/// step, by which its end is measured as well. The order of examples, sampled neighbors and dropout have no state of their own;
/// they are drawn from the seed and the number of the epoch or step. Its size is that of the parameters, their moments,
/// their averages if they are averaged, and their values in the best epoch, and 8 bytes for each pair.
///
/// What belongs to it is enumerated here: [`Trainer::state`] names each field of the trainer, the conversions to and from arrays
/// each field of the state, so that a new one cannot be forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// Those of the model's parts; of a mixture the model itself, the gate, and the experts.
    pub(super) models: Vec<ModelState>,
    pub(super) progress: Progress,
    /// The numbers of the nodes of each pair, if links are predicted.
    pub(super) pairs: Vec<[u32; 2]>,
}

/// How far a run has come, beside its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Epochs trained, from which orders and samples are drawn.
    pub epochs: u64,
    /// Epochs since the present run of the scene's training began.
    pub trained: u64,
    /// Which epoch is kept, and when training stops early.
    pub(super) watch: ValidationWatch,
    /// The values of the parameters in that epoch; their first ones before.
    pub kept: Vec<Vec<f32>>,
    /// Their moving averages, if they are averaged; none before the first step.
    pub averages: Vec<Vec<f32>>,
    /// The duration of training and of evaluation in each epoch.
    pub(super) milliseconds: [Vec<f64>; 2],
}

impl Progress {
    /// Makes room for the durations of so many epochs, so that none of them allocates.
    pub fn reserve(&mut self, epochs: u64) {
        let expected = usize::try_from(epochs).unwrap_or(0).min(1 << 20);
        for durations in &mut self.milliseconds {
            durations.reserve(expected.saturating_sub(durations.len()));
        }
    }

    /// Whether another epoch is to follow.
    pub fn goes_on(&self, plan: &Training) -> bool {
        self.trained < plan.epochs && plan.patience.is_none_or(|patience| self.watch.waited() < patience)
    }

    /// Counts an epoch; returns whether its parameters are to be kept.
    pub fn add(&mut self, report: &EpochReport, criteria: ValidationCriteria<'_>) -> bool {
        self.trained += 1;
        self.milliseconds[0].push(report.train_milliseconds);
        self.milliseconds[1].push(report.evaluation_milliseconds);
        self.watch.observe(report, criteria)
    }

    /// The median duration of training and of evaluation.
    pub fn medians(&self) -> [f64; 2] {
        self.milliseconds.each_ref().map(|durations| {
            let mut sorted = durations.clone();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
        })
    }

    /// The training of the scene has ended; another one counts anew.
    pub fn end(&mut self) {
        self.trained = 0;
        self.averages.clear();
        self.watch = ValidationWatch { kept: self.watch.kept, ..ValidationWatch::default() };
        self.milliseconds.iter_mut().for_each(Vec::clear);
    }
}

impl Trainer {
    /// Keeps the parameters as they are, or their averages.
    pub(super) fn keep(&mut self) {
        let Progress { kept, averages, .. } = &mut self.progress;
        for (number, (of, kept)) in self.parameters.iter().zip(kept).enumerate() {
            let numbers = || of.numbers(&self.world, self.entities.model);
            kept.copy_from_slice(averages.get(number).map_or_else(numbers, Vec::as_slice));
        }
    }

    /// Takes the parameters of the epoch that is kept.
    pub(super) fn take_best(&mut self) {
        for (of, kept) in self.parameters.iter().zip(&self.progress.kept) {
            of.numbers_mut(&mut self.world, self.entities.model).copy_from_slice(kept);
        }
    }

    /// The state of the run, for [`Trainer::restore`]; empty if the model does not learn.
    pub fn state(&self) -> RunState {
        // By name, so that whoever adds a field decides here whether it is state. The corpus has data and buffers alone, drawn by
        // the number of the epoch; metrics and reports are computed anew in each epoch.
        let Self {
            world,
            entities,
            corpus: _,
            rewriting: _,
            misuse: _,
            scene: _,
            seed: _,
            progress,
            parameters: _,
            merged: _,
            experts: _,
            report: _,
        } = self;
        let state = |part: ModelPart| {
            let (world, model) = part.of(world, entities.model)?;
            ModelState::of(world, model).ok()
        };
        let models = parts(world, entities.model).into_iter().map(|part| state(part).unwrap_or_default());
        RunState { models: models.collect(), progress: progress.clone(), pairs: self.pairs() }
    }

    /// Goes on from a state of the same scene, graph and seed: the epochs that follow have the bits of those that followed
    /// there, for any number of workers.
    ///
    /// # Errors
    /// If the seed, the parameters of the model or the pairs of nodes are others; nothing is changed then.
    pub fn restore(&mut self, state: &RunState) -> Result<(), TrainError> {
        let RunState { models, progress, pairs } = state;
        let found = models.first().map_or(0, |model| model.training.seed);
        if found != self.seed {
            return Err(TrainError::OtherSeed { found, seed: self.seed });
        }
        let model = self.entities.model;
        let parts = parts(&self.world, model);
        if parts.len() != models.len() {
            return Err(TrainError::OtherExperts { found: models.len(), expected: parts.len() });
        }
        for (part, state) in parts.iter().zip(models) {
            let (world, model) = part.of(&self.world, model).ok_or(BuildError::NoModel(model))?;
            state.check(world, model)?;
        }
        let rows = self.pair_rows();
        let nodes = &self.entities.nodes;
        if rows.len() != pairs.len() || pairs.iter().flatten().any(|node| *node as usize >= nodes.len()) {
            return Err(TrainError::OtherPairs { found: pairs.len(), expected: rows.len() });
        }
        for (part, state) in parts.iter().zip(models) {
            if let Some((world, model)) = part.of_mut(&mut self.world, model) {
                state.restore(world, model)?;
            }
        }
        for (row, pair) in rows.into_iter().zip(pairs) {
            let [source, target] = pair.map(|node| nodes[node as usize]);
            if let Some(mut edge) = self.world.get_mut::<Edge>(row) {
                edge.set_if_neq(Edge { source, target });
            }
        }
        self.progress.clone_from(progress);
        Ok(())
    }
}

impl RunState {
    /// Number of epochs trained.
    pub fn epochs(&self) -> u64 {
        self.progress.epochs
    }
}
